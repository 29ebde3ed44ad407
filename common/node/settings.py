"""The settings of a node process: `node.toml` in its folder, overridden by the environment.

    chain_name = "bizchain"
    node_id = "bizchain-1"
    listen = "127.0.0.1:17400"

Every setting can be given as `WUTONG_NODE_<NAME>` as well. What a node *is* (chain, id, keys) is in
the folder it was formatted with; settings say where it listens, how much it may store, how it
keeps time. All nodes of a chain should keep the same time.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.errors import CommonReason, Refused
from common.node.ports import NodeSettings

__all__ = ["SETTINGS_FILE", "ProcessSettings", "format_settings", "load_settings"]

SETTINGS_FILE = "node.toml"
SETTINGS_BYTES_MAX = 64 * 1024
GIB = 1024**3


class ProcessSettings(BaseSettings):
    """What `node.toml` may say. Times in milliseconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="WUTONG_NODE_", extra="forbid", frozen=True)

    chain_name: str
    node_id: str
    listen: str
    network_file: str = "network.toml"
    """Where the network is described, relative to the folder."""
    metrics_port: int = Field(0, ge=0, le=65535)
    """Port for metrics on 127.0.0.1; 0 for none."""
    log_level: str = Field("info", pattern="debug|info|warning|error")
    log_bytes_max: int = Field(64 * GIB, ge=64 * 1024**2)
    state_bytes_max: int = Field(64 * GIB, ge=64 * 1024**2)
    tick_ms: int = Field(100, ge=5, le=1_000)
    heartbeat_ticks: int = Field(1, ge=1, le=100)
    election_ticks_min: int = Field(10, ge=2, le=1_000)
    election_ticks_max: int = Field(20, ge=3, le=2_000)
    idle_block_ms: int = Field(10_000, ge=100, le=10_000)

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # called by keyword, two are read
        cls,
        _settings: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        **_others: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file; nothing else is read."""
        return env_settings, init_settings

    def for_node(self) -> NodeSettings:
        """What the node itself goes by."""
        return NodeSettings(
            tick_ms=self.tick_ms,
            heartbeat_ticks=self.heartbeat_ticks,
            election_ticks_min=self.election_ticks_min,
            election_ticks_max=self.election_ticks_max,
            idle_block_ms=self.idle_block_ms,
        )


def load_settings(folder: Path) -> ProcessSettings:
    """The settings in the folder. Raises `Refused`: NOT_FOUND, MALFORMED, INVALID_ARGUMENT."""
    path = folder / SETTINGS_FILE
    try:
        with path.open("rb") as file:
            text = file.read(SETTINGS_BYTES_MAX).decode()
        return ProcessSettings(**tomllib.loads(text))
    except FileNotFoundError:
        message = f"{folder} is no node folder: it has no {SETTINGS_FILE}; format one first"
        raise Refused(CommonReason.NOT_FOUND, message) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(CommonReason.MALFORMED, f"{path}: {error}") from None
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{path}: {faults}") from None


def format_settings(settings: ProcessSettings) -> str:
    """The text of a `node.toml`: what differs from the defaults."""
    values = settings.model_dump(mode="json", exclude_defaults=True)
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in sorted(values.items()))
