"""The options every command of a network shares. Each has an environment variable `WUTONG_*`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from common.ledger.transaction import REQUEST_ID_BYTES
from relay.cli.output import Output
from relay.devnet.layout import KeyFolder

__all__ = ["NETWORK_OPTIONS", "OUTPUT_OPTION", "Options", "User"]

PANEL = "Network"


class User:
    """`party/user`: who signs. The key is read when it is needed, and never shown."""

    def __init__(self, text: str) -> None:
        party_id, _, user_id = text.partition("/")
        if not party_id or not user_id:
            raise typer.BadParameter(f"{text!r}: PARTY/USER expected")
        self.party_id = party_id
        self.user_id = user_id

    def __str__(self) -> str:
        return f"{self.party_id}/{self.user_id}"


class Options:
    """What the shared options of one command line say."""

    def __init__(
        self,
        output: Output,
        network: Path,
        keys: Path | None = None,
        relay: str = "",
        signer: str = "",
        request_id: str = "",
        timeout_seconds: int = 30,
    ) -> None:
        self.output = output
        self.network = network
        self.keys = KeyFolder(keys if keys is not None else network.parent / "keys")
        self.relay = relay
        self.signer = User(signer) if signer else None
        self.request_id = _request_id(request_id)
        self.timeout_seconds = timeout_seconds

    def require_signer(self) -> User:
        """Who signs. A usage error where nobody was named."""
        if self.signer is None:
            raise typer.BadParameter("say who signs: --as PARTY/USER, or WUTONG_AS")
        return self.signer


def _request_id(text: str) -> bytes | None:
    if not text:
        return None
    try:
        request_id = bytes.fromhex(text)
    except ValueError:
        request_id = b""
    if len(request_id) != REQUEST_ID_BYTES:
        raise typer.BadParameter(f"a request id has {2 * REQUEST_ID_BYTES} hexadecimal digits")
    return request_id


def _option(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


OUTPUT_OPTION = _option(
    "output",
    Annotated[
        Output,
        typer.Option("-o", "--output", envvar="WUTONG_OUTPUT", help="How data is printed."),
    ],
    Output.TABLE,
)

NETWORK_OPTIONS = (
    OUTPUT_OPTION,
    _option(
        "network",
        Annotated[
            Path,
            typer.Option(
                envvar="WUTONG_NETWORK",
                help="The network.toml to pin.",
                rich_help_panel=PANEL,
            ),
        ],
        Path(".wutong/network.toml"),
    ),
    _option(
        "keys",
        Annotated[
            Path | None,
            typer.Option(
                envvar="WUTONG_KEYS",
                help="Folder of keys and of the client's TLS credential;"
                " `keys` beside the network file by default.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    _option(
        "relay",
        Annotated[
            str,
            typer.Option(
                envvar="WUTONG_RELAY",
                help="The relay to ask, host:port; the local network's by default.",
                rich_help_panel=PANEL,
            ),
        ],
        "",
    ),
    _option(
        "signer",
        Annotated[
            str,
            typer.Option(
                "--as", envvar="WUTONG_AS", help="Who signs: PARTY/USER.", rich_help_panel=PANEL
            ),
        ],
        "",
    ),
    _option(
        "request_id",
        Annotated[
            str,
            typer.Option(
                envvar="WUTONG_REQUEST_ID",
                help="32 hexadecimal digits: the same id never takes effect twice.",
                rich_help_panel=PANEL,
            ),
        ],
        "",
    ),
    _option(
        "timeout_seconds",
        Annotated[
            int,
            typer.Option(
                "--timeout",
                envvar="WUTONG_TIMEOUT",
                min=1,
                max=3600,
                help="How long to wait for an answer, in seconds.",
                rich_help_panel=PANEL,
            ),
        ],
        30,
    ),
)
