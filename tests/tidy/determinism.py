"""Finds in a syntax tree what could make two nodes compute different results from equal inputs.

Judged: floats, true division, hashes and addresses of objects, input and output, imports of chance
and time, and every use of a set whose result depends on its order. The order of a set differs from
process to process (PYTHONHASHSEED); that of a dict is the order of insertion, and so is allowed.

    list(find_faults(ast.parse("for name in {'a', 'b'}: print(name)")))
    # (1, "iterates over a set; sort it first"), (1, "calls print")

What is a set is inferred from literals, calls, operators and annotations of the same module: enough
to catch an honest slip, not a determined liar.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["FORBIDDEN_CALLS", "FORBIDDEN_IMPORTS", "Fault", "find_faults"]

Fault = tuple[int, str]
"""Line number and what is wrong there."""

FORBIDDEN_CALLS = frozenset(
    {"eval", "exec", "hash", "id", "input", "open", "print", "round", "__import__"}
)
FORBIDDEN_IMPORTS = frozenset(
    {
        "concurrent",
        "datetime",
        "decimal",
        "fractions",
        "io",
        "logging",
        "math",
        "multiprocessing",
        "queue",
        "random",
        "secrets",
        "select",
        "signal",
        "ssl",
        "statistics",
        "subprocess",
        "sys",
        "tempfile",
        "time",
        "uuid",
        "weakref",
    }
)
"""Beyond those that the import contract in pyproject.toml forbids."""

_SET_TYPES = frozenset({"set", "frozenset", "AbstractSet", "Set", "MutableSet"})
_SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_ORDER_FREE = frozenset({"sorted", "len", "sum", "any", "all", "set", "frozenset", "min", "max"})
_ORDER_BOUND = frozenset({"list", "tuple", "enumerate", "iter", "map", "filter", "zip", "reversed"})

_ITERATES = "iterates over a set; sort it first"


def find_faults(tree: ast.Module) -> Iterator[Fault]:
    """Every fault of the module, in the order of the tree."""
    sets = _Sets(tree)
    for node in ast.walk(tree):
        for message in (*_value_faults(node), *_set_faults(node, sets)):
            yield getattr(node, "lineno", 1), message


def _value_faults(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=float() | complex()):
            yield "has a float; value is counted in integers"
        case ast.Name(id="float" | "complex" | "Decimal" | "Fraction" as name):
            yield f"uses {name}; value is counted in integers"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            yield "divides into a float; use // and say which way it rounds"
        case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
            yield f"calls {name}"
        case ast.Import(names=names):
            for alias in names:
                if alias.name.partition(".")[0] in FORBIDDEN_IMPORTS:
                    yield f"imports {alias.name}"
        case ast.ImportFrom(module=str(module), level=0):
            if module.partition(".")[0] in FORBIDDEN_IMPORTS:
                yield f"imports {module}"


def _set_faults(node: ast.AST, sets: _Sets) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _set_call_faults(node, sets)
    elif _iterates_over_set(node, sets):
        yield _ITERATES


def _iterates_over_set(node: ast.AST, sets: _Sets) -> bool:
    match node:
        case ast.For(iter=source) | ast.Starred(value=source):
            return sets.contains(source)
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=source):
            return sets.contains(source)
        case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
            iterates = any(sets.contains(generator.iter) for generator in node.generators)
            return iterates and node not in sets.order_free
    return False


def _set_call_faults(call: ast.Call, sets: _Sets) -> Iterator[str]:
    takes_set = any(map(sets.contains, call.args))
    match call.func:
        case ast.Name(id=name) if takes_set and name in _ORDER_BOUND:
            yield _ITERATES
        case ast.Name(id="sorted" | "min" | "max" as name) if takes_set and call.keywords:
            yield f"calls {name} with a key over a set: where keys tie, its order decides"
        case ast.Attribute(attr="join" | "fromkeys" | "extend") if takes_set:
            yield _ITERATES
        case ast.Attribute(value=owner, attr="pop") if not call.args and sets.contains(owner):
            yield "pops from a set: which element is not determined"


class _Sets:
    """Which expressions of a module are sets, as far as its own text tells."""

    def __init__(self, tree: ast.Module) -> None:
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.functions: set[str] = set()
        self.order_free: set[ast.AST] = set()
        nodes = list(ast.walk(tree))
        for node in nodes:
            self._read_annotations(node)
        for _ in range(2):  # a name may be bound to a set that is itself known by a later name
            for node in nodes:
                self._read_assignment(node)
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
                    if name in _ORDER_FREE:
                        self.order_free.add(argument)

    def contains(self, node: ast.expr) -> bool:
        """Whether the value of `node` is a set."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return name in self.names
            case ast.Attribute(attr=attribute):
                return attribute in self.attributes
            case ast.BinOp(op=operator, left=left, right=right):
                either = self.contains(left) or self.contains(right) or _is_keys(left)
                return isinstance(operator, _SET_OPERATORS) and either
            case ast.IfExp(body=body, orelse=other):
                return self.contains(body) or self.contains(other)
            case ast.Call(func=ast.Name(id=name)):
                return name in _SET_TYPES or name in self.functions
            case ast.Call(func=ast.Attribute(value=owner, attr=attribute)):
                of_set = attribute in _SET_METHODS and self.contains(owner)
                return of_set or attribute in self.functions
        return False

    def _read_annotations(self, node: ast.AST) -> None:
        match node:
            case ast.AnnAssign(target=target, annotation=annotation) if _is_set_type(annotation):
                self._bind(target)
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                if _is_set_type(annotation):
                    self.names.add(name)
            case ast.FunctionDef(name=name, returns=ast.expr() as returns):
                if _is_set_type(returns):
                    self.functions.add(name)
                    self.attributes.add(name)  # a property reads like an attribute

    def _read_assignment(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value) if self.contains(value):
                for target in targets:
                    self._bind(target)
            case ast.NamedExpr(target=target, value=value) if self.contains(value):
                self._bind(target)

    def _bind(self, target: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self.names.add(name)
                self.attributes.add(name)  # a field of a dataclass or struct
            case ast.Attribute(attr=attribute):
                self.attributes.add(attribute)


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and (
        isinstance(node.func, ast.Attribute) and node.func.attr in {"keys", "items"}
    )


def _is_set_type(annotation: ast.expr) -> bool:
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in _SET_TYPES
        case ast.Subscript(value=value):
            return _is_set_type(value)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _is_set_type(left) or _is_set_type(right)
        case ast.Constant(value=str(text)):
            return _is_set_type(ast.parse(text, mode="eval").body)
    return False
