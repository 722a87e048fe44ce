"""RateLimit and RateLimit-Policy, as draft-ietf-httpapi-ratelimit-headers-10 has them, for partners with a rate. Pure.

The name of the policy says what is counted: orders, not requests. For that, the registry of the draft has no unit.
"""

import math

from contracts.partner import Partner
from ingress.rate_limit import BURST_S, RateLimit

_WINDOW_S = math.ceil(BURST_S)


def rate_headers(partner: Partner, limit: RateLimit) -> list[tuple[bytes, bytes]]:
    """`r` orders are left for the next `t` seconds. If none are, the next request is let in after `t` seconds."""
    orders, wait_s = limit.left(partner)
    rate = partner.orders_per_s or 0
    return [
        (b"ratelimit-policy", b'"orders";q=%d;w=%d' % (rate * BURST_S, _WINDOW_S)),
        (b"ratelimit", b'"orders";r=%d;t=%d' % (orders, max(_WINDOW_S, math.ceil(wait_s)))),
    ]
