"""The commands of a scenario, one method each. Arguments are words; options are `name=value`.

NODES is a list such as `1,3`, or `all`. SELECT names messages on the way, in the order they were
sent, by any of `from=1 to=2 type=Append`.
"""

from __future__ import annotations

from collections.abc import Callable

from common.errors import InvariantBroken, Refused
from common.raft.messages import Entry, HardState, Message
from common.raft.roles import Role
from tests.kit.raft_cluster import Cluster, describe, describe_entry

Options = dict[str, str]
SETTINGS = {"election_ticks_min": 10, "election_ticks_max": 20, "heartbeat_ticks": 2}


class Stage:
    """One cluster, and what happens on it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._cluster = Cluster(())
        self._stash: dict[str, list[Message]] = {}

    def run(self, line: str) -> list[str]:
        """Do what one line says. Returns what happened; a refusal happens too.

        After the word `quietly` only refusals are told.
        """
        if line.startswith("quietly "):
            told = self.run(line.removeprefix("quietly "))
            return [said for said in told if said.startswith(("refused", "broken"))]
        self._lines = []
        name, *words = line.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        arguments = [word for word in words if "=" not in word]
        command: Callable[..., None] = getattr(self, "do_" + name.replace("-", "_"))
        try:
            command(*arguments, **({"select": options} if options else {}))
        except Refused as refused:
            self._say(f"refused, {refused}")
        except InvariantBroken as broken:
            self._say(f"broken: {broken}")
        return self._lines

    def _say(self, line: str) -> None:
        self._lines.append(line)

    def _nodes(self, names: str) -> list[str]:
        if names != "all":
            return names.split(",")
        return [node.node_id for node in self._cluster.up]

    # The cluster.

    def do_cluster(self, size: str, select: Options | None = None) -> None:
        """cluster N [setting=value]: N nodes with empty disks, all up."""
        self.do_disks(size, select)
        self._cluster.start_all()

    def do_disks(self, size: str, select: Options | None = None) -> None:
        """disks N [setting=value]: N nodes with empty disks, all down."""
        settings = SETTINGS | {name: int(value) for name, value in (select or {}).items()}
        names = [str(number + 1) for number in range(int(size))]
        self._cluster = Cluster(names, self._say, lambda _, high: high, **settings)
        self._stash.clear()

    def do_disk(self, name: str, select: Options) -> None:
        """disk N term=T vote=V log=1,1,2: what the disk of a node that is down has."""
        disk = self._cluster.nodes[name].disk
        disk.hard_state = HardState(int(select["term"]), select.get("vote", ""))
        terms = [int(term) for term in select.get("log", "").split(",") if term]
        disk.log.write([Entry(term, index, b"x") for index, term in enumerate(terms, start=1)])

    def do_start(self, names: str) -> None:
        """start NODES: also after a crash, from what the disk has."""
        for name in self._cluster.nodes if names == "all" else names.split(","):
            node = self._cluster.nodes[name]
            node.start(applied_index=len(node.applied))

    def do_crash(self, names: str, select: Options | None = None) -> None:
        """crash NODES [reached_disk=K]: writes on the way are lost, but for the first K."""
        for name in self._nodes(names):
            self._cluster.crash(name, int((select or {}).get("reached_disk", "0")))

    # Time and work.

    def do_tick(self, names: str, count: str = "1") -> None:
        """tick NODES [COUNT]: time passes on these nodes; they do their work after each tick."""
        for _ in range(int(count)):
            for name in self._nodes(names):
                self._cluster[name].tick()
                self._cluster.drain(name)

    def do_campaign(self, name: str) -> None:
        """campaign N: time passes on one follower until it stands for election."""
        raft = self._cluster[name]
        while raft.role is Role.FOLLOWER:
            raft.tick()
        self._cluster.drain(name)

    def do_work(self, names: str) -> None:
        """work NODES: these nodes do what there is to do."""
        for name in self._nodes(names):
            self._cluster.drain(name)

    def do_stabilize(self, names: str = "all") -> None:
        """stabilize [NODES]: messages arrive and work is done until nothing moves."""
        self._cluster.stabilize(self._nodes(names))

    def do_propose(self, name: str, *datas: str) -> None:
        for data in datas:
            self._cluster[name].propose(data.encode())
        self._cluster.drain(name)

    def do_read(self, name: str, *tokens: str) -> None:
        for token in tokens:
            self._cluster[name].read_index(int(token))
        self._cluster.drain(name)

    def do_transfer(self, name: str, target: str) -> None:
        self._cluster[name].transfer_leadership(target)
        self._cluster.drain(name)

    def do_announce(self, name: str) -> None:
        """announce NODE: the driver wants all followers to know how far the log is committed."""
        self._cluster[name].announce_commit()

    def do_forbid_truncation(self, name: str, index: str) -> None:
        self._cluster.nodes[name].forbidden = int(index)
        self._cluster[name].forbid_truncation(int(index))

    # The disk.

    def do_hold_writes(self, names: str) -> None:
        """hold-writes NODES: from now on a write reaches the disk only by `sync`."""
        for name in self._nodes(names):
            self._cluster.nodes[name].holds_writes = True

    def do_sync(self, name: str, count: str | None = None) -> None:
        """sync N [COUNT]: the oldest writes reach the disk, and the node does what follows."""
        self._cluster.sync(name, None if count is None else int(count))
        self._cluster.drain(name)

    def do_release_writes(self, names: str) -> None:
        for name in self._nodes(names):
            self._cluster.nodes[name].holds_writes = False
            self.do_sync(name)

    # The network.

    def _selected(self, select: Options | None) -> list[Message]:
        wanted = select or {}
        return [
            message
            for message in self._cluster.network
            if wanted.get("from", message.sender) == message.sender
            and wanted.get("to", message.receiver) == message.receiver
            and wanted.get("type", type(message).__name__) == type(message).__name__
        ]

    def _remove(self, messages: list[Message]) -> None:
        gone = {id(message) for message in messages}
        self._cluster.network = [m for m in self._cluster.network if id(m) not in gone]

    def do_deliver(self, *flags: str, select: Options | None = None) -> None:
        """deliver [first|last|copy] SELECT: messages arrive, and their receivers work."""
        messages = self._selected(select)
        messages = messages[:1] if "first" in flags else messages
        messages = messages[-1:] if "last" in flags else messages
        if "copy" not in flags:
            self._remove(messages)
        for message in messages:
            self._cluster.deliver(message)
            if self._cluster.nodes[message.receiver].raft is not None:
                self._cluster.drain(message.receiver)

    def do_drop(self, select: Options | None = None) -> None:
        for message in self._selected(select):
            self._say(f"lost: {message.sender} -> {message.receiver} {describe(message)}")
            self._remove([message])

    def do_stash(self, name: str, *flags: str, select: Options) -> None:
        """stash NAME [copy] SELECT: keep messages (or copies) back until `unstash NAME`."""
        messages = self._selected(select)
        if "copy" not in flags:
            self._remove(messages)
        self._stash.setdefault(name, []).extend(messages)

    def do_unstash(self, name: str) -> None:
        """unstash NAME: what was kept back arrives now, late."""
        for message in self._stash.pop(name):
            self._say(f"late: {message.sender} -> {message.receiver} {describe(message)}")
            self._cluster.deliver(message)
            self._cluster.drain(message.receiver)

    def do_cut(self, *links: str) -> None:
        """cut 1>2 ...: messages from 1 to 2 are lost from now on; `1-2` cuts both ways."""
        for link in links:
            for pair in _directions(link):
                self._cluster.cut.add(pair)

    def do_isolate(self, name: str) -> None:
        for other in self._cluster.nodes:
            if other != name:
                self._cluster.cut |= {(name, other), (other, name)}

    def do_heal(self) -> None:
        self._cluster.cut.clear()

    # What is to be seen.

    def do_status(self) -> None:
        for node in self._cluster.nodes.values():
            log = " ".join(map(describe_entry, node.log_entries()))
            if node.raft is None:
                self._say(f"{node.node_id} down, on disk [{log}]")
                continue
            raft = node.raft
            self._say(
                f"{node.node_id} {raft.role.value} t{raft.term} leader {raft.leader_id or 'none'} "
                f"[{log}] commit {raft.commit_index} durable {raft.durable_index} "
                f"applied {len(node.applied)}"
            )

    def do_progress(self, name: str) -> None:
        for peer in self._cluster[name].progress:
            self._say(
                f"{peer.node_id} {peer.mode.value} match {peer.match} next {peer.next} "
                f"log end {peer.last_index} silent {peer.silent_ticks}"
            )

    def do_network(self) -> None:
        for message in self._cluster.network:
            self._say(f"{message.sender} -> {message.receiver} {describe(message)}")


def _directions(link: str) -> list[tuple[str, str]]:
    if "-" in link:
        one, other = link.split("-")
        return [(one, other), (other, one)]
    sender, receiver = link.split(">")
    return [(sender, receiver)]
