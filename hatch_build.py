"""Generates the protobuf and gRPC modules from proto/.

Runs as a build hook (wheels and editable installs) and by hand as `python hatch_build.py`.

`proto/<package>/v1/x.proto` becomes `<package>/v1/x_pb2.py`, `x_pb2_grpc.py` and their type stubs,
next to the code that imports them. Generated files are never checked in and never edited; those
whose `.proto` is gone are removed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OUTPUTS = ("--python_out=.", "--grpc_python_out=.", "--mypy_out=quiet:.", "--mypy_grpc_out=quiet:.")
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
PACKAGES = ("bizchain", "assetchain", "relay", "common")


class GeneratedCode(BuildHookInterface[Any]):
    """Adds the generated modules to a wheel or an editable install; an sdist has proto/ instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Generate before the files are collected. Raises CalledProcessError on a bad `.proto`."""
        if self.target_name == "wheel":
            generated = generate(Path(self.root))
            build_data["artifacts"] += [path.as_posix() for path in generated]


def generate(root: Path) -> list[Path]:
    """Generate all modules under `root`; returns their paths relative to it, sorted."""
    sources = sorted(path.relative_to(root / "proto") for path in root.glob("proto/**/*.proto"))
    expected = [source.with_name(source.stem + suffix) for source in sources for suffix in SUFFIXES]
    for package in PACKAGES:
        for suffix in SUFFIXES:
            for found in root.glob(f"{package}/**/*{suffix}"):
                if found.relative_to(root) not in expected:
                    found.unlink()
    if sources:
        run_protoc(root, sources)
    return sorted(expected)


def run_protoc(root: Path, sources: list[Path]) -> None:
    """One run of the compiler over all sources, so that they are judged together."""
    scripts = str(Path(sys.executable).parent)  # where protoc-gen-mypy is
    environment = os.environ | {"PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")])}
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", "proto", *OUTPUTS]
    subprocess.run(
        [*command, *(source.as_posix() for source in sources)],
        cwd=root,
        env=environment,
        check=True,
    )


if __name__ == "__main__":
    generate(Path(__file__).parent)
