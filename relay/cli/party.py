"""`wutong party` and `wutong hold`: who may do what, and what may not move."""

from __future__ import annotations

from typing import Annotated

import typer

from assetchain.client import AssetClient
from assetchain.contracts.lots.keys import LOT, ROOT
from bizchain.client import BusinessClient
from common.deadline import UNIX_MS_MAX
from common.ledger.holds import SUBJECT_KINDS
from common.ledger.identity import Party, RoleGrant, User
from relay.cli import authority
from relay.cli.command import network_command, noun
from relay.cli.output import clock_of, print_record, print_records
from relay.cli.session import Session
from relay.cli.values import digest_of, moment_of, public_key_of

__all__ = ["add"]

BUSINESS = "bizchain"

PartyId = Annotated[str, typer.Argument(help="Party id.")]
Kind = Annotated[str, typer.Argument(help=f"Kind of the subject: {', '.join(SUBJECT_KINDS)}.")]
SubjectId = Annotated[str, typer.Argument(help="Id of the subject; it need not exist yet.")]
Case = Annotated[str, typer.Option("--case", help="Case number of the authority.")]


def add(root: typer.Typer) -> None:
    """Add the nouns to the command line."""
    parties = noun(root, "party", "Parties of the platform, their users and roles.")
    network_command(parties, "propose")(propose)
    network_command(parties, "approve")(approve)
    network_command(parties, "show")(show)
    network_command(parties, "list")(list_parties)
    authority.add_to(parties)
    holds = noun(root, "hold", "Holds: what forbids new moves of a party, a receipt or a lot.")
    network_command(holds, "place")(place)
    network_command(holds, "lift")(lift)
    network_command(holds, "order")(order)
    network_command(holds, "show")(show_holds)


async def propose(
    session: Session,
    party: PartyId,
    name: Annotated[str, typer.Argument(help="Name of the organisation.")],
    role: Annotated[list[str], typer.Option(help="A role asked for; may be repeated.")],
    user: Annotated[
        list[str],
        typer.Option(help="USER (its key is in the key folder) or USER=PUBLICKEY; repeatable."),
    ],
    until: Annotated[
        str, typer.Option(help="Roles end at the end of this day, UTC: 2027-12-31.")
    ] = "",
    lei: Annotated[str, typer.Option(help="Legal entity identifier (ISO 17442).")] = "",
    identifier: Annotated[
        list[str] | None, typer.Option(help="SCHEME=TEXT: USCC=... or GLN=...; repeatable.")
    ] = None,
    document: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a document behind it; repeatable.")
    ] = None,
) -> None:
    """Propose a party, as an administrator; another administrator approves it."""
    ends_unix_ms = moment_of(until) if until else UNIX_MS_MAX
    grants = [RoleGrant(one, ends_unix_ms) for one in role]
    users = [_user(session, party, one) for one in user]
    books = await session.signing_books()
    identifiers = dict(_pair(one) for one in identifier or ())
    documents = [digest_of(one) for one in document or ()]
    outcome = await books.propose_party(party, name, grants, users, lei, identifiers, documents)
    session.show_outcome(BUSINESS, f"{party} is proposed", outcome)


async def approve(session: Session, party: PartyId) -> None:
    """Approve a proposed party, as another administrator than its maker; a regulator, as one."""
    outcome = await (await session.signing_books()).approve_party(party)
    session.certify(party)
    session.show_outcome(BUSINESS, f"{party} is active", outcome)


async def show(session: Session, party: PartyId) -> None:
    """Show one party, proven."""
    found = await (await session.books()).party(party)
    assert found.value is not None, "a found party has a value"
    record = _record(found.value) | {
        "users": [
            {"user": user.user_id, "public_key": user.public_key} for user in found.value.users
        ],
        "height": found.block.height,
    }
    print_record(record, session.output)


async def list_parties(session: Session) -> None:
    """List all parties, proven."""
    rows = await (await session.books()).parties()
    records = [_record(row.value) for row in rows]
    print_records(records, session.output, columns=("party", "name", "status", "roles"))


async def place(
    session: Session,
    kind: Kind,
    subject: SubjectId,
    case: Case,
    ground: Annotated[str, typer.Option(help="Why, for people.")],
) -> None:
    """Place a hold, as a regulator, an administrator or a warehouse. It holds on both chains."""
    outcome = await (await session.signing_books()).place_hold(kind, subject, case, ground)
    session.show_outcome(BUSINESS, f"{kind} {subject} is held", outcome)


async def lift(session: Session, kind: Kind, subject: SubjectId, case: Case) -> None:
    """Lift one's own hold. Other holds on the subject stay."""
    outcome = await (await session.signing_books()).lift_hold(kind, subject, case)
    session.show_outcome(BUSINESS, f"the hold {case} on {kind} {subject} is lifted", outcome)


async def show_holds(session: Session, kind: Kind, subject: SubjectId) -> None:
    """Show the holds on a subject and on all it was made of, proven. None is no error."""
    books = await session.books()
    records = []
    for named in await _subjects(session, kind, subject):
        found = await books.holds(*named)
        records += [
            {
                "on": " ".join(named),
                "authority": hold.authority,
                "case": hold.case_id,
                "ground": hold.ground,
                "since": clock_of(hold.since_unix_ms),
            }
            for hold in (found.value.holds if found.value else ())
        ]
    columns = ("on", "authority", "case", "ground", "since")
    print_records(records, session.output, columns=columns)


async def _subjects(session: Session, kind: str, subject: str) -> list[tuple[str, str]]:
    """A subject, and whatever a hold on which holds it: lots, receipts, and what made them."""
    if kind not in ("lot", "receipt"):
        return [(kind, subject)]
    assets, lot_id = await session.assets(), subject
    if kind == "receipt":
        root = (await assets.ledger.get(ROOT, ROOT.key(subject))).value
        if root is None:
            return [(kind, name) for name in await _made_of(await session.books(), subject)]
        lot_id = root.lot_id
    found = []
    for name in await _made_of(assets, lot_id):
        found.append(("lot", name))
        lot = (await assets.ledger.get(LOT, LOT.key(name))).value
        found += [("receipt", lot.receipt_id)] if lot else []
    return found


async def _made_of(client: AssetClient | BusinessClient, name: str) -> list[str]:
    """A lot or receipt, and all that it was made of, proven."""
    names = [name]
    for one in names:  # it grows while it is walked
        lineage = (await client.lineage(one)).value
        names += [parent for parent in lineage.parents if parent not in names] if lineage else []
    return names


def _user(session: Session, party: str, text: str) -> User:
    return User(*public_key_of(session.options.keys, party, text))


def _pair(text: str) -> tuple[str, str]:
    scheme, _, value = text.partition("=")
    if not value:
        raise typer.BadParameter(f"{text!r}: SCHEME=TEXT expected, for example USCC=9111...")
    return scheme, value


async def order(
    session: Session,
    kind: Kind,
    subject: SubjectId,
    case: Case,
    legal_basis: Annotated[str, typer.Option(help="The law or order it rests on.")],
    ground: Annotated[str, typer.Option(help="Why, for people.")],
) -> None:
    """Order a freeze, as a regulator: a hold with its legal basis. `wutong hold lift` ends it."""
    books = await session.signing_books()
    outcome = await books.order_freeze(kind, subject, case, legal_basis, ground)
    session.show_outcome(BUSINESS, f"{kind} {subject} is held", outcome)


def _record(party: Party) -> dict[str, object]:
    return {
        "party": party.party_id,
        "name": party.name,
        "legal_entity_identifier": party.legal_entity_identifier,
        "status": party.status,
        "roles": [grant.role for grant in party.roles],
    }
