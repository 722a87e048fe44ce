"""Headers found in one pass are those that Starlette finds one by one."""

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from ingress.request_headers import read_request_headers

NAMES = st.sampled_from([b"token", b"idempotency-key", b"prefer", b"traceparent", b"host", b"x-token"])


@given(st.lists(st.tuples(NAMES, st.binary(max_size=5)), max_size=12))
def test_every_value_is_found_in_its_order(raw: list[tuple[bytes, bytes]]) -> None:
    usual, found = Headers(raw=raw), read_request_headers(raw)
    assert found.token == usual.getlist("token")
    assert found.idempotency_key == usual.getlist("idempotency-key")
    assert found.prefer == usual.getlist("prefer")
    assert found.traceparent == usual.get("traceparent", "")
