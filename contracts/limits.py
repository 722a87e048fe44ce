"""Limits of the contract, for both sides. Each name ends with its unit."""

ORDERS_PER_REQUEST_MAX = 1_000
"""Orders in one request. So the index in a `ce_id` is 0 to 999."""

ORDER_BYTES_MAX = 256 * 1024
"""Bytes of the canonical JSON of one order."""

ORDER_ID_CHARS_MAX = 512
"""Postgres refuses an index row above 2,704 bytes: 512 characters of 4 bytes and a partner id always fit."""

PARTNER_ID_CHARS_MAX = 64

AMOUNT_DIGITS_MAX = 30
"""Significant digits of an amount. It is read from its text, so none of them is lost."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

SMALLEST_PRODUCT_BYTES = len('{"product_sku_id":"","amount":"0","qty":0},')
PRODUCTS_PER_ORDER_MAX = ORDER_BYTES_MAX // SMALLEST_PRODUCT_BYTES
"""No order within ORDER_BYTES_MAX has more. More are refused early, before they take memory."""

VIOLATIONS_MAX = 1_000
"""The most violations that are told of a document. One can have a million."""
