"""`wutong status`, `block` and `transaction`: where the chains stand, and what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.block import Block, TransactionReceipt
from common.ledger.certificate import Certificate
from common.ledger.transaction import parse
from common.rpc.client import LedgerClient
from common.v1.ledger_service_pb2 import GetStatusResponse
from relay.audit.chains import CHAINS
from relay.cli.command import network_command, noun
from relay.cli.output import Output, clock_of, print_record, print_records, say
from relay.cli.session import Session
from relay.cli.values import digest_of

__all__ = ["add"]

ROOT_SHOWN_CHARACTERS = 16

ChainName = Annotated[str, typer.Argument(help="bizchain or assetchain.")]


def add(root: typer.Typer) -> None:
    """Add the commands to the command line."""
    network_command(root, "status")(status)
    blocks = noun(root, "block", "Final blocks.")
    network_command(blocks, "show")(show_block)
    transactions = noun(root, "transaction", "What became of a transaction.")
    network_command(transactions, "show")(show_transaction)


async def status(session: Session) -> None:
    """Show where every node of both chains and the relay stand. What nodes say is not proven."""
    session.as_operator()
    records: list[dict[str, object]] = []
    quorums = True
    for chain in session.network.chains:
        client = await session.ledger(chain.name)
        said = await asyncio.gather(*(_said(client, node.node_id) for node in chain.nodes))
        up = [answer for answer in said if isinstance(answer, GetStatusResponse)]
        quorums = quorums and 3 * len(up) > 2 * len(chain.nodes)
        highest = max((answer.final_height for answer in up), default=0)
        for node, answer in zip(chain.nodes, said, strict=True):
            records.append({"chain": chain.name, "node": node.node_id} | _node(answer, highest))
    relay = await _relay(session)
    _print_status(records, relay, session.output)
    if not quorums:
        raise Refused(CommonReason.NO_QUORUM, "fewer nodes of a chain are up than a quorum")


async def show_block(
    session: Session, chain: ChainName, height: Annotated[int, typer.Argument(min=1)]
) -> None:
    """Show a final block, proven: header, signers, and what became of each transaction."""
    session.as_operator()
    client = await session.ledger(chain)
    block = await client.block(height)
    header = block.final.header
    certificate = decode(Certificate, block.certified.certificate)
    raws = decode(Block, block.body).transactions
    receipts = [leaf for leaf in block.leaves if isinstance(leaf, TransactionReceipt)]
    record = {
        "chain": chain,
        "height": height,
        "time": clock_of(header.time_unix_ms),
        "header_hash": block.final.header_hash,
        "parent_hash": header.parent_hash,
        "transaction_root": header.transaction_root,
        "event_root": header.event_root,
        "state_root": header.state_root,
        "signers": sorted(vote.node_id for vote in certificate.signatures),
        "transactions": [
            _transaction(chain, raw, receipt) for raw, receipt in zip(raws, receipts, strict=True)
        ],
        "events": len(block.leaves) - len(receipts),
    }
    print_record(record, session.output)


async def show_transaction(
    session: Session,
    chain: ChainName,
    transaction_id: Annotated[str, typer.Argument(help="64 hexadecimal digits.")],
) -> None:
    """Show what became of a transaction, proven. Exit code 3 where a rule refused it."""
    outcome = await (await session.ledger(chain)).transaction(digest_of(transaction_id))
    reason = outcome.reason
    record = {
        "chain": chain,
        "transaction_id": outcome.transaction_id,
        "outcome": reason.name if reason else "took effect",
        "message": outcome.message,
        "height": outcome.height,
        "position": outcome.position,
        "time": clock_of(outcome.time_unix_ms),
    }
    print_record(record, session.output)
    outcome.require_success()


async def _said(client: LedgerClient, node_id: str) -> GetStatusResponse | Refused:
    try:
        return await client.status(node_id)
    except Refused as refused:
        return refused


def _node(said: GetStatusResponse | Refused, highest: int) -> dict[str, object]:
    if isinstance(said, Refused):
        return {"role": "down", "why": said.message}
    return {
        "role": said.role,
        "term": said.term,
        "height": said.last_height,
        "final_height": said.final_height,
        "lag": highest - said.final_height,
        "final_time": clock_of(said.final_time_unix_ms),
        "state_root": said.state_root,
        "queue": said.queue_transactions,
        "store_bytes": said.store_bytes,
        "why": said.stopped_because,
    }


async def _relay(session: Session) -> dict[str, object]:
    """What the relay says, or that it is away: the chains are worth showing either way."""
    try:
        relay = await session.relay()
        said = await relay.status()
    except Refused as refused:
        return {"up": False, "why": str(refused)}
    return {
        "up": True,
        "open_transfers": said.open_transfers,
        "quarantined": said.quarantined,
        "oldest_open_ms": said.oldest_open_age_ms,
        "messages_to_asset": said.messages_to_asset,
        "messages_to_business": said.messages_to_business,
    }


def _print_status(
    records: Sequence[dict[str, object]], relay: dict[str, object], output: Output
) -> None:
    if output is Output.JSON:
        print_record({"nodes": list(records), "relay": relay}, output)
        return
    shown = [record | {"state_root": _short(record.get("state_root"))} for record in records]
    columns = ("chain", "node", "role", "height", "final_height", "lag", "final_time", "state_root")
    print_records(shown, output, columns=columns)
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in relay.items())
    say(f"relay: {told}")


def _short(root: object) -> str:
    return root.hex()[:ROOT_SHOWN_CHARACTERS] if isinstance(root, bytes) else ""


def _transaction(chain: str, raw: bytes, receipt: TransactionReceipt) -> dict[str, object]:
    record: dict[str, object] = {
        "transaction_id": receipt.transaction_id,
        "code": receipt.code,
        "message": receipt.message,
    }
    try:
        transaction = parse(raw, CHAINS[chain].operation_type)
    except Refused:
        return record | {"operation": "unreadable"}
    return record | {"operation": transaction.kind, "sender": transaction.sender}
