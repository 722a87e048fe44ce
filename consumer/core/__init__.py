"""The pure core: what a record is, what it does to the orders, and what is answered. No client library, no clock."""
