"""`network.toml` on disk. The format is `common.network`.

network = load_network(Path("network.toml"))
network.chain("bizchain").address_of("bizchain-1")
"""

from __future__ import annotations

import os
from pathlib import Path

from common.errors import CommonReason, Refused, StorageFailed
from common.network import NETWORK_BYTES_MAX, Network, format_network, parse_network

__all__ = ["load_network", "save_network"]


def load_network(path: Path) -> Network:
    """The network in the file `path`.

    Raises `Refused`: NOT_FOUND for a missing file, else what `parse_network` raises;
    `StorageFailed` where the disk fails.
    """
    try:
        with path.open("rb") as file:
            data = file.read(NETWORK_BYTES_MAX + 1)
    except FileNotFoundError:
        raise Refused(CommonReason.NOT_FOUND, f"there is no network file {path}") from None
    except OSError as error:
        raise StorageFailed(f"cannot read {path}: {error}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(CommonReason.MALFORMED, f"{path} is no text") from None
    return parse_network(text)


def save_network(path: Path, network: Network) -> None:
    """Write `network` to `path`, whole or not at all, replacing what was there."""
    draft = path.with_name(f"{path.name}.new")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(format_network(network))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StorageFailed(f"cannot write {path}: {error}") from error
