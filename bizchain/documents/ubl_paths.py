"""Where UBL keeps what: one table for each thing that its document types name differently.

The first path that finds something wins. Prefixes are those of `NAMESPACES`.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BUYER_PATHS",
    "CARRIER_PATHS",
    "GOODS_PATHS",
    "ITEM_IDENTIFIERS",
    "ITEM_PATHS",
    "KEEPER_PATHS",
    "LINE_AMOUNT_PATHS",
    "LINE_ITEM_PATH",
    "LINE_PATHS",
    "NAMESPACES",
    "NUMBER_PATHS",
    "PAYABLE_NAMES",
    "PRICE_PATHS",
    "QUANTITY_PATHS",
    "REFERENCE_PATHS",
    "SELLER_PATHS",
    "TOTAL_PATHS",
]

NAMESPACES: Final = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}

NUMBER_PATHS: Final = ("cbc:ID", "cbc:UUID", "cbc:ContractFolderID")
"""A document's own number; notices and customs papers may have another in its place."""

SELLER_PATHS: Final = (
    "cac:AccountingSupplierParty/cac:Party",
    "cac:SellerSupplierParty/cac:Party",
    "cac:DespatchSupplierParty/cac:Party",
    "cac:ConsignorParty",
    "cac:Shipment/cac:Consignment/cac:ConsignorParty",
    "cac:Consignment/cac:ConsignorParty",
    "cac:ExporterParty",
    "cac:ProviderParty",
    "cac:TransportServiceProviderParty",
    "cac:TendererParty/cac:Party",
    "cac:EconomicOperatorParty/cac:Party",
)
BUYER_PATHS: Final = (
    "cac:AccountingCustomerParty/cac:Party",
    "cac:BuyerCustomerParty/cac:Party",
    "cac:OriginatorCustomerParty/cac:Party",
    "cac:DeliveryCustomerParty/cac:Party",
    "cac:RetailerCustomerParty/cac:Party",
    "cac:ContractorCustomerParty/cac:Party",
    "cac:ConsigneeParty",
    "cac:Shipment/cac:Consignment/cac:ConsigneeParty",
    "cac:Consignment/cac:ConsigneeParty",
    "cac:ImporterParty",
    "cac:TransportUserParty",
    "cac:ContractingParty/cac:Party",
)
CARRIER_PATHS: Final = (
    "cac:CarrierParty",
    "cac:Shipment/cac:Consignment/cac:CarrierParty",
    "cac:Shipment/cac:ShipmentStage/cac:CarrierParty",
    "cac:Shipment/cac:Delivery/cac:CarrierParty",
    "cac:Delivery/cac:CarrierParty",
    "cac:Consignment/cac:CarrierParty",
    "cac:FreightForwarderParty",
)
KEEPER_PATHS: Final = (
    "cac:WeighingParty",
    "cac:DeliveryCustomerParty/cac:Party",
    "cac:Delivery/cac:DeliveryParty",
)
REFERENCE_PATHS: Final = (
    ("order", "cac:OrderReference/cbc:ID"),
    ("order", "cac:DespatchLine/cac:OrderLineReference/cac:OrderReference/cbc:ID"),
    ("order", "cac:ReceiptLine/cac:OrderLineReference/cac:OrderReference/cbc:ID"),
    ("despatch", "cac:DespatchDocumentReference/cbc:ID"),
    ("receipt", "cac:ReceiptDocumentReference/cbc:ID"),
    ("invoice", "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"),
    (
        "invoice",
        "cac:RemittanceAdviceLine/cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID",
    ),
    ("contract", "cac:ContractDocumentReference/cbc:ID"),
    ("contract", "cac:Contract/cbc:ID"),
    ("answered", "cac:DocumentResponse/cac:DocumentReference/cbc:ID"),
)
LINE_PATHS: Final = {"WeightStatement": ".//cac:TransportEquipment"}
"""Document types whose lines go by another name; `read_ubl` says how those of all others do."""

GOODS_PATHS: Final = ("cac:Shipment/cac:GoodsItem", ".//cac:GoodsItem")
"""The lines of what has none of its own: transport documents, certificates, declarations. Where a
shipment lists its goods, packages that name them again are not counted.
"""

LINE_ITEM_PATH: Final = "cac:LineItem"
"""Orders and quotations wrap what a line says once more."""

ITEM_PATHS: Final = ("cac:Item", "cac:SalesItem/cac:Item", "cac:SupplyItem")
PRICE_PATHS: Final = (
    "cac:Price",
    "cac:ItemLocationQuantity/cac:Price",
    "cac:RequiredItemLocationQuantity/cac:Price",
)
QUANTITY_PATHS: Final = (
    "cbc:InvoicedQuantity",
    "cbc:CreditedQuantity",
    "cbc:DebitedQuantity",
    "cbc:DeliveredQuantity",
    "cbc:ReceivedQuantity",
    "cbc:Quantity",
    "cac:SalesItem/cbc:Quantity",
    "cac:VerifiedGrossMass/cbc:GrossMassMeasure",
    "cbc:NetWeightMeasure",
    "cbc:GrossWeightMeasure",
)
LINE_AMOUNT_PATHS: Final = (
    "cbc:LineExtensionAmount",
    "cbc:BalanceAmount",
    "cbc:DebitLineAmount",
    "cbc:CreditLineAmount",
)
TOTAL_PATHS: Final = (
    "cac:LegalMonetaryTotal",
    "cac:AnticipatedMonetaryTotal",
    "cac:RequestedMonetaryTotal",
    "cac:QuotedMonetaryTotal",
)
PAYABLE_NAMES: Final = {
    "RemittanceAdvice": "TotalPaymentAmount",
    "Statement": "TotalBalanceAmount",
}
"""Document types whose one total stands beside no others."""
ITEM_IDENTIFIERS: Final = (
    ("SELLER", "cac:SellersItemIdentification/cbc:ID"),
    ("BUYER", "cac:BuyersItemIdentification/cbc:ID"),
    ("", "cac:StandardItemIdentification/cbc:ID"),
    ("HS", "cac:CommodityClassification/cbc:CommodityCode"),
)
