"""Where UBL keeps what: one table for each thing that its document types name differently.

The first path that finds something wins. Prefixes are those of `NAMESPACES`.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BUYER_PATHS",
    "CARRIER_PATHS",
    "ITEM_IDENTIFIERS",
    "KEEPER_PATHS",
    "LINE_AMOUNT_PATHS",
    "LINE_PATHS",
    "NAMESPACES",
    "QUANTITY_PATHS",
    "REFERENCE_PATHS",
    "SELLER_PATHS",
    "TOTAL_PATHS",
]

NAMESPACES: Final = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}

SELLER_PATHS: Final = (
    "cac:AccountingSupplierParty/cac:Party",
    "cac:SellerSupplierParty/cac:Party",
    "cac:DespatchSupplierParty/cac:Party",
    "cac:ConsignorParty",
)
BUYER_PATHS: Final = (
    "cac:AccountingCustomerParty/cac:Party",
    "cac:BuyerCustomerParty/cac:Party",
    "cac:DeliveryCustomerParty/cac:Party",
    "cac:RetailerCustomerParty/cac:Party",
    "cac:ConsigneeParty",
    "cac:Shipment/cac:Consignment/cac:ConsigneeParty",
)
CARRIER_PATHS: Final = (
    "cac:CarrierParty",
    "cac:Shipment/cac:Consignment/cac:CarrierParty",
    "cac:Shipment/cac:ShipmentStage/cac:CarrierParty",
    "cac:Shipment/cac:Delivery/cac:CarrierParty",
    "cac:Delivery/cac:CarrierParty",
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
LINE_PATHS: Final = {
    "CreditNote": "cac:CreditNoteLine",
    "DespatchAdvice": "cac:DespatchLine",
    "GoodsCertificate": ".//cac:GoodsItem",
    "Invoice": "cac:InvoiceLine",
    "Order": "cac:OrderLine/cac:LineItem",
    "OrderChange": "cac:OrderLine/cac:LineItem",
    "OrderResponse": "cac:OrderLine/cac:LineItem",
    "ReceiptAdvice": "cac:ReceiptLine",
    "RemittanceAdvice": "cac:RemittanceAdviceLine",
    "StockAvailabilityReport": "cac:StockAvailabilityReportLine",
    "WeightStatement": ".//cac:TransportEquipment",
}
QUANTITY_PATHS: Final = (
    "cbc:InvoicedQuantity",
    "cbc:CreditedQuantity",
    "cbc:DeliveredQuantity",
    "cbc:ReceivedQuantity",
    "cbc:Quantity",
    "cac:VerifiedGrossMass/cbc:GrossMassMeasure",
)
LINE_AMOUNT_PATHS: Final = ("cbc:LineExtensionAmount", "cbc:BalanceAmount", "cbc:DebitLineAmount")
TOTAL_PATHS: Final = (
    "cac:LegalMonetaryTotal",
    "cac:AnticipatedMonetaryTotal",
    "cac:RequestedMonetaryTotal",
)
ITEM_IDENTIFIERS: Final = (
    ("SELLER", "cac:SellersItemIdentification/cbc:ID"),
    ("BUYER", "cac:BuyersItemIdentification/cbc:ID"),
    ("", "cac:StandardItemIdentification/cbc:ID"),
    ("HS", "cac:CommodityClassification/cbc:CommodityCode"),
)
