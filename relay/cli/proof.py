"""`wutong proof`: a value of a ledger in a file that anybody can check offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from common.encoding import encode
from common.errors import CommonReason, Refused
from common.networkfile import load_network
from relay.cli.command import local_command, network_command, noun
from relay.cli.output import Output, clock_of, print_record, say
from relay.cli.prooffile import SUBJECTS, ProofFile, subject_of, verify_proof
from relay.cli.session import Session
from relay.cli.values import digest_of

__all__ = ["add"]

FILE_BYTES_MAX = 4 * 1024 * 1024


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "proof", "Proofs that need no node to be checked.")
    network_command(app, "get")(get)
    local_command(app, "verify")(verify)


async def get(
    session: Session,
    subject: Annotated[
        str,
        typer.Argument(help=f"KIND/ID..., as cash/PARTY/CURRENCY; kinds: {', '.join(SUBJECTS)}."),
    ],
) -> None:
    """Print the proof of a value, or of its absence, as JSON: redirect it to a file."""
    try:
        asked = subject_of(subject)
    except Refused as refused:
        raise typer.BadParameter(refused.message) from None
    client = await session.ledger(asked.chain)
    found = await client.get(asked.table, asked.key)
    shown = found.evidence
    file = ProofFile(
        asked.chain,
        asked.text,
        asked.key,
        shown.entry.value,
        shown.entry.present,
        shown.entry.proof,
        shown.block.header,
        shown.block.certificate,
        encode(await client.genesis()),
    )
    say(f"{subject} is {'there' if file.present else 'absent'} at height {found.block.height}.")
    print(json.dumps(file.to_record(), indent=2))


def verify(
    output: Output,
    file: Annotated[Path, typer.Argument(help="The file `wutong proof get` printed.")],
    network: Annotated[
        Path, typer.Option(envvar="WUTONG_NETWORK", help="The network.toml to pin.")
    ] = Path(".wutong/network.toml"),
    chain_id: Annotated[
        str, typer.Option(help="Pin this chain id instead: 64 hexadecimal digits.")
    ] = "",
) -> None:
    """Check a proof offline. Exit code 3 where it does not hold."""
    proof = ProofFile.from_text(_read(file))
    pinned = digest_of(chain_id) if chain_id else load_network(network).chain(proof.chain).chain_id
    verified = verify_proof(proof, pinned)
    header = verified.final.header
    say(f"{file} holds: {proof.subject} was so, and final.")
    record: dict[str, object] = {
        "subject": proof.subject,
        "chain": proof.chain,
        "height": header.height,
        "time": clock_of(header.time_unix_ms),
        "present": verified.value is not None,
    }
    if verified.value is not None:
        record["value"] = msgspec.structs.asdict(verified.value)
    print_record(record, output)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(CommonReason.NOT_FOUND, f"{path}: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"{path} is larger than any proof")
    return data.decode("utf-8", "replace")
