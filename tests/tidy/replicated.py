"""Which modules run on every node alike: found by following imports, so that none is forgotten.

From what decides (contracts but for their services, the ledger, transfers, votes, agreement) every
import inside the product leads to code whose result a hash or a vote depends on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replicated_files"]

ROOT = Path(__file__).parent.parent.parent
PRODUCT = ("assetchain", "bizchain", "common")
FROM = (
    "*chain/contracts/*/*.py",
    "*chain/reasons.py",
    "common/ledger/*.py",
    "common/transfer/*.py",
    "common/governance/*.py",
    "common/raft/*.py",
)
NOT_REPLICATED = frozenset({"service.py"})
"""What serves answers may read a clock."""


def replicated_files() -> list[Path]:
    """Every file of replicated code, in order."""
    waiting = [path for pattern in FROM for path in sorted(ROOT.glob(pattern))]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or path.name in NOT_REPLICATED or "_pb2" in path.name:
            continue
        seen.add(path)
        waiting.extend(_imported(ast.parse(path.read_text(encoding="utf-8"))))
    return sorted(seen)


def _imported(tree: ast.Module) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] in PRODUCT:
                place = ROOT / name.replace(".", "/")
                files = (place.with_suffix(".py"), place / "__init__.py")
                yield from (path for path in files if path.exists())
