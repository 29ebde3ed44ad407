"""The local network: two chains of four nodes and a relay, as nine processes of this machine.

Purpose: a newcomer types one command and has everything a consortium has: its own authority,
members, keys, two linked ledgers, a relay. Everything is real: mutual TLS on loopback, a folder for
each node, members who sign the link. Only the address is local.

    layout.py      where everything lies in a data folder
    founding.py    the consortium and both geneses                                          (pure)
    provision.py   first use: authority, keys, geneses, node folders, network.toml
    supervisor.py  nine child processes: started, watched, started again, stopped
    network.py     the running network: ready, linked, nodes killed and brought back

Rules: a folder is provisioned once, whole or not at all; what exists is never overwritten. Private
files have mode 0600. Children stop when their standard input closes, so none outlives a supervisor
that is killed. A child that dies is started again, until it dies too often.

    data = DataFolder(Path(".wutong"))
    provision(data, base_port=17400, now_unix_ms=now_unix_ms, random_bytes=secrets.token_bytes)
    async with LocalNetwork(data, tell=print) as network:
        await network.ready()
"""
