"""The supervisor, with real children: small programs that behave, die or refuse to stop."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from relay.devnet import supervisor as module
from relay.devnet.supervisor import Process, ProcessFailed, Supervisor

SERVES = """
    import json, os, sys
    print(json.dumps({"ready": True, "pid": os.getpid()}), flush=True)
    sys.stdin.read()
    print("ended as told", file=sys.stderr)
"""
DIES = """
    import sys
    print("no disk", file=sys.stderr)
    sys.exit(70)
"""


def child(folder: Path, name: str, program: str = SERVES) -> Process:
    arguments = (sys.executable, "-c", textwrap.dedent(program))
    return Process(name, arguments, folder / f"{name}.log")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS_START", 0.001)
    monkeypatch.setattr(module, "PAUSE_SECONDS_MAX", 0.001)


async def test_children_serve_and_stop_when_their_input_closes(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    async with Supervisor([child(tmp_path, name) for name in names]) as supervisor:
        await supervisor.ready()
        assert supervisor.ready_count == len(names)
        pids = [supervisor.pid(name) for name in names]
        assert [supervisor.ready_line(name)["pid"] for name in names] == pids
    assert not any(alive(pid) for pid in pids if pid is not None)
    assert [(tmp_path / f"{name}.log").read_text() for name in names] == ["ended as told\n"] * 3


async def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    async with Supervisor([child(tmp_path, "a")]) as supervisor:
        await supervisor.ready()
        first = supervisor.pid("a")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        while supervisor.starts("a") < 2:
            await supervisor.changed()
        await supervisor.ready("a")
        assert supervisor.pid("a") != first


async def test_a_killed_child_stays_down_until_it_is_brought_back(tmp_path: Path) -> None:
    async with Supervisor([child(tmp_path, "a"), child(tmp_path, "b")]) as supervisor:
        await supervisor.ready()
        await supervisor.kill("a")
        assert supervisor.pid("a") is None
        await supervisor.kill("b")
        supervisor.bring_back("b")
        await supervisor.ready("b")
        assert (supervisor.starts("a"), supervisor.ready_count) == (1, 1)
        supervisor.bring_back("a")
        await supervisor.ready()
        assert (supervisor.starts("a"), supervisor.starts("b")) == (2, 2)


async def test_a_child_that_dies_too_often_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    async with Supervisor([child(tmp_path, "a"), child(tmp_path, "b", DIES)]) as supervisor:
        with pytest.raises(ProcessFailed, match=r"b ended with code 70, 5 times[^$]*no disk"):
            await supervisor.ready()
        assert supervisor.starts("b") == 5


async def test_a_deaf_child_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(module, "TERMINATE_SECONDS", 0.05)
    deaf = """
        import signal, threading
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("{}", flush=True)
        threading.Event().wait()
    """
    async with Supervisor([child(tmp_path, "a", deaf)]) as supervisor:
        await supervisor.ready()
        pid = supervisor.pid("a")
    assert pid is not None
    assert not alive(pid)


def test_no_child_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    program = f"""
        import asyncio, sys
        from pathlib import Path
        from relay.devnet.supervisor import Process, Supervisor
        child = (sys.executable, "-c", {textwrap.dedent(SERVES)!r})
        process = Process("a", child, Path(sys.argv[1]))
        async def main():
            async with Supervisor([process]) as supervisor:
                await supervisor.ready()
                print(supervisor.pid("a"), flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
    """
    arguments = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "log")]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    descriptor = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ended, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    assert ended, "the child still runs ten seconds after its supervisor was killed"
