"""The stand-alone verifier: `python -m relay.dossier FILE [--network network.toml]`.

Needs the file alone. With `--network` it also checks that the chains are those of your network
file; without, it prints their ids for you to compare.

Whatever a dossier says is shown as it stands: others wrote it, so no character of it commands the
terminal or begins a line of its own.

Exit codes: 0 the dossier holds, 2 usage, 3 it does not hold (says why), 4 there is no such file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from common.deadline import UNIX_MS_MAX
from common.errors import Kind, Refused, StorageFailed
from common.networkfile import load_network
from relay.dossier.consents import NOT_PROVEN
from relay.dossier.contents import DOSSIER_BYTES_MAX
from relay.dossier.verification import DossierReport, ShownSide, verify_dossier
from relay.visible import visible

__all__ = ["main"]

EXIT_OK = 0
EXIT_REFUSED = 3
EXIT_NOT_FOUND = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge one file and say what it proves. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        with options.file.open("rb") as file:
            data = file.read(DOSSIER_BYTES_MAX + 1)
        report = verify_dossier(data, _pinned(options.network))
    except OSError as error:
        _say(f"dossier: {error}")
        return EXIT_NOT_FOUND
    except (Refused, StorageFailed) as error:
        missing = isinstance(error, Refused) and error.reason.kind is Kind.NOT_FOUND
        _say(f"dossier: does not hold: {error}")
        return EXIT_NOT_FOUND if missing else EXIT_REFUSED
    sys.stdout.write("".join(f"{visible(line)}\n" for line in _lines(report)))
    return EXIT_OK


def _say(message: str) -> None:
    sys.stderr.write(f"{visible(message)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m relay.dossier", description="Judge a transfer's dossier, offline."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the dossier")
    parser.add_argument("--network", type=Path, help="the network file whose chains it must be of")
    return parser


def _pinned(network: Path | None) -> list[bytes]:
    return [chain.chain_id for chain in load_network(network).chains] if network else []


def _lines(report: DossierReport) -> Iterator[str]:
    terms = report.terms
    verdict = report.outcome or "nothing decided yet"
    ended = "ended on both chains" if report.ended else "not shown to have ended on the follower"
    yield f"transfer  {report.transfer_id.hex()}"
    yield f"holds     {verdict}, {ended}"
    yield f"terms     flow {terms.flow}, {terms.mode}, deadline {_moment(terms.deadline_unix_ms)}"
    yield from _side_lines("follower", report.follower)
    yield from _side_lines("decider", report.decider)
    if not report.is_pinned:
        yield "note      compare both chain ids with those you know, or give --network"


def _side_lines(role: str, side: ShownSide) -> Iterator[str]:
    leg = "leg opened" if side.is_opened else "leg not opened"
    yield f"{role:9} {side.chain_name}, chain {side.chain_id.hex()}"
    yield f"          {leg}; consent proven of {', '.join(side.consents) or 'nobody'}"
    for party in side.unproven_consents:
        yield f"          a signature in the name of {party}: key not proven to be {party}'s"
    if side.mandate is not None:
        listing, seller, height = side.mandate
        proven = f"proven in block {height}" if height != NOT_PROVEN else "not proven to be there"
        yield f"          sold from listing {listing}, the mandate of {seller}: {proven}"
    for record in side.records:
        why = f" ({record.reason})" if record.reason else ""
        when = _moment(record.time_unix_ms)
        yield f"          {record.state}{why} in block {record.height}, final, {when}"


def _moment(unix_ms: int) -> str:
    if not 0 <= unix_ms <= UNIX_MS_MAX:  # of a chain that nobody pinned
        return f"at {unix_ms} ms, a time that cannot be"
    return datetime.fromtimestamp(unix_ms // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


if __name__ == "__main__":
    sys.exit(main())
