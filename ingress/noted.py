"""What those who serve a request note in its scope, to be counted. Pure."""

PARTNER = "orders.partner"
"""The id of the partner that sent it."""
REFUSED = "orders.refused"
"""Why it was refused: the name of a problem, BAD_REQUEST or HUNG_UP."""
BAD_REQUEST, HUNG_UP = "bad-request", "hung-up"
