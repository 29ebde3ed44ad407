"""`wutong party`, the verbs after joining: roles, users, keys, suspension, grades, and who decides.

    wutong party grant acme buyer --until 2027-12-31 --as platform/maker
    wutong party changes list --open
    wutong party changes approve grant-role-acme-1f3a --as platform/checker

A verb begins a change. Signed by a user of the party itself it is an application, which two
administrators decide; signed by an administrator of another firm, a second one decides it.
"""

from __future__ import annotations

import secrets
from typing import Annotated

import typer
from msgspec.structs import asdict

from bizchain.authority_client import Details
from bizchain.contracts.authority.types import PartyChange
from common.crypto.keyfile import load_signing_key
from common.deadline import UNIX_MS_MAX
from common.ledger.grades import GRADES
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record, print_records
from relay.cli.session import Session
from relay.cli.values import moment_of, public_key_of

__all__ = ["add_to"]

BUSINESS = "bizchain"
OPEN = frozenset({"APPLIED", "PROPOSED", "WAITING"})
COLUMNS = ("change", "party", "kind", "state", "applicant", "maker", "checker", "since")

PartyId = Annotated[str, typer.Argument(help="Party id.")]
UserKey = Annotated[
    str, typer.Argument(help="USER (its key is in the key folder) or USER=PUBLICKEY.")
]
Role = Annotated[str, typer.Argument(help="Role: supplier, buyer, bank ...")]
ChangeId = Annotated[str, typer.Argument(help="Id of the change.")]
Until = Annotated[
    str, typer.Option(help="Ends at the end of this day, UTC: 2027-12-31. Without it, never.")
]
NewChange = Annotated[
    str, typer.Option("--change", help="Id of the change; one is made where none is given.")
]
Ground = Annotated[str, typer.Option(help="Why, for people.")]


def add_to(parties: typer.Typer) -> None:
    """Add the verbs to `wutong party`."""
    network_command(parties, "reject")(reject)
    network_command(parties, "grant")(grant)
    network_command(parties, "revoke")(revoke)
    network_command(parties, "suspend")(suspend)
    network_command(parties, "close")(close)
    network_command(parties, "resume")(resume)
    network_command(parties, "add-user")(add_user)
    network_command(parties, "remove-user")(remove_user)
    network_command(parties, "replace-key")(replace_key)
    network_command(parties, "recover")(recover)
    network_command(parties, "key")(key)
    network_command(parties, "grade")(grade)
    network_command(parties, "let-read")(let_read)
    network_command(parties, "stop-reading")(stop_reading)
    changes = noun(parties, "changes", "Changes of parties: what waits, and who decides.")
    network_command(changes, "list")(list_changes)
    network_command(changes, "show")(show_change)
    network_command(changes, "approve")(approve_party_change)
    network_command(changes, "reject")(reject_party_change)
    network_command(changes, "object")(object_to_party_change)
    network_command(changes, "complete")(complete_party_change)


# --- beginning a change -------------------------------------------------------------------------


async def grant(
    session: Session,
    party: PartyId,
    role: Role,
    until: Until = "",
    change: NewChange = "",
    ground: Ground = "",
) -> None:
    """Grant a role, or renew it."""
    details: Details = {"role": role, "until_unix_ms": _until(until)}
    await _begin(session, "grant_role", party, change, ground, details)


async def revoke(
    session: Session, party: PartyId, role: Role, change: NewChange = "", ground: Ground = ""
) -> None:
    """Revoke a role. The last one stays: suspend or close such a party."""
    await _begin(session, "revoke_role", party, change, ground, {"role": role})


async def suspend(
    session: Session, party: PartyId, change: NewChange = "", ground: Ground = ""
) -> None:
    """Suspend a party: it signs nothing, and is still paid."""
    await _begin(session, "suspend", party, change, ground, {})


async def close(
    session: Session, party: PartyId, change: NewChange = "", ground: Ground = ""
) -> None:
    """Close a party for ever: it starts nothing new."""
    await _begin(session, "close", party, change, ground, {})


async def resume(
    session: Session, party: PartyId, change: NewChange = "", ground: Ground = ""
) -> None:
    """Resume a suspended party."""
    await _begin(session, "resume", party, change, ground, {})


async def add_user(
    session: Session, party: PartyId, user: UserKey, change: NewChange = "", ground: Ground = ""
) -> None:
    """Add a user: the firm itself applies for it."""
    await _begin(session, "add_user", party, change, ground, _user(session, party, user))


async def remove_user(
    session: Session,
    party: PartyId,
    user: Annotated[str, typer.Argument(help="User id.")],
    change: NewChange = "",
    ground: Ground = "",
) -> None:
    """Remove a user. The last one stays: suspend or close such a party."""
    await _begin(session, "remove_user", party, change, ground, {"user_id": user})


async def replace_key(
    session: Session, party: PartyId, user: UserKey, change: NewChange = "", ground: Ground = ""
) -> None:
    """Give a colleague another key: the firm itself applies for it."""
    await _begin(session, "replace_key", party, change, ground, _user(session, party, user))


async def recover(
    session: Session, party: PartyId, user: UserKey, change: NewChange = "", ground: Ground = ""
) -> None:
    """Recover a lost key: after approval it waits, so that its owner can object."""
    await _begin(session, "recover_key", party, change, ground, _user(session, party, user))


async def grade(
    session: Session,
    party: PartyId,
    letters: Annotated[str, typer.Argument(metavar="GRADE", help=", ".join(GRADES))],
    until: Until = "",
    change: NewChange = "",
    ground: Ground = "",
) -> None:
    """Set the credit grade of a party."""
    details: Details = {"grade": letters, "until_unix_ms": _until(until)}
    await _begin(session, "set_grade", party, change, ground, details)


async def let_read(
    session: Session,
    party: PartyId,
    reader: Annotated[str, typer.Argument(help="Party id of the regulator.")],
    until: Until = "",
    change: NewChange = "",
    ground: Ground = "",
) -> None:
    """Let a regulator read a party."""
    details: Details = {"reader": reader, "until_unix_ms": _until(until)}
    await _begin(session, "grant_reading", party, change, ground, details)


async def stop_reading(
    session: Session,
    party: PartyId,
    reader: Annotated[str, typer.Argument(help="Party id of the regulator.")],
    change: NewChange = "",
    ground: Ground = "",
) -> None:
    """End a regulator's grant to read a party."""
    await _begin(session, "revoke_reading", party, change, ground, {"reader": reader})


async def key(
    session: Session,
    new: Annotated[str, typer.Argument(help="Name of the new key in the key folder.")],
) -> None:
    """Change one's own key, at once. `wutong keys generate PARTY NAME` makes the new one."""
    signer = session.options.require_signer()
    path = session.options.keys.user(signer.party_id, new)
    outcome = await (await session.signing_books()).change_key(load_signing_key(path))
    told = f"{signer} signs with the key of {signer.party_id}/{new} from now on"
    session.show_outcome(BUSINESS, told, outcome)


async def reject(session: Session, party: PartyId, ground: Ground) -> None:
    """Reject a proposed party, as an administrator. It may be proposed again."""
    outcome = await (await session.signing_books()).reject_party(party, ground)
    session.show_outcome(BUSINESS, f"{party} is rejected", outcome)


# --- deciding -----------------------------------------------------------------------------------


async def list_changes(
    session: Session,
    party: Annotated[str, typer.Option(help="Those of this party alone.")] = "",
    still_open: Annotated[bool, typer.Option("--open", help="Those that wait alone.")] = False,
) -> None:
    """List changes of parties, proven; applications to join are among them."""
    rows = await (await session.books()).changes()
    records = [
        _record(row.value)
        for row in rows
        if party in {"", row.value.party_id} and (not still_open or row.value.state in OPEN)
    ]
    print_records(records, session.output, columns=COLUMNS)


async def show_change(session: Session, change: ChangeId) -> None:
    """Show one change, proven."""
    found = await (await session.books()).change(change)
    assert found.value is not None, "a found change has a value"
    value = found.value
    record = _record(value) | {
        "details": {name: one for name, one in asdict(value.details).items() if one},
        "identifiers": value.identifiers,
        "documents": value.documents,
        "ground": value.ground,
        "due": clock_of(value.due_unix_ms),
        "ended_by": value.ended_by,
        "end_ground": value.end_ground,
        "height": found.block.height,
    }
    print_record(record, session.output)


async def approve_party_change(session: Session, change: ChangeId) -> None:
    """Take up an application, or approve a proposal, as an administrator of another firm."""
    outcome = await (await session.signing_books()).approve_party_change(change)
    found = await (await session.books()).change(change)
    state = found.value.state if found.value else ""
    session.show_outcome(BUSINESS, f"{change} is {state}", outcome)


async def reject_party_change(session: Session, change: ChangeId, ground: Ground) -> None:
    """Reject a change, as an administrator of another firm; or withdraw one's own application."""
    outcome = await (await session.signing_books()).reject_party_change(change, ground)
    session.show_outcome(BUSINESS, f"{change} has ended", outcome)


async def object_to_party_change(session: Session, change: ChangeId, ground: Ground) -> None:
    """Object to the recovery of a key that is not lost, as a user of the party."""
    outcome = await (await session.signing_books()).object_to_party_change(change, ground)
    session.show_outcome(BUSINESS, f"{change} has ended", outcome)


async def complete_party_change(session: Session, change: ChangeId) -> None:
    """Put a recovery in force whose waiting time is over, as an administrator."""
    outcome = await (await session.signing_books()).complete_party_change(change)
    session.show_outcome(BUSINESS, f"{change} is in force", outcome)


# --- parts --------------------------------------------------------------------------------------


async def _begin(
    session: Session,
    kind: str,
    party: str,
    change: str,
    ground: str,
    details: Details,
) -> None:
    change = change or f"{kind.replace('_', '-')}-{party[:40]}-{secrets.token_hex(4)}"
    books = await session.signing_books()
    outcome = await books.propose_party_change(change, party, kind, details, ground=ground)
    session.show_outcome(BUSINESS, f"{change} is begun: another person approves it", outcome)


def _until(text: str) -> int:
    return moment_of(text) if text else UNIX_MS_MAX


def _user(session: Session, party: str, text: str) -> Details:
    user_id, public_key = public_key_of(session.options.keys, party, text)
    return {"user_id": user_id, "public_key": public_key}


def _record(change: PartyChange) -> dict[str, object]:
    return {
        "change": change.change_id,
        "party": change.party_id,
        "kind": change.kind,
        "state": change.state,
        "applicant": change.applicant,
        "maker": change.maker,
        "checker": change.checker,
        "since": clock_of(change.since_unix_ms),
    }
