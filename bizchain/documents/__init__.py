"""Business documents: what an order, a weight statement, an invoice or an event says, and no more.

Purpose: read the documents that trade already uses (UBL 2.0 to 2.5 with Peppol BIS 3, EPCIS 2.0)
for their key data, so that a trade on the ledgers begins from the papers of its parties. Nothing
here runs inside a ledger: a chain stores commitments to documents, never documents.

Rules:

- Bytes are hostile. XML is read without entities, document types, or network; every size and depth
  has a limit; what is refused is refused with a `DocumentReason`.
- Amounts and quantities are exact integers (`common.amount`). A total that its currency cannot hold
  is refused, never rounded; a line amount may be rounded, half up, and a warning says so.
- What is merely wrong (a check digit, a total that does not add up, an odd unit) is a `Remark`: the
  document is still read. Real documents are like that.

    document = read_ubl(data)
    document.kind, document.id, document.totals.payable_minor   # "Invoice", "INV-7", 9_990_000
    trade = read_trade(Path("deploy/samples/steel-coil"))
    trade.seller.name, trade.lot.quantity, trade.currency, trade.payable_minor

    errors      the numbered reasons
    xml, files  safe reading
    records     what a document says, as frozen values
    ubl         UBL -> `Document`        totals  EN 16931 sums, recomputed
    epcis       EPCIS -> `EventDocument` trade   a folder of documents -> one `Trade`
    feed        EPCIS -> what is posted of the goods of one receipt
    sealing     a document sealed to one reader set
    readers     a document sealed to named readers   keydata  what a contract judges of it
    export      UBL 2.1 invoice, CSV                  camt     ISO 20022 notification of postings
    store       where sealed files lie
    check       the plain answers of `document check` and `event check`
"""
