"""What a process tells its operators: logs for events, metrics for where it stands.

Purpose
-------
    logs.py       structured logs: one JSON object a line, on standard error
    metrics.py    gauges of a node, read from what it has stored, for Prometheus on loopback

Rules
-----
- Standard output is for data; everything said to people or collectors goes elsewhere.
- A metric says what is, not what was counted since the start, wherever there is such a thing: it
  survives a restart, and two readers agree.
- No secret, key or document content is ever logged.

Example:
--------
    configure_logs("info", node_id="bizchain-1")
    structlog.get_logger("relay").info("transfer settled", transfer_id="9f0c")
"""
