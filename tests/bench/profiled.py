"""Run a module, and write what its main thread spent CPU on: `profiled FILE MODULE ARGUMENTS...`.

Unlike `python -m cProfile` it counts the CPU of the thread, not the time on the wall, so what waits
for a disk, a peer or a busy machine costs nothing. Read the file with `python -m pstats FILE`.
"""

from __future__ import annotations

import cProfile
import runpy
import sys
import time


def main() -> None:
    """Run the module as `python -m` would."""
    output, module = sys.argv[1:3]
    sys.argv[1:3] = []
    profile = cProfile.Profile(time.thread_time)
    try:
        profile.runcall(runpy.run_module, module, run_name="__main__", alter_sys=True)
    finally:
        profile.dump_stats(output)


if __name__ == "__main__":
    main()
