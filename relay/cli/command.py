"""How a function becomes a command: shared options, one event loop, one way to end.

    @network_command(app, "show")
    async def show(session: Session, party_id: Annotated[str, typer.Argument(help="...")]) -> None:
        \"\"\"Show one party.\"\"\"

A command is handed a `Session` and never sees the shared options. What it raises becomes a message
on standard error and an exit code; nothing of it reaches standard output.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar

import typer

from common.errors import Kind, Refused, StorageFailed
from relay.audit.findings import Violated
from relay.cli.exits import Exit, advice_on, exit_of
from relay.cli.options import NETWORK_OPTIONS, OUTPUT_OPTION, Options
from relay.cli.output import Output, say
from relay.cli.session import Session

__all__ = ["end_refused", "local_command", "network_command", "noun"]

Command: TypeAlias = Callable[..., Any]
C = TypeVar("C", bound=Command)

_SHARED = frozenset(parameter.name for parameter in NETWORK_OPTIONS)


def noun(parent: typer.Typer, name: str, sentence: str) -> typer.Typer:
    """A noun of the command line: a group of verbs."""
    app = typer.Typer(no_args_is_help=True, help=sentence)
    parent.add_typer(app, name=name)
    return app


def network_command(app: typer.Typer, name: str) -> Callable[[C], C]:
    """Register an async function that talks to the network. Its first parameter is a `Session`."""

    def register(function: C) -> C:
        def run(**values: Any) -> None:
            with_refusals(lambda: asyncio.run(_in_session(function, values)))

        _add(app, name, function, run, NETWORK_OPTIONS)
        return function

    return register


def local_command(app: typer.Typer, name: str) -> Callable[[C], C]:
    """Register a function that needs no network. Its first parameter is the `Output`."""

    def register(function: C) -> C:
        def run(*, output: Output, **values: Any) -> None:
            with_refusals(lambda: function(output, **values))

        _add(app, name, function, run, (OUTPUT_OPTION,))
        return function

    return register


def with_refusals(act: Callable[[], object]) -> None:
    """Do it, and end the process with the exit code of whatever is refused."""
    try:
        act()
    except Refused as refused:
        end_refused(refused)
    except Violated as violated:
        _end(Exit.REFUSED, f"NOT CLEAN. {violated.finding}")
    except StorageFailed as failed:
        _end(Exit.UNAVAILABLE, f"The disk failed: {failed}")
    except OSError as error:  # a folder that is none, may not be read, or is full
        _end(Exit.UNAVAILABLE, str(error))
    except KeyboardInterrupt:
        _end(Exit.UNAVAILABLE, "Interrupted.")


def end_refused(refused: Refused) -> NoReturn:
    """Say what was refused and what to do next; end with its exit code."""
    say(f"{refused.reason.name}: {refused.message}")
    transaction_id = refused.metadata.get("transaction_id")
    may_be_asked = refused.reason.kind is Kind.UNKNOWN and transaction_id
    if may_be_asked:
        chain = refused.metadata.get("chain", "CHAIN")
        say("It may have taken effect, or yet do so. Ask again:")
        say(f"  wutong transaction show {chain} {transaction_id}")
    if (not may_be_asked or "refusal" in refused.metadata) and (advice := advice_on(refused)):
        say(advice)
    raise typer.Exit(exit_of(refused))


async def _in_session(function: Callable[..., Awaitable[None]], values: dict[str, Any]) -> None:
    options = Options(**{name: values.pop(name) for name in _SHARED})
    async with Session(options) as session:
        await function(session, **values)


def _add(
    app: typer.Typer,
    name: str,
    function: Command,
    run: Command,
    shared: Sequence[inspect.Parameter],
) -> None:
    """Register `run` under the parameters of `function`, but the first, and the shared options."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    parameters += shared
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    app.command(name)(run)


def _end(code: Exit, message: str) -> NoReturn:
    say(message)
    raise typer.Exit(code)
