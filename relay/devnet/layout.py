"""Where everything of a local network lies.

network.toml                     what clients and relays pin
nodes/<node id>/                 one folder for each node
relay/                           the relay's folder
keys/authority-*.pem             the authority that signs TLS certificates
keys/client-*.pem                the TLS credential of the operator
keys/certificates/<party>-*.pem  the TLS credential of a party
keys/members/<member>-key.pem    governance keys
keys/parties/<party>/<user>-key.pem   keys of users
keys/parties/<party>/<user>-reading.key   what documents are sealed to
keys/reader-key.pem              the key of the reader set of documents
documents/                       sealed files, by their digest
logs/<process>.log               what each process said
cases/<number>/                  what each play of a case left behind
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from common.errors import CommonReason, Refused

__all__ = ["DataFolder", "KeyFolder"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """The keys one holder has: here, those of everybody, because the whole network is local."""

    path: Path

    def member(self, member_id: str) -> Path:
        """The key that signs for a member of the consortium."""
        return self.path / "members" / f"{_checked(member_id)}-key.pem"

    def user(self, party_id: str, user_id: str) -> Path:
        """The key of a user of a party."""
        return self.path / "parties" / _checked(party_id) / f"{_checked(user_id)}-key.pem"

    def reading(self, party_id: str, user_id: str) -> Path:
        """The private key with which a user reads what is sealed to it."""
        return self.path / "parties" / _checked(party_id) / f"{_checked(user_id)}-reading.key"

    @property
    def certificates(self) -> Path:
        """The folder of the parties' TLS credentials, each under its party's id."""
        return self.path / "certificates"

    @property
    def reader(self) -> Path:
        """The private key of the reader set of documents."""
        return self.path / "reader-key.pem"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A data folder and its parts."""

    path: Path

    @property
    def network(self) -> Path:
        """Written last: a folder that has it is whole."""
        return self.path / "network.toml"

    @property
    def keys(self) -> KeyFolder:
        return KeyFolder(self.path / "keys")

    def node(self, node_id: str) -> Path:
        """The folder of a node."""
        return self.path / "nodes" / node_id

    @property
    def relay(self) -> Path:
        return self.path / "relay"

    def log(self, process: str) -> Path:
        """What a process writes on standard error."""
        return self.path / "logs" / f"{process}.log"

    @property
    def documents(self) -> Path:
        """The folder of sealed files."""
        return self.path / "documents"

    @property
    def cases(self) -> Path:
        return self.path / "cases"


def _checked(name: str) -> str:
    """A name that cannot leave its folder. Raises `Refused(INVALID_ARGUMENT)`."""
    if _NAME.match(name) is None:
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            f"{name[:64]!r}: 1 to 64 lower-case letters, digits and hyphens name a key",
        )
    return name
