"""The house rules that no other tool checks, judged on the text and the syntax tree of every file.

A rule that cannot see a fault is worse than none, so each has examples that it must refuse.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.tidy.determinism import Fault, find_faults

ROOT = Path(__file__).parent.parent
PACKAGES = ("bizchain", "assetchain", "relay", "common")
FOLDERS = (*PACKAGES, "proto", "tests", "docs", "deploy", ".ci")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 100
FIELDS_MIN_SEEN = 20
CONTRACTS_MIN_SEEN = 4
CONTRACT_FILES = frozenset(
    f"{name}.py" for name in ("__init__", "invariants", "keys", "operations", "queries", "types")
)

# The marks are joined here, so that this file does not carry them itself.
MARKS_LEFT_OPEN = re.compile(
    "|".join(["TO" + "DO", "FIX" + "ME", r"\bX{3}\b", "NotImplemented" + "Error", "no " + "cover"])
)
PLACES_OF_ONE_MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:work|farm|root)/",
            "pypi" + r"\.org",
            "python" + "hosted",
            "npm" + r"js\.(?:org|com)",
            "deb" + r"\.debian",
            r"--(?:extra-)?index-" + "url[ =]",
        ]
    )
)
LICENCE_HEADER = re.compile(r"^\s*(?://|#)\s*(?:SPDX-|Copyright)", re.MULTILINE)
SLEEP = re.compile(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\))")
MOCK = re.compile("unittest" + r"\.mock|\bMagic" + "Mock")
SILENT_SKIP = re.compile(
    r"pytest\.skip\(\)|mark\.skip\b(?!\(reason=|if)|mark\.xfail\b(?!\(.*reason)"
)
PROTO_FIELD = re.compile(r"^\s*(?:repeated |optional )?[\w.]+ \w+ = \d+[^;]*;")
PROTO_FORBIDDEN = re.compile(r"\bmap<|google/rpc/|\b(?:float|double) \w+ =")


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Every file that people wrote, in the fixed folders and the root."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.iterdir() if path.is_file()]
    return tuple(
        path
        for path in sorted(found)
        if path.is_file()
        and path.suffix in suffixes
        and "_pb2" not in path.name
        and not {"__pycache__", ".mypy_cache"} & set(path.parts)
    )


def python_files(*folders: str) -> Iterator[Path]:
    for path in files(".py"):
        if not folders or path.relative_to(ROOT).parts[0] in folders:
            yield path


def judge(paths: Iterable[Path], rule: Callable[[str], Iterable[Fault]]) -> None:
    """Fail with a list of all faults, so that one run shows them all."""
    seen = 0
    faults: list[str] = []
    for path in paths:
        seen += 1
        for line, message in rule(path.read_text(encoding="utf-8")):
            faults.append(f"{path.relative_to(ROOT)}:{line}: {message}")
    assert seen, "the rule saw no file"
    assert not faults, "\n" + "\n".join(faults)


def lines_matching(pattern: re.Pattern[str], message: str) -> Callable[[str], Iterator[Fault]]:
    def rule(text: str) -> Iterator[Fault]:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, f"{message}: {match[0]!r}"

    return rule


def long_file(text: str) -> Iterator[Fault]:
    count = text.count("\n")
    if count > FILE_LINES_MAX:
        yield count, f"{count} lines, at most {FILE_LINES_MAX}: which second idea lives here?"


def long_function(text: str) -> Iterator[Fault]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {count} lines, at most {FUNCTION_LINES_MAX}"


def long_line(text: str) -> Iterator[Fault]:
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {LINE_COLUMNS_MAX}"


def crowded_package(text: str) -> Iterator[Fault]:
    """A package opens with its manual; the code is in its modules."""
    tree = ast.parse(text)
    if not ast.get_docstring(tree):
        yield 1, "a package opens with a docstring: purpose, rules, one example"
    for node in tree.body[1:]:
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if not is_all and not isinstance(node, ast.Import | ast.ImportFrom):
            yield node.lineno, "a package file holds its docstring, imports and __all__ only"


def undocumented_field(text: str) -> Iterator[Fault]:
    previous = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if PROTO_FIELD.match(line) and "//" not in line and not previous.startswith("//"):
            yield number, f"a field without a comment: {line.strip()}"
        previous = line.strip()


def nondeterministic(text: str) -> Iterator[Fault]:
    yield from find_faults(ast.parse(text))


def pure_modules() -> list[str]:
    """The list of the import contract: what may not import a clock may not use a float either."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    [pure] = [contract for contract in contracts if contract["type"] == "forbidden"]
    return sorted(pure["source_modules"])


def files_of(module: str) -> list[Path]:
    """The files of a module or package, or of all that a name with wildcards stands for."""
    place = module.replace(".", "/")
    found = [*ROOT.glob(f"{place}.py"), *ROOT.glob(f"{place}/**/*.py")]
    assert found or "*" in module, f"pyproject.toml names {module}, which does not exist"
    return [path for path in found if path.relative_to(ROOT).parts[0] in PACKAGES]


def test_no_file_is_too_long() -> None:
    judge(python_files(), long_file)


def test_no_function_is_too_long() -> None:
    judge(python_files(), long_function)


def test_no_line_is_too_long() -> None:
    judge((*files(".py", ".proto", ".yaml"), ROOT / "Makefile", ROOT / ".ci/run"), long_line)


def test_nothing_is_left_open() -> None:
    judge(files(".py", ".proto"), lines_matching(MARKS_LEFT_OPEN, "left open"))


def test_nothing_names_a_place_of_one_machine() -> None:
    texts = files("", ".py", ".proto", ".md", ".toml", ".yaml", ".yml", ".lock", ".txt", ".sh")
    judge(texts, lines_matching(PLACES_OF_ONE_MACHINE, "a place of one machine"))


def test_no_file_carries_a_licence_header() -> None:
    judge(files(".py", ".proto"), lines_matching(LICENCE_HEADER, "LICENSE is the one place"))


def test_every_package_opens_with_its_manual() -> None:
    packages = (path for path in python_files(*PACKAGES) if path.name == "__init__.py")
    judge(packages, crowded_package)


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in python_files(*PACKAGES)}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_every_contract_has_the_same_files() -> None:
    contracts = sorted(path for path in ROOT.glob("*/contracts/*/") if path.name != "__pycache__")
    assert len(contracts) >= CONTRACTS_MIN_SEEN
    for contract in contracts:
        names = {path.name for path in contract.glob("*.py")}
        assert names >= CONTRACT_FILES, f"{contract}: {sorted(CONTRACT_FILES - names)} missing"
        assert names <= CONTRACT_FILES | {"service.py"}, f"{contract}: {sorted(names)}"


def test_every_protocol_field_says_what_it_is() -> None:
    judge(files(".proto"), undocumented_field)
    fields = sum(
        len(PROTO_FIELD.findall(line))
        for path in files(".proto")
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    assert fields >= FIELDS_MIN_SEEN


def test_no_protocol_field_has_an_order_or_a_size_of_its_own() -> None:
    judge(files(".proto"), lines_matching(PROTO_FORBIDDEN, "no maps, floats or foreign types"))


def test_what_decides_is_deterministic() -> None:
    judge((path for module in pure_modules() for path in files_of(module)), nondeterministic)


def test_every_target_of_the_makefile_explains_itself() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    explained = re.findall(r"^([a-z]+):.*## \w", text, re.MULTILINE)
    assert explained == phony.split()


def test_no_test_sleeps() -> None:
    patient = {"bench", "e2e"}  # they wait for real processes
    paths = (
        path for path in python_files("tests") if path.relative_to(ROOT).parts[1] not in patient
    )
    judge(paths, lines_matching(SLEEP, "a test waits for an event, not for time"))


def test_no_test_mocks_or_skips_in_silence() -> None:
    judge(python_files("tests"), lines_matching(MOCK, "use the in-memory twin"))
    judge(python_files("tests"), lines_matching(SILENT_SKIP, "say why it is skipped"))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (long_file, "\n" * (FILE_LINES_MAX + 1)),
        (long_function, "def f():\n" + "    a = 1\n" * FUNCTION_LINES_MAX),
        (long_function, "class A:\n  async def f(self):\n" + "    a = 1\n" * FUNCTION_LINES_MAX),
        (long_line, "x" * (LINE_COLUMNS_MAX + 1)),
        (crowded_package, ""),
        (crowded_package, "import os"),
        (crowded_package, '"""Doc."""\nLIMIT = 1'),
        (undocumented_field, "message A {\n  bytes key = 1;\n}"),
        (undocumented_field, "// Doc.\nmessage A {\n  repeated a.v1.B values = 12;\n}"),
        (lines_matching(MARKS_LEFT_OPEN, ""), "raise NotImplemented" + "Error"),
        (lines_matching(PLACES_OF_ONE_MACHINE, ""), "see /work" + "/main"),
        (lines_matching(PLACES_OF_ONE_MACHINE, ""), "https://files.python" + "hosted.org/x"),
        (lines_matching(LICENCE_HEADER, ""), "# Copy" + "right 2018 A"),
        (lines_matching(SLEEP, ""), "    await asyncio." + "sleep(0.1)"),
        (lines_matching(MOCK, ""), "from unittest" + ".mock import patch"),
        (lines_matching(SILENT_SKIP, ""), "@pytest.mark." + "skip\ndef test_a(): ..."),
        (lines_matching(PROTO_FORBIDDEN, ""), "  map<string, bytes> values = 1;"),
    ],
)
def test_each_rule_sees_its_fault(rule: Callable[[str], Iterable[Fault]], text: str) -> None:
    assert list(rule(text))


@pytest.mark.parametrize(
    "text",
    [
        "half = 0.5",
        "half = total / 2",
        "total /= 2",
        "rate: float",
        "import datetime",
        "from concurrent.futures import Future",
        "seed = hash(b'a')",
        "print(1)",
        "for name in {'a', 'b'}: pass",
        "for name in set(names): pass",
        "names = set()\nfor name in names: pass",
        "def f(names: frozenset[str]): return [name for name in names]",
        "def f(names: set[str] | None): return list(names)",
        "class A:\n  names: frozenset[str]\ndef f(a): return tuple(a.names)",
        "class A:\n  def __init__(self): self.a = set()\n  def f(self): return [*self.a]",
        "def f() -> set[int]: ...\nfor x in f(): pass",
        "a = {1}\nb = a\nfor x in b: pass",
        "for x in left.keys() - right.keys(): pass",
        "for x in {1} | other: pass",
        "for x in {1}.union(other): pass",
        "text = ','.join({'a'})",
        "first, second = {1, 2}",
        "value = {1, 2}.pop()",
        "rows = {name: 1 for name in {1, 2}}",
        "rows = dict.fromkeys({1, 2})",
        "worst = max({1, 2}, key=cost)",
        "order = sorted({1, 2}, key=cost)",
    ],
)
def test_what_could_differ_between_nodes_is_seen(text: str) -> None:
    assert list(find_faults(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "half = total // 2",
        "for name in sorted({'a', 'b'}): pass",
        "present = name in {'a', 'b'}",
        "count = len(set(names))",
        "total = sum(amount(name) for name in {1, 2})",
        "both = {name for name in {1, 2}}",
        "least = min({1, 2})",
        "for name in {'a': 1}: pass",
        "for name, value in rows.items(): pass",
        "rest = 7 - count",
        "flags = left | right",
    ],
)
def test_what_cannot_differ_between_nodes_is_allowed(text: str) -> None:
    assert not list(find_faults(ast.parse(text)))
