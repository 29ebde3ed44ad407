"""Why a document is refused. Numbers 1900 to 1949 belong to this package."""

from __future__ import annotations

from common.errors import Kind, Reason

__all__ = ["DocumentReason"]


class DocumentReason(Reason):
    """Reasons of reading documents. But for a store that is away, the same is refused again."""

    DOCUMENT_TOO_LARGE = (1900, Kind.LIMIT)
    DOCUMENT_TOO_DEEP = (1901, Kind.LIMIT)
    DOCUMENT_TOO_MANY_PARTS = (1902, Kind.LIMIT)
    DOCUMENT_NOT_XML = (1903, Kind.INVALID)
    DOCUMENT_TYPE_FORBIDDEN = (1904, Kind.INVALID)
    DOCUMENT_KIND_UNKNOWN = (1905, Kind.INVALID)
    DOCUMENT_FIELD_MISSING = (1906, Kind.INVALID)
    DOCUMENT_FIELD_INVALID = (1907, Kind.INVALID)
    DOCUMENT_TOTAL_INEXACT = (1908, Kind.INVALID)
    DOCUMENT_CURRENCY_MIXED = (1909, Kind.INVALID)
    DOCUMENT_NOT_JSON = (1910, Kind.INVALID)
    DOCUMENT_NOT_EPCIS = (1911, Kind.INVALID)
    DOCUMENT_UNREADABLE = (1912, Kind.NOT_FOUND)
    STORED_DOCUMENT_MISSING = (1913, Kind.NOT_FOUND)
    STORED_DOCUMENT_DAMAGED = (1914, Kind.INVALID)
    KEY_DATA_TOO_LONG = (1915, Kind.INVALID)
    EXPORT_INCOMPLETE = (1916, Kind.INVALID)
    STORE_UNAVAILABLE = (1917, Kind.UNAVAILABLE, True)
    TRADE_INCOMPLETE = (1920, Kind.INVALID)
    TRADE_CONTRADICTORY = (1921, Kind.INVALID)
