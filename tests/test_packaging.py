"""What is shipped: built as a stranger would, from the source distribution alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"assetchain", "bizchain", "common", "relay"}
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
BUILD_SECONDS_MAX = 120


def build(source: Path, target: str, folder: Path) -> Path:
    """Build `target` of the project in `source`, with the libraries of this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, timeout=BUILD_SECONDS_MAX, capture_output=True)
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    archive = build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(archive) as file:
        for (
            member
        ) in file:  # by hand: the safe filters of extractall are younger than Python 3.11.0
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = file.extractfile(member)
            assert content is not None, f"{member.name} is no regular file"
            path.write_bytes(content.read())
    [unpacked] = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel that is built from the source distribution.

    Built from a copy: a build generates code beside its sources, and `source` is judged as it is.
    """
    copy = shutil.copytree(source, tmp_path_factory.mktemp("build") / source.name)
    archive = build(copy, "wheel", tmp_path_factory.mktemp("wheel"))
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def generated_names() -> set[str]:
    sources = [path.relative_to(ROOT / "proto") for path in (ROOT / "proto").rglob("*.proto")]
    assert sources
    stems = [source.with_suffix("").as_posix() for source in sources]
    return {stem + suffix for stem in stems for suffix in GENERATED_SUFFIXES}


def written_names() -> set[str]:
    """The modules of the four packages that people wrote."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    names = {path.relative_to(ROOT).as_posix() for path in paths if "_pb2" not in path.name}
    assert names
    return names


def test_the_source_distribution_carries_protocols_and_nothing_generated(source: Path) -> None:
    names = names_in(source)
    assert {"proto/common/v1/transaction.proto", "hatch_build.py", "LICENSE"} <= names
    assert written_names() <= names
    assert not names & generated_names()
    assert not {name for name in names if name.startswith(("tests/", "deploy/", ".ci/"))}


def test_the_wheel_is_the_four_packages_with_their_generated_code(wheel: Path) -> None:
    names = names_in(wheel)
    tops = {PurePosixPath(name).parts[0] for name in names}
    [metadata] = tops - PACKAGES
    assert metadata.endswith(".dist-info")
    assert tops >= PACKAGES
    assert written_names() | generated_names() <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert not {name for name in names if name.endswith(".proto") or "tests/" in name}
    assert f"{metadata}/licenses/LICENSE" in names


def test_the_wheel_installs_one_command(wheel: Path) -> None:
    [file] = wheel.glob("*.dist-info/entry_points.txt")
    entries = ConfigParser()
    entries.read(file)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert dict(entries["console_scripts"]) == project["scripts"] == {"wutong": "relay.cli:main"}


def test_the_generated_code_of_the_wheel_imports_on_its_own(wheel: Path, tmp_path: Path) -> None:
    modules = sorted(
        name.removesuffix(".py").replace("/", ".")
        for name in generated_names()
        if name.endswith(".py")
    )
    script = (
        "import importlib, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "for name in sys.argv[2:]:\n"
        "    assert importlib.import_module(name).__file__.startswith(sys.argv[1]), name\n"
    )
    command = [sys.executable, "-I", "-c", script, str(wheel) + os.sep, *modules]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=BUILD_SECONDS_MAX)


def test_no_locked_library_comes_from_a_fixed_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert " @ " not in lock
    requirements = [line for line in lock.splitlines() if not line.startswith(" ")]
    assert requirements
    assert all("==" in line and line.endswith("\\") for line in requirements)


def test_every_library_of_the_project_is_locked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {line.partition("==")[0] for line in lock.splitlines() if "==" in line}
    named = [*settings["project"]["dependencies"], *settings["build-system"]["requires"]]
    for group in settings["dependency-groups"].values():
        named += [entry for entry in group if isinstance(entry, str)]
    wanted = {entry.partition(">=")[0].partition("[")[0].lower() for entry in named}
    assert wanted <= locked
