"""The root of the error tree.

    OrdersError
    ├── SettingsError       a setting is missing or wrong; the message names the variable
    ├── Violation           JSON that breaks the contract; has `path` and `error`
    ├── RecordError         a record of orders.upserts that cannot be read as an order event
    ├── ResultError         a record of orders.results that is not a result
    └── PartnerRecordError  a record of orders.partners that is not a partner

`ingress.errors`, `consumer.errors` and `deploy` add their own branches.
"""


class OrdersError(Exception):
    """Root of all errors that this project raises on purpose. The text is for the person who can fix the cause."""
