"""What a command prints: data on standard output, everything said about it on standard error.

A command hands over plain records (dicts of text, integers, booleans, bytes, lists); they become
one table, or one JSON value with bytes in hexadecimal. Tables are cut to the terminal's width only
where there is a terminal. What a value says is shown as it stands: others wrote it, so it is no
markup, and no character of it commands the terminal.
"""

from __future__ import annotations

import datetime
import enum
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.encoding import Canonical
from relay.visible import visible

__all__ = ["Output", "Record", "clock_of", "print_record", "print_records", "say"]

PIPE_COLUMNS = 240

Record: TypeAlias = Mapping[str, Any]
"""One thing to show: name -> value."""


class Output(enum.StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"


def say(message: str) -> None:
    """Tell a person something, on standard error."""
    lines = (visible(line) for line in message.split("\n"))
    print("\n".join(lines), file=sys.stderr, flush=True)


def print_records(records: Sequence[Record], output: Output, *, columns: Sequence[str]) -> None:
    """Print a list. `columns` are the names a table shows; JSON has them all."""
    if output is Output.JSON:
        _print_json([_plain(record) for record in records])
        return
    table = _table(*columns)
    for record in records:
        table.add_row(*(_cell(record.get(name)) for name in columns))
    _print_table(table)


def print_record(record: Record, output: Output) -> None:
    """Print one thing with all its fields."""
    if output is Output.JSON:
        _print_json(_plain(record))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(name.replace("_", " "), _cell(value))
    _print_table(table)


def clock_of(unix_ms: int) -> str:
    """A moment in UTC, to the millisecond: 2026-11-22T20:01:02.345Z. Empty for 0."""
    if not unix_ms:
        return ""
    seconds, milliseconds = divmod(unix_ms, 1000)
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.replace("_", " ").upper(), overflow="fold")
    return table


def _print_table(table: Table) -> None:
    """To standard output. A pipe is wide enough for any line, so that no tool meets a cut one."""
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else PIPE_COLUMNS)
    if terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Canonical):
        return _plain(msgspec.structs.asdict(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _cell(value: object) -> Text:
    return Text(visible(_text(value)))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Canonical):
        return _text(msgspec.structs.asdict(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return str(value)
