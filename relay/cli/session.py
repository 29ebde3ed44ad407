"""What a command works with: the clients of both chains and of the relay, made when first used."""

from __future__ import annotations

import secrets
import time
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import typer

from assetchain.client import AssetClient
from bizchain.client import BusinessClient
from common.crypto.pki import Credential, load_credential
from common.errors import CommonReason, Refused
from common.ledger.compose import Author
from common.network import Network
from common.networkfile import load_network
from common.rpc.client import LedgerClient
from common.rpc.verifier import Outcome
from relay.case.cast import author_of
from relay.cli.options import Options, User
from relay.cli.output import Output, clock_of, print_record, say
from relay.client import RelayClient
from relay.devnet.certificates import party_credential
from relay.devnet.layout import DataFolder
from relay.devnet.provision import CLIENT_NAME, relay_address

__all__ = ["Session"]


class Session:
    """One command's connections. Use as an asynchronous context."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._opened = AsyncExitStack()
        self._network: Network | None = None
        self._credential: Credential | None = None
        self._ledgers: dict[str, LedgerClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.aclose()

    @property
    def output(self) -> Output:
        return self.options.output

    @property
    def network(self) -> Network:
        """The pinned network. Raises `Refused(NOT_FOUND)` where there is no file."""
        if self._network is None:
            try:
                self._network = load_network(self.options.network)
            except Refused as refused:
                if refused.reason is not CommonReason.NOT_FOUND:
                    raise
                message = (
                    f"there is no network file {self.options.network}:"
                    " name one with --network, or start a network with `wutong up`"
                )
                raise Refused(CommonReason.NOT_FOUND, message) from None
        return self._network

    @property
    def credential(self) -> Credential:
        """The TLS credential of this command: that of the party it acts as, or the operator's.

        A party without a certificate, and nobody here to issue one, calls with the one there is.
        """
        if self._credential is None:
            signer = self.options.signer
            found = self.certify(signer.party_id) if signer else None
            self._credential = found or load_credential(self.options.keys.path, CLIENT_NAME)
        return self._credential

    def as_operator(self) -> None:
        """Call as the operator from here on, whoever signs: for what looks at everything."""
        self._credential = load_credential(self.options.keys.path, CLIENT_NAME)

    def certify(self, party_id: str) -> Credential | None:
        """The certificate of a party, issued now where that can be done here."""
        now_unix_ms = time.time_ns() // 1_000_000
        keys, network = self.options.keys, self.network.name
        return party_credential(keys, network, party_id, now_unix_ms, secrets.token_bytes)

    async def ledger(self, chain: str) -> LedgerClient:
        """The client of a chain. A usage error for a chain the network does not have."""
        if chain not in self._ledgers:
            names = [known.name for known in self.network.chains]
            if chain not in names:
                raise typer.BadParameter(f"{chain!r} is no chain; there are {', '.join(names)}")
            client = LedgerClient(self.network, chain, self.credential)
            self._ledgers[chain] = await self._opened.enter_async_context(client)
        return self._ledgers[chain]

    async def books(self) -> BusinessClient:
        """The client of the business books."""
        seconds = self.options.timeout_seconds
        return BusinessClient(await self.ledger("bizchain"), seconds=seconds)

    async def assets(self) -> AssetClient:
        """The client of the asset chain."""
        seconds = self.options.timeout_seconds
        return AssetClient(await self.ledger("assetchain"), seconds=seconds)

    async def signing_books(self) -> BusinessClient:
        """The books, signing as `--as`, under `--request-id` where one is given."""
        books = await self.books()
        return books.by(self.signer()).under(self.options.request_id)

    async def signing_assets(self) -> AssetClient:
        """The asset chain, signing as `--as`, under `--request-id` where one is given."""
        assets = await self.assets()
        return assets.by(self.signer()).under(self.options.request_id)

    async def relay(self) -> RelayClient:
        """The client of the relay: `--relay`, or that of the local network."""
        address = self.options.relay
        if not address:
            address = relay_address(DataFolder(self.options.network.parent))
        client = RelayClient(address, self.credential, self.network.authority_pem)
        return await self._opened.enter_async_context(client)

    def signer(self) -> Author:
        """Who signs this command."""
        return self.author(self.options.require_signer())

    def author(self, user: User) -> Author:
        """A user whose key is in the key folder."""
        return author_of(self.options.keys, user.party_id, user.user_id)

    def show_outcome(self, chain: str, what: str, outcome: Outcome) -> None:
        """Print what became of a transaction: it took effect, and that is final."""
        say(f"{what}: final.")
        record = {
            "chain": chain,
            "height": outcome.height,
            "position": outcome.position,
            "time": clock_of(outcome.time_unix_ms),
            "transaction_id": outcome.transaction_id,
        }
        print_record(record, self.output)
