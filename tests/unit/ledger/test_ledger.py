"""The ledger: one atomic step a block, provable reads at final heights, the same on every node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from common.crypto import merkle
from common.crypto.signing import verify
from common.crypto.stateproof import verify_state
from common.crypto.statetree import VERSIONS_KEPT
from common.encoding import Malformed, decode, encode
from common.errors import CommonReason, InvariantBroken, Refused, StorageFailed
from common.ledger.block import Block, Event, Header, TransactionReceipt, decode_leaf, header_hash
from common.ledger.certificate import Misbehaviour
from common.ledger.genesis import chain_id_of
from common.ledger.identity import PARTY
from common.ledger.ledger import Ledger
from common.ledger.state import Commitment, State, Table, table_of, tables
from common.ledger.transition import parse_all
from common.storage.memory import MemoryStateStore
from tests.kit import tally
from tests.kit.tally import ACCOUNT, Account
from tests.kit.tally_ledger import TallyLedger

GOLDEN = Path(__file__).parents[2] / "golden" / "header.json"
ACME = ACCOUNT.key("acme")


# --- the header ----------------------------------------------------------------------------------


def golden_header() -> Header:
    made = TallyLedger()
    made.apply(made.deposit("acme", 5, 1))
    made.apply(made.pay("acme", "zeta", 2, 2), b"rubbish")
    return made.ledger.header


def test_a_header_is_the_bytes_it_always_was() -> None:
    """Stored headers and signatures hang on these bytes: they change only with a new version."""
    known = json.loads(GOLDEN.read_text())
    header = golden_header()
    assert encode(header).hex() == known["header"]
    assert header_hash(header).hex() == known["header_hash"]
    assert header.state_root.hex() == known["state_root"]
    assert header.event_root.hex() == known["event_root"]
    assert chain_id_of(tally.make_genesis()).hex() == known["chain_id"]
    assert decode(Header, bytes.fromhex(known["header"])) == header


def test_every_field_of_a_header_is_in_its_hash() -> None:
    header = golden_header()
    hashes = {header_hash(header)}
    for name, value in asdict(header).items():
        changed = value + 1 if isinstance(value, int) else bytes(32)
        hashes.add(header_hash(replace(header, **{name: changed})))
    assert len(hashes) == 1 + len(asdict(header))


def test_headers_chain_and_commit_to_block_and_events() -> None:
    made = TallyLedger()
    before = made.ledger.header_hash
    raw = made.deposit("acme", 5, 1)
    applied = made.apply(raw)
    header = applied.header
    assert (header.parent_hash, header.height, header.chain_id) == (before, 1, made.chain_id)
    assert header.transaction_root == merkle.MerkleTree([raw]).root
    assert header.event_root == merkle.MerkleTree(made.ledger.leaves_at(1)).root
    assert made.ledger.hash_at(1) == header_hash(header)


def test_two_nodes_with_one_log_compute_one_header_whenever_they_restart() -> None:
    steady, restless = TallyLedger(), TallyLedger()
    for number in range(20):
        raws = (steady.deposit("acme", number, number), steady.pay("acme", "zeta", 3, 100 + number))
        steady.apply(*raws)
        restless.reopen()
        restless.apply(*raws)
        assert steady.ledger.header == restless.ledger.header


# --- receipts and events -------------------------------------------------------------------------


def test_receipts_come_first_then_events_in_the_order_of_the_block() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 9, 1))
    made.apply(made.pay("acme", "zeta", 2, 2), b"rubbish", made.pay("acme", "bank", 3, 3))
    leaves = [decode_leaf(leaf) for leaf in made.ledger.leaves_at(2)]
    receipts, events = leaves[:3], leaves[3:]
    assert all(isinstance(leaf, TransactionReceipt) for leaf in receipts)
    assert [(event.position, event.key) for event in events if isinstance(event, Event)] == [
        (0, "zeta"),
        (2, "bank"),
    ]
    tree = made.ledger.event_tree(2)
    for place, leaf in enumerate(made.ledger.leaves_at(2)):
        merkle.verify_inclusion(made.ledger.header.event_root, 5, place, leaf, tree.path(place))


def test_imports_run_before_everything_else_in_a_block() -> None:
    """A payment that stands before the deposit it needs still finds the money."""
    made = TallyLedger()
    applied = made.apply(made.pay("acme", "zeta", 5, 1), made.deposit("acme", 5, 2))
    assert [receipt.code for receipt in applied.receipts] == [0, 0]
    assert [receipt.position for receipt in applied.receipts] == [0, 1]


def test_a_refused_transaction_leaves_a_receipt_and_no_other_trace() -> None:
    made, empty = TallyLedger(), TallyLedger()
    made.apply(made.pay("acme", "zeta", 5, 1), b"rubbish", made.pay("nobody", "zeta", 1, 1))
    empty.apply()
    assert made.ledger.header.state_root == empty.ledger.header.state_root
    receipts = [decode_leaf(leaf) for leaf in made.ledger.leaves_at(1)]
    assert [receipt.code for receipt in receipts if isinstance(receipt, TransactionReceipt)] == [
        CommonReason.AMOUNT_OUT_OF_RANGE.number,
        CommonReason.MALFORMED.number,
        CommonReason.SIGNER_UNKNOWN.number,
    ]


@pytest.mark.parametrize("amount", [1, 2], ids=["a check that writes", "an apply that fails"])
def test_a_rule_that_breaks_its_word_stops_the_node_and_writes_nothing(amount: int) -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 5, 1))
    burning = tally.make_transaction(made.chain_id, "bank", tally.burn(amount), 2).raw
    with pytest.raises(InvariantBroken):
        made.apply(made.deposit("acme", 5, 3), burning)
    made.reopen()
    assert made.ledger.applied_height == 1
    assert made.units("acme") == 5


@pytest.mark.parametrize("leaf", [b"", b"\x93", encode((1, 2, 3)), encode(("event", 1))])
def test_what_is_no_leaf_is_malformed(leaf: bytes) -> None:
    with pytest.raises(Malformed):
        decode_leaf(leaf)


# --- one atomic step -----------------------------------------------------------------------------


def test_blocks_are_applied_in_order_and_each_later_than_the_one_before() -> None:
    made = TallyLedger()
    for height in (0, 2):
        with pytest.raises(InvariantBroken):
            made.ledger.apply(height, Block(tally.START_UNIX_MS + 1, ()), [])
    with pytest.raises(InvariantBroken):
        made.ledger.apply(1, Block(tally.START_UNIX_MS, ()), [])


class CutStore(MemoryStateStore):
    """A store whose process ends at a chosen write, before or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes_left = 1_000
        self.largest = 0

    def write(self, rows) -> None:  # type: ignore[no-untyped-def]
        rows = list(rows)
        self.largest = max(self.largest, len(self._later) + len(rows))
        if self.writes_left == 0:
            raise StorageFailed("the process ends here")
        self.writes_left -= 1
        super().write(rows)


def test_a_block_and_all_it_made_are_one_write() -> None:
    store = CutStore()
    made = TallyLedger(store=store)
    store.writes_left = 1
    made.apply(made.deposit("acme", 5, 1), made.pay("acme", "zeta", 2, 2))
    store.flush()
    assert store.writes_left == 0
    assert store.largest >= 8
    made.apply(made.deposit("acme", 7, 3))
    with pytest.raises(StorageFailed):
        store.flush()
    store.crash()
    store.writes_left = 10
    made.reopen()
    assert (made.ledger.applied_height, made.units("acme"), made.units("zeta")) == (1, 3, 2)
    made.apply(made.deposit("acme", 7, 3))
    twin = TallyLedger()
    twin.apply(twin.deposit("acme", 5, 1), twin.pay("acme", "zeta", 2, 2))
    twin.apply(twin.deposit("acme", 7, 3))
    assert made.ledger.header == twin.ledger.header


@pytest.mark.parametrize("kept", range(7))
def test_an_end_of_the_machine_leaves_whole_heights_or_a_state_that_says_so(kept: int) -> None:
    made = TallyLedger()
    made.store.sync()
    blocks = [(made.deposit("acme", 5, number),) for number in range(6)]
    headers = [made.ledger.header]
    for raws in blocks:
        headers.append(made.apply(*raws).header)
        made.store.flush()
    made.store.crash_system(kept=kept)
    assert made.store.suspect
    made.store._suspect = False  # what the real store would show if it trusted its file
    ledger = made.reopen()
    assert ledger.applied_height == kept
    assert ledger.header == headers[kept]
    for raws in blocks[kept:]:
        made.apply(*raws)
    assert made.ledger.header == headers[-1]


def test_a_state_that_is_not_whole_is_not_opened() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 5, 1))
    [(key, bucket)] = made.store.scan(b"\x83", limit=1)
    made.store.write([(key, bucket[:-1] + bytes([bucket[-1] ^ 1]))])
    with pytest.raises(InvariantBroken):
        made.reopen()


def test_a_state_without_the_header_it_names_is_not_opened() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 5, 1))
    [(key, _)] = made.store.scan(b"\x80", limit=1, reverse=True)
    made.store.write([(key, None)])
    with pytest.raises(InvariantBroken, match="is not whole"):
        made.reopen()


# --- finality ------------------------------------------------------------------------------------


def test_a_certificate_makes_every_height_up_to_its_own_final() -> None:
    made = TallyLedger()
    for _ in range(5):
        made.apply()
    made.certify(3)
    assert (made.ledger.final_height, made.ledger.certified_through) == (3, 0)
    assert made.ledger.certified_at_or_after(1) == 3
    assert made.ledger.certificate_at(2) is None
    made.certify(1)
    made.certify(2)
    assert made.ledger.certified_through == 3
    made.certify(5)
    made.reopen()
    assert (made.ledger.final_height, made.ledger.certified_through) == (5, 3)
    assert made.ledger.certified_at_or_after(4) == 5
    assert made.ledger.certified_at_or_after(6) is None


def test_a_certificate_of_another_header_or_an_unapplied_height_is_refused() -> None:
    made, other = TallyLedger(), TallyLedger()
    made.apply()
    other.apply(other.deposit("acme", 1, 1))
    with pytest.raises(Refused):
        made.ledger.certify(other.certificate(1))
    other.apply()
    with pytest.raises(Refused):
        made.ledger.certify(other.certificate(2))
    assert made.ledger.final_height == 0


def test_evidence_is_kept_once_for_each_kind_node_and_height() -> None:
    made = TallyLedger()
    found = Misbehaviour("double-vote", 7, "core-1", (b"a", b"b"))
    made.ledger.keep_misbehaviour(found)
    made.ledger.keep_misbehaviour(replace(found, parts=(b"later",)))
    made.ledger.keep_misbehaviour(replace(found, height=8))
    assert made.reopen().misbehaviour() == [found, replace(found, height=8)]


# --- reading -------------------------------------------------------------------------------------


def test_values_are_read_and_proven_as_they_were_at_each_kept_height() -> None:
    made = TallyLedger()
    for number in range(1, 100):
        made.apply(made.deposit("acme", 1, number))
        made.certify()
    ledger = made.ledger
    oldest = 99 - (VERSIONS_KEPT - 1)
    for height in range(oldest, 100):
        value, proof = ledger.prove_state(height, ACME)
        assert value == encode(Account(height))
        verify_state(ledger.header_at(height).state_root, ACME, value, proof)
        with pytest.raises(Refused):
            verify_state(ledger.header_at(height).state_root, ACME, None, proof)
    absent, proof = ledger.prove_state(99, ACCOUNT.key("nobody"))
    assert absent is None
    verify_state(ledger.header.state_root, ACCOUNT.key("nobody"), None, proof)
    for height in (0, oldest - 1, 100):
        with pytest.raises(Refused) as refused:
            ledger.prove_state(height, ACME)
        assert refused.value.reason is CommonReason.HEIGHT_NOT_KEPT


def test_while_nothing_is_final_the_last_final_state_stays_readable() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 1, 1))
    made.certify()
    for number in range(2, 34):
        made.apply(made.deposit("acme", 1, number))
    value, proof = made.ledger.prove_state(1, ACME)
    assert value == encode(Account(1))
    verify_state(made.ledger.header_at(1).state_root, ACME, value, proof)


def test_a_list_is_that_of_its_height_whatever_was_written_since() -> None:
    made = TallyLedger()
    names = [f"party-{number:02}" for number in range(20)]
    made.apply(*[made.deposit(name, 1, number) for number, name in enumerate(names[::2])])
    made.certify()
    made.apply(*[made.deposit(name, 1, 100 + number) for number, name in enumerate(names)])
    for height, expected in ((0, []), (1, names[::2]), (2, names)):
        listed: list[bytes] = []
        after = None
        while page := made.ledger.scan_at(height, ACCOUNT.prefix, after=after, limit=3):
            listed += [key for key, _ in page]
            after = page[-1][0]
        assert listed == [ACCOUNT.key(name) for name in sorted(expected)]


def test_only_keys_of_provable_tables_are_proven() -> None:
    made = TallyLedger()
    for key in (b"", b"\x0babc", b"\x80abc", b"\x7c"):
        with pytest.raises(Refused):
            made.ledger.prove_state(0, key)
    value, proof = made.ledger.prove_state(0, PARTY.key("acme"))
    assert value is not None
    verify_state(made.ledger.header.state_root, PARTY.key("acme"), value, proof)


def test_heights_that_are_not_there_are_refused() -> None:
    ledger = TallyLedger().ledger
    for height in (-1, 1, 2**63):
        for read in (ledger.header_at, ledger.leaves_at, ledger.hash_at, ledger.event_tree):
            with pytest.raises(Refused):
                read(height)


def test_a_ledger_begins_with_as_many_rows_as_it_is_given() -> None:
    rows = [(ACCOUNT.key(f"p{number:05}"), encode(Account(number))) for number in range(3_000)]
    genesis = tally.make_genesis()
    ledgers = [
        Ledger.open(tally.CHAIN, genesis, MemoryStateStore(), verify, further_rows=iter(rows))
        for _ in range(2)
    ]
    assert ledgers[0].header == ledgers[1].header != TallyLedger().ledger.header
    value, proof = ledgers[0].prove_state(0, rows[7][0])
    assert value == rows[7][1]
    verify_state(ledgers[0].header.state_root, rows[7][0], value, proof)


# --- tables --------------------------------------------------------------------------------------


def test_each_table_has_its_own_byte_and_every_key_finds_its_table() -> None:
    names = [table.name for table in tables().values()]
    assert len(set(names)) == len(names)
    assert all(len(prefix) == 1 and prefix[0] < 0x80 for prefix in tables())
    assert table_of(ACME) is ACCOUNT
    with pytest.raises(KeyError):
        table_of(b"\x7c")
    for prefix in (ACCOUNT.prefix, b"\x80", b"", b"ab"):
        with pytest.raises(InvariantBroken):
            Table(prefix, "another", Account, Commitment.TREE)
    assert table_of(ACME) is ACCOUNT


def test_a_table_takes_its_own_type_and_keys_and_nothing_while_a_rule_checks() -> None:
    state = State(MemoryStateStore())
    party = tally.make_party("acme", "buyer")
    with pytest.raises(InvariantBroken):
        state.put(ACCOUNT, ACME, party)  # type: ignore[misc]
    with pytest.raises(InvariantBroken):
        state.put(ACCOUNT, PARTY.key("acme"), Account(1))
    with pytest.raises(InvariantBroken):
        state.delete(ACCOUNT, PARTY.key("acme"))
    state.writable = False
    with pytest.raises(InvariantBroken):
        state.put(ACCOUNT, ACME, Account(1))
    with pytest.raises(InvariantBroken):
        state.delete(ACCOUNT, ACME)


def test_text_and_bytes_make_one_key() -> None:
    assert ACCOUNT.key("acme", "EUR") == b"\x7eacme/EUR"
    assert ACCOUNT.key("acme", b"\x00\x01") == b"\x7eacme/\x00\x01"
    assert ACCOUNT.key() == b"\x7e"


def test_reads_see_the_writes_of_the_block_and_committed_rows_do_not() -> None:
    store = MemoryStateStore()
    state = State(store)
    store.write([(ACCOUNT.key(name), encode(Account(1))) for name in ("a", "b", "c")])
    state.put(ACCOUNT, ACCOUNT.key("bb"), Account(2))
    state.delete(ACCOUNT, ACCOUNT.key("a"))
    seen = [(key[1:], row.units) for key, row in state.scan(ACCOUNT)]
    assert seen == [(b"b", 1), (b"bb", 2), (b"c", 1)]
    assert [key[1:] for key, _ in state.scan(ACCOUNT, "b")] == [b"b", b"bb"]
    assert [key[1:] for key, _ in state.scan(ACCOUNT, after=ACCOUNT.key("b"))] == [b"bb", b"c"]
    assert [key[1:] for key, _ in state.committed_rows(ACCOUNT, 2)] == [b"a", b"b"]
    assert state.get(ACCOUNT, ACCOUNT.key("a")) is None
    assert state.take_changes() == [
        (ACCOUNT.key("a"), encode(Account(1)), None),
        (ACCOUNT.key("bb"), None, encode(Account(2))),
    ]
    assert state.take_changes() == []


def test_a_block_parses_once_and_tells_what_it_could_not_read() -> None:
    made = TallyLedger()
    parsed = parse_all(tally.CHAIN, Block(1, (b"rubbish", made.deposit("acme", 1, 1))))
    assert isinstance(parsed[0], Refused)
    assert parsed[0].reason is CommonReason.MALFORMED
