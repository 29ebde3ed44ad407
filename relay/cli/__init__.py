"""The one command line of the product: `wutong NOUN VERB`.

Purpose: everything a user, an operator or an auditor does by hand, over the same clients programs
use. What is read is proven before it is shown; what is written is signed here and final when the
command returns.

Rules:

- Data goes to standard output (`-o table|json`), messages to standard error.
- Exit codes: 0 ok, 2 usage, 3 refused by a rule, 4 not found, 5 unavailable, 6 outcome unknown
  (the command to ask again is printed).
- Common flags have environment variables: `WUTONG_NETWORK`, `WUTONG_AS`, `WUTONG_OUTPUT` ...
- Secrets are in files with mode 0600, never on a command line and never in output.

    wutong up                                        # a network, and a trade on it
    wutong cash pay seller-1 12.34 CNY --as buyer-1/clerk
    wutong proof get cash/seller-1/CNY > proof.json && wutong proof verify proof.json

    app      every noun                    command  how a function becomes a command
    options  shared flags                  session  the clients a command works with
    exits    exit codes and advice         output   tables and JSON
"""

from relay.cli.app import main

__all__ = ["main"]
