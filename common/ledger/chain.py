"""What a chain is: one value, handed to a node that knows no chain.

    CHAIN = Chain(name="bizchain", operation_type=Operation, rules=RULES, legs=LEGS, ...)

A `Rule` is how one kind of operation is judged and carried out. `check` raises a `Refused` with a
numbered reason or returns a plan, and writes nothing (the state refuses it); `apply` carries the
plan out and cannot fail: anything it raises stops the node. Both see block time and the state,
never a clock, a random number or another process.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from common.encoding import Canonical, decode, encode
from common.errors import CommonReason, Refused
from common.ledger import outbox
from common.ledger.block import Event
from common.ledger.genesis import Genesis
from common.ledger.reading import ReadRules
from common.ledger.state import Reader, State

__all__ = [
    "Chain",
    "Context",
    "Invariant",
    "LegRules",
    "MessageRule",
    "Phase",
    "Rule",
    "SignatureClaim",
    "Violation",
]

P = TypeVar("P", bound=Message)
Plan = TypeVar("Plan")
C = TypeVar("C", bound=Canonical)


class Phase(enum.IntEnum):
    """When in a block a rule runs: what comes from the other chain goes first."""

    IMPORT = 0
    ACT = 1


class SignatureClaim(NamedTuple):
    """A signature inside an operation, so that it can be verified off the loop beforehand."""

    public_key: bytes
    message: bytes
    signature: bytes


class Context:
    """What a rule sees of the block and the state. One for each transaction.

    `sender` and `roles` are those of the verified signer; both empty for operations that carry
    their own justification. `time_unix_ms` is block time.
    """

    __slots__ = (
        "chain",
        "chain_id",
        "events",
        "height",
        "members",
        "node_set",
        "parameters",
        "position",
        "public_key",
        "roles",
        "sender",
        "state",
        "time_unix_ms",
        "verify",
    )

    def __init__(
        self,
        chain: Chain,
        chain_id: bytes,
        genesis: Genesis,
        state: State,
        height: int,
        time_unix_ms: int,
        verify: Callable[[bytes, bytes, bytes], bool],
    ) -> None:
        self.chain = chain
        self.chain_id = chain_id
        self.parameters = genesis.parameters
        self.members = genesis.members
        self.node_set = genesis.node_set
        self.state = state
        self.height = height
        self.time_unix_ms = time_unix_ms
        self.verify = verify
        self.events: list[Event] = []
        self.position = 0
        self.sender = ""
        self.public_key = b""
        self.roles: frozenset[str] = frozenset()

    def emit(self, kind: str, key: str, payload: Canonical) -> None:
        """Record a fact as an event of this block."""
        self.events.append(Event(self.position, kind, key, encode(payload)))

    def send(self, kind: str, payload: Canonical) -> None:
        """Send a one-way message to the other chain: numbered, kept until it is proven applied."""
        message = outbox.append(self.state, kind, encode(payload), self.height)
        self.emit("message", str(message.number), message)

    def require_role(self, *roles: str) -> None:
        """Raise `Refused(PERMISSION_DENIED)` unless the signer has one of `roles` in force."""
        if self.roles.isdisjoint(roles):
            raise Refused(
                CommonReason.PERMISSION_DENIED,
                f"{self.sender} has none of the roles {', '.join(sorted(roles))}",
            )


@dataclass(frozen=True, slots=True)
class Rule(Generic[P, Plan]):
    """How one kind of operation is judged and carried out.

    `signed` says whether a registered user must have signed the transaction; `signatures` lists the
    further signatures an operation carries.
    """

    payload: type[P]
    check: Callable[[Context, P], Plan]
    apply: Callable[[Context, P, Plan], None]
    signed: bool = True
    phase: Phase = Phase.ACT
    signatures: Callable[[P, bytes], Sequence[SignatureClaim]] | None = None


@dataclass(frozen=True, slots=True)
class MessageRule(Generic[C]):
    """How a message of the other chain is applied. Total: `check` may refuse, which is recorded."""

    payload: type[C]
    check: Callable[[Context, C], None]
    apply: Callable[[Context, C], None]


Facts = bytes
"""Canonical bytes a follower publishes about its reserved leg, for the decider's to agree with."""


def keep_nothing(_: Context, __: Canonical, ___: Facts) -> None:
    """The leg says all that is kept."""


@dataclass(frozen=True, slots=True)
class LegRules(Generic[C]):
    """One flow on one chain.

    `owners` are the parties whose consent the leg needs here. `check` raises a `Refused` unless the
    value is free (and, on a decider, agrees with the follower's facts), `check_unheld` where a hold
    lies on anything the leg moves: it is asked whenever the leg takes a step that is not decided
    yet, so a hold that comes between the two steps of a two-step transfer still beats it.

    `keep` stores, on a decider and as soon as its leg is reserved, what of the follower's facts its
    own leg does not say; whoever releases the leg forgets it.

    `variants` are legs of the same flow with more fields and rules of their own: a sale by mandate
    beside a sale by consent. Role, modes and who may decline are the flow's, as they stand here.
    """

    kind: type[C]
    role: str
    owners: Callable[[C], tuple[str, ...]]
    check: Callable[[Context, C, Facts], None]
    check_unheld: Callable[[Context, C], None]
    reserve: Callable[[Context, bytes, C], Facts]
    settle: Callable[[Context, bytes, C], None]
    release: Callable[[Context, bytes, C], None]
    modes: tuple[str, ...] = ("express", "two-step")
    can_decline: bool = True
    variants: tuple[LegRules[Any], ...] = ()
    keep: Callable[[Context, C, Facts], None] = keep_nothing

    def read(self, data: bytes) -> tuple[C, LegRules[C]]:
        """The leg in canonical bytes, and its rules: those of the flow, or of a variant of it.

        No two have the same number of fields, so one encoding is one leg. Raises `Malformed`.
        """
        for rules in self.variants:
            if data[:1] == encode(("",) * len(rules.kind.__struct_fields__))[:1]:
                return decode(rules.kind, data), rules
        return decode(self.kind, data), self


def found_nothing(_: State, __: Genesis) -> None:
    """No rows of the chain's own follow from its genesis."""


def permit_all(_: Context, __: str, ___: str) -> None:
    """No grade restricts anybody on this chain."""


class Violation(NamedTuple):
    """A broken invariant: its number in the business rules, and what was seen."""

    invariant: str
    message: str


Invariant = Callable[[Reader], Sequence[Violation]]
"""Recomputes one invariant from the whole state of a chain; returns what is broken."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Everything that makes a node a node of this chain."""

    name: str
    operation_type: type[Message]
    rules: Mapping[str, Rule[Any, Any]]
    legs: Mapping[str, LegRules[Any]]
    messages: Mapping[str, MessageRule[Any]] = field(default_factory=dict)
    invariants: Mapping[str, Invariant] = field(default_factory=dict)
    obeys_holds_of_peer: bool = False
    """True where holds come from the other chain: new moves then need a fresh header of it."""
    permit: Callable[[Context, str, str], None] = permit_all
    """Judges (party, kind of operation or flow) by the party's grade. Raises `Refused`."""
    found: Callable[[State, Genesis], None] = found_nothing
    """Writes the chain's own rows that follow from the genesis. Raises `Refused` for a bad one."""
    reading: ReadRules = field(default_factory=ReadRules)
    """What of the state and the events is private, and whom it concerns."""
