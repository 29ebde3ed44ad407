"""`wutong governance`: the members of the nodes vote on what the chains are governed by."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from bizchain.contracts.cash.types import FEE_SCHEDULE, FEE_SCHEDULE_FORMAT, FeeSchedule
from bizchain.contracts.logistics.types import WATCH_LIMITS, WATCH_RANGES
from common.crypto.keyfile import load_signing_key
from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.governance.signing import Voter
from common.governance.subjects import CONTENT_BYTES_MAX
from common.governance.types import Ballot, standing
from common.ledger.grades import POLICY_TABLE, Policy
from common.ledger.versions import PARAMETER, Version
from common.rpc.council import CouncilClient
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record, print_records, say
from relay.cli.session import Session
from relay.cli.values import digest_of

__all__ = ["FromHeight", "Ground", "Hours", "Member", "add", "policy_record", "put_to_the_vote"]

HOUR_MS = 3_600_000
KINDS = "parameter, fee-schedule, policy-table, scorecard, template"

Kind = Annotated[str, typer.Argument(help=f"Kind of the subject: {KINDS}.")]
Name = Annotated[str, typer.Argument(help="Its name: deadline_min_ms, platform, or your own.")]
ProposalId = Annotated[str, typer.Argument(help="Id of the proposal, 64 hexadecimal digits.")]
Member = Annotated[
    str, typer.Option(envvar="WUTONG_MEMBER", help="Who signs: a member with a node of the chain.")
]
Hours = Annotated[int, typer.Option(min=1, max=720, help="How long votes count.")]
FromHeight = Annotated[
    int, typer.Option(min=0, help="In force not before this block; 0: once it is decided.")
]
Ground = Annotated[str, typer.Option(help="Why, for people.")]
Chain = Annotated[str, typer.Option(help="The chain that votes: bizchain or assetchain.")]


def add(root: typer.Typer) -> None:
    """Add the noun to the command line."""
    app = noun(root, "governance", "Votes of the nodes' members, and what is in force.")
    network_command(app, "propose")(propose)
    network_command(app, "vote")(vote)
    network_command(app, "close")(close)
    network_command(app, "show")(show)
    network_command(app, "list")(list_ballots)
    network_command(app, "in-force")(in_force)
    network_command(app, "history")(history)


async def propose(
    session: Session,
    kind: Kind,
    name: Name,
    member: Member,
    value: Annotated[int, typer.Option(help="The new value of a parameter.")] = 0,
    trade_basis_points: Annotated[
        int | None, typer.Option(help="Fee schedule: on the amount of a trade.")
    ] = None,
    management_basis_points: Annotated[
        int, typer.Option(help="Fee schedule: of the goods' value, for each day begun.")
    ] = 0,
    file: Annotated[
        Path | None, typer.Option(help="The content of another kind: its canonical bytes.")
    ] = None,
    hours: Hours = 72,
    from_height: FromHeight = 0,
    ground: Ground = "",
    chain: Chain = "bizchain",
) -> None:
    """Put a change to the vote. More than half of the members of the nodes pass it."""
    content = _content(kind, trade_basis_points, management_basis_points, file)
    await put_to_the_vote(
        session,
        chain,
        member,
        kind,
        name,
        value=value,
        content=content,
        hours=hours,
        from_height=from_height,
        ground=ground,
    )


async def put_to_the_vote(
    session: Session,
    chain: str,
    member: str,
    kind: str,
    name: str,
    *,
    content: bytes,
    hours: int,
    from_height: int,
    ground: str,
    value: int = 0,
) -> None:
    """Propose a change as a member, and say how the others vote on it."""
    proposal_id, outcome = await (await _council(session, chain)).propose_change(
        _voter(session, member),
        kind,
        name,
        value=value,
        content=content,
        activation_height=from_height,
        deadline_unix_ms=time.time_ns() // 1_000_000 + hours * HOUR_MS,
        ground=ground,
    )
    say(f"{kind}/{name} is put to the vote: final.")
    say(f"  wutong governance vote {proposal_id.hex()} --yes --member MEMBER --chain {chain}")
    record = {"chain": chain, "proposal_id": proposal_id, "height": outcome.height}
    print_record(record, session.output)


async def vote(
    session: Session,
    proposal: ProposalId,
    member: Member,
    yes: Annotated[bool, typer.Option("--yes/--no", help="For the change, or against it.")],
    chain: Chain = "bizchain",
) -> None:
    """Vote, once: a vote is not changed."""
    council = await _council(session, chain)
    voter = _voter(session, member)
    outcome = await council.vote_on_change(voter, digest_of(proposal), approve=yes)
    session.show_outcome(chain, f"{member} voted {'for' if yes else 'against'} it", outcome)


async def close(session: Session, proposal: ProposalId, chain: Chain = "bizchain") -> None:
    """Record that a proposal was not decided before its deadline."""
    outcome = await (await _council(session, chain)).close_proposal(digest_of(proposal))
    session.show_outcome(chain, "The proposal expired", outcome)


async def show(session: Session, proposal: ProposalId, chain: Chain = "bizchain") -> None:
    """Show a proposal and its votes, proven."""
    council = await _council(session, chain)
    proposal_id = digest_of(proposal)
    found = await council.ballot(proposal_id)
    asked = (await council.proposal(proposal_id)).value
    ballot = found.value
    assert ballot is not None, "a found ballot has a value"
    assert asked is not None, "a ballot is of a proposal"
    height = found.block.height
    record = _ballot_record(ballot, height) | {
        "ground": asked.ground,
        **_said(ballot.kind, asked.value, asked.content),
        "not_before_height": asked.activation_height,
        "votes": {one.member: "yes" if one.approve else "no" for one in ballot.votes},
        "voters": list(ballot.voters),
        "height": height,
    }
    print_record(record, session.output)


async def list_ballots(session: Session, chain: Chain = "bizchain") -> None:
    """List all votes, proven."""
    rows = await (await _council(session, chain)).ballots()
    records = [_ballot_record(row.value, row.block.height) for row in rows]
    columns = ("proposal_id", "kind", "name", "state", "yes", "no", "of", "deadline", "begins")
    print_records(records, session.output, columns=columns)


async def in_force(session: Session, kind: Kind, name: Name, chain: Chain = "bizchain") -> None:
    """Show what the next block is judged by, proven."""
    council = await _council(session, chain)
    found = await council.version_in_force(kind, name)
    record: dict[str, object] = {"kind": kind, "name": name, "version": 0}
    if found.version is not None:
        record = _version_record(found.version)
    elif kind == FEE_SCHEDULE:
        basis_points = (await council.ledger.genesis()).parameters.trade_fee_basis_points
        schedule = FeeSchedule(FEE_SCHEDULE_FORMAT, basis_points, 0)
        record |= _said(kind, 0, encode(schedule))
    elif kind == PARAMETER:
        parameters = (await council.ledger.genesis()).parameters
        record["value"] = getattr(parameters, name, None)
        if chain == "bizchain" and name in WATCH_RANGES:
            record["value"] = getattr(WATCH_LIMITS, name)
    if found.version is None and record.get("value", 0) is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no parameter {name}")
    print_record(record | {"height": found.height}, session.output)


async def history(session: Session, kind: Kind, chain: Chain = "bizchain") -> None:
    """List every version of a kind that was ever voted, proven."""
    rows = await (await _council(session, chain)).versions(kind)
    records = [_version_record(row.value) for row in rows]
    columns = ("kind", "name", "version", "begins", "value", "content_hash")
    print_records(records, session.output, columns=columns)


async def _council(session: Session, chain: str) -> CouncilClient:
    if chain == "bizchain":
        return await session.books()
    if chain == "assetchain":
        return await session.assets()
    raise typer.BadParameter(f"{chain!r} is no chain; there are bizchain and assetchain")


def _voter(session: Session, member: str) -> Voter:
    return Voter(member, load_signing_key(session.options.keys.member(member)))


def _content(kind: str, trade: int | None, management: int, file: Path | None) -> bytes:
    """What is voted on, but for the value of a parameter; a usage error for anything else."""
    if kind == FEE_SCHEDULE:
        if trade is None or file is not None:
            raise typer.BadParameter("a fee schedule is given by --trade-basis-points")
        return encode(FeeSchedule(FEE_SCHEDULE_FORMAT, trade, management))
    if kind == PARAMETER:
        if file is not None:
            raise typer.BadParameter("a parameter is given by --value")
        return b""
    if file is None:
        raise typer.BadParameter(f"the content of a {kind} is given by --file")
    with file.open("rb") as opened:
        content = opened.read(CONTENT_BYTES_MAX + 1)
    if len(content) > CONTENT_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"{file} has more than {CONTENT_BYTES_MAX} bytes")
    return content


def _ballot_record(ballot: Ballot, height: int) -> dict[str, object]:
    return {
        "proposal_id": ballot.proposal_id,
        "kind": ballot.kind,
        "name": ballot.name,
        "proposer": ballot.proposer,
        "state": standing(ballot, height),
        "yes": ballot.approvals,
        "no": ballot.rejections,
        "of": len(ballot.voters),
        "deadline": clock_of(ballot.deadline_unix_ms),
        "version": ballot.version,
        "begins": ballot.activation_height,
    }


def _version_record(row: Version) -> dict[str, object]:
    return {
        "kind": row.kind,
        "name": row.name,
        "version": row.version,
        "begins": row.activation_height,
        **_said(row.kind, row.value, row.content),
        "content_hash": row.content_hash,
        "proposal_id": row.proposal_id,
    }


def _said(kind: str, value: int, content: bytes) -> dict[str, object]:
    """What a change says, as far as this program can read it."""
    if kind == PARAMETER:
        return {"value": value}
    if kind == FEE_SCHEDULE:
        schedule = decode(FeeSchedule, content)
        return {
            "trade_basis_points": schedule.trade_basis_points,
            "management_basis_points_per_day": schedule.management_basis_points_per_day,
        }
    if kind == POLICY_TABLE:
        return policy_record(decode(Policy, content))
    return {"content_bytes": len(content)}


def policy_record(policy: Policy) -> dict[str, object]:
    """What a policy says."""
    return {
        "rows": {row.grade: list(row.kinds) for row in policy.rows},
        "warning_below": policy.warning_below,
        "recovery_hours": policy.recovery_waiting_ms // HOUR_MS,
    }
