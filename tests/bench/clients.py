"""Closed loops: so many clients, each with one call under way, for so many seconds.

    run = await closed_loops(32, one_call, Window(warm_up=1, measured=3), groups)

`one_call(client)` makes one call of that client and returns how many transactions it was.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog

from tests.bench.machine import Usage
from tests.bench.measures import Recorder, Run

__all__ = ["CLIENTS", "Window", "closed_loops", "in_client_process"]

T = TypeVar("T")

CLIENTS = "clients"
"""The group of the process the clients run in."""

DRAIN_SECONDS = 30.0

Prepare = Callable[[int], Callable[[], Awaitable[int]]]
"""Makes ready the next call of a client: what is done here is not part of its latency."""


class Window(NamedTuple):
    """Seconds before measuring begins, and measured."""

    warm_up: float
    measured: float


async def closed_loops(
    clients: int, prepare: Prepare, window: Window, groups: Mapping[str, Sequence[int]]
) -> Run:
    """Run the clients, and measure. CPU is that of `groups`, and of this process as `CLIENTS`."""
    loop = asyncio.get_running_loop()
    start = loop.time() + window.warm_up
    recorder = Recorder(start, start + window.measured)

    async def one_client(number: int) -> None:
        while loop.time() < recorder.stop:
            call = prepare(number)
            began = loop.time()
            count = await call()
            recorder.add(began, loop.time(), count)

    tasks = [asyncio.create_task(one_client(number)) for number in range(clients)]
    try:
        await asyncio.sleep(window.warm_up)
        usage = Usage({**groups, CLIENTS: [os.getpid()]})
        await asyncio.sleep(recorder.stop - loop.time())
        cpu_seconds, other_cores = usage.cpu_seconds(), usage.other_cores()
        async with asyncio.timeout(DRAIN_SECONDS):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return recorder.run(cpu_seconds, other_cores)


async def in_client_process(work: Callable[[T], Coroutine[Any, Any, Run]], task: T) -> Run:
    """The run that `work(task)` gives in the event loop of a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return await asyncio.get_running_loop().run_in_executor(
            pool, partial(_in_process, work, task)
        )


def _in_process(work: Callable[[T], Coroutine[Any, Any, Run]], task: T) -> Run:
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet)
    return asyncio.run(work(task))
