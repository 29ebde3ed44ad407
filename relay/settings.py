"""The settings of a relay process: `relay.toml` in its folder, overridden by the environment.

    relay_id = "relay-1"
    listen = "127.0.0.1:17408"
    network_file = "../network.toml"

Every setting can be given as `WUTONG_RELAY_<NAME>` as well. Limits of the work itself are
`relay.reconciler.Policy`; what an operator may have to change of them is here.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.errors import CommonReason, Refused
from relay.reconciler import Policy

__all__ = ["SETTINGS_FILE", "RelaySettings", "format_settings", "load_settings"]

SETTINGS_FILE = "relay.toml"
SETTINGS_BYTES_MAX = 64 * 1024


class RelaySettings(BaseSettings):
    """What `relay.toml` may say. Times in milliseconds."""

    model_config = SettingsConfigDict(env_prefix="WUTONG_RELAY_", extra="forbid", frozen=True)

    relay_id: str
    listen: str
    network_file: str = "network.toml"
    """Where the network is described, relative to the folder."""
    business_chain: str = "bizchain"
    asset_chain: str = "assetchain"
    metrics_port: int = Field(0, ge=0, le=65535)
    """Port for metrics on 127.0.0.1; 0 for none."""
    log_level: str = Field("info", pattern="debug|info|warning|error")
    tick_ms: int = Field(100, ge=10, le=1_000)
    scan_ms: int = Field(5_000, ge=500, le=60_000)
    heartbeat_ms: int = Field(8_000, ge=1_000, le=20_000)
    secret_guard_ms: int = Field(5_000, ge=0, le=600_000)
    patience_ms: int = Field(3_000, ge=0, le=60_000)
    open_transfers_of_caller_max: int = Field(10_000, ge=1, le=100_000)
    """Open transfers a relay carries for one certificate's name."""
    batches_in_flight_max: int = Field(1, ge=1, le=16)
    """Batches a chain is given at a time. While one is decided the next one gathers: with more the
    batches are smaller, and each costs every node a block."""

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

    @property
    def policy(self) -> Policy:
        """The numbers the reconciler works by."""
        return Policy(
            scan_ms=self.scan_ms,
            heartbeat_ms=self.heartbeat_ms,
            secret_guard_ms=self.secret_guard_ms,
            patience_ms=self.patience_ms,
            open_transfers_of_caller_max=self.open_transfers_of_caller_max,
            batches_in_flight_max=self.batches_in_flight_max,
        )


def load_settings(folder: Path) -> RelaySettings:
    """The settings in the folder. Raises `Refused`: NOT_FOUND, MALFORMED, INVALID_ARGUMENT."""
    path = folder / SETTINGS_FILE
    try:
        with path.open("rb") as file:
            text = file.read(SETTINGS_BYTES_MAX).decode()
        return RelaySettings(**tomllib.loads(text))
    except FileNotFoundError:
        message = f"{folder} is no relay folder: it has no {SETTINGS_FILE}; format one first"
        raise Refused(CommonReason.NOT_FOUND, message) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(CommonReason.MALFORMED, f"{path}: {error}") from None
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{path}: {faults}") from None


def format_settings(settings: RelaySettings) -> str:
    """The text of a `relay.toml`: what differs from the defaults."""
    values = settings.model_dump(mode="json", exclude_defaults=True)
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in sorted(values.items()))
