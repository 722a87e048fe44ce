"""RateLimit and RateLimit-Policy follow the bucket of the partner."""

from contracts.partner import Partner
from ingress.rate_headers import rate_headers
from ingress.rate_limit import RateLimit


def test_the_headers_say_what_is_left_and_when_the_next_request_is_let_in() -> None:
    now_s = 0.0
    limit = RateLimit(lambda: now_s)
    partner = Partner(partner_id="p", tokens=[], orders_per_s=10)

    def told() -> tuple[str, str]:
        (_, policy), (_, left) = rate_headers(partner, limit)
        return policy.decode(), left.decode()

    assert told() == ('"orders";q=10;w=1', '"orders";r=10;t=1')
    limit.charge(partner, 4)
    assert told()[1] == '"orders";r=6;t=1'
    limit.charge(partner, 36)
    assert told()[1] == '"orders";r=0;t=4'
    assert limit.left(partner) == (0, limit.wait_s(partner))
    now_s = 2.9
    assert told()[1] == '"orders";r=0;t=1'
    now_s = 3.05
    assert told()[1] == '"orders";r=1;t=1'
    assert limit.wait_s(partner) == 0  # what is called one is let in
    now_s = 100
    assert told()[1] == '"orders";r=10;t=1'


def test_the_names_are_lower_case_as_asgi_wants_them() -> None:
    partner = Partner(partner_id="p", tokens=[], orders_per_s=1)
    assert [name for name, _ in rate_headers(partner, RateLimit(lambda: 0.0))] == [b"ratelimit-policy", b"ratelimit"]
