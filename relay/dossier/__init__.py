"""One file that proves how a transfer went, to anybody, without either operator.

    contents.py       what is in a dossier: canonical bytes
    consents.py       whose consents it shows, and whose keys they were made with
    mandates.py       the listing that stands for a seller's consent
    assembly.py       making one from what both chains prove
    verification.py   judging one, from its bytes alone
    __main__.py       python -m relay.dossier FILE

Rules: a verdict follows from the bytes and, where given, from pinned chain ids; from nothing else:
no clock, no node, no other file. Everything in a dossier is judged; what cannot be judged has no
place in it. A consent counts where its key is proven to be the party's, and is told apart where it
is not. A dossier holds what its holder may know: openings of both legs and consents, never a secret
before COMMIT has made it public.

Example:
--------
    report = verify_dossier(path.read_bytes(), pinned=(business_chain_id, asset_chain_id))
    report.outcome, report.ended                         # "COMMIT", True
"""

from relay.dossier.contents import Dossier, DossierRecord, DossierSide
from relay.dossier.verification import DossierReport, verify_dossier

__all__ = ["Dossier", "DossierRecord", "DossierReport", "DossierSide", "verify_dossier"]
