"""The entries of the catalogue of errors with status 400, beside those of `contracts/violations.py`. Pure."""

from contracts.problem import Problem

UTF_16 = Problem(
    "utf-16",
    400,
    "The body is UTF-16 or UTF-32. Send it as UTF-8",
    "The first bytes of the body are not those of UTF-8.",
    "Encode the body as UTF-8.",
)
TOO_MANY_VALUES = Problem(
    "too-many-values",
    400,
    "A body should have at most {values_max} values",
    "The body has more opening brackets and commas outside of texts than a body full of the smallest products.",
    "Send the orders in several requests, and leave out fields that the contract does not have.",
)
TOO_MANY_VALUES_BESIDE = Problem(
    "too-many-values-beside-data",
    400,
    "The fields beside `data` should have at most {values_max} values",
    "They are read at once, so there is a limit for them of their own.",
    "Leave out the fields beside `data`: they are ignored.",
)
TOO_MANY_VALUES_OF_AN_ORDER = Problem(
    "too-many-values-of-an-order",
    400,
    "An order should have at most {values_max} values",
    "An order is read at once, so there is a limit for it of its own. Unknown fields count.",
    "Leave out fields that the contract does not have.",
)
BROKEN_GZIP = Problem(
    "broken-gzip",
    400,
    "The body should be gzip, as its Content-Encoding says: {error}",
    "The body cannot be unpacked.",
    "Pack the body anew, or leave out `Content-Encoding`.",
)
CUT_OFF_GZIP = Problem(
    "cut-off-gzip",
    400,
    "The body should be gzip, as its Content-Encoding says, and ends too early",
    "The end of the packed body is missing.",
    "Close the packer before you send, and send all of its bytes.",
)
TOO_MANY_MEMBERS = Problem(
    "too-many-gzip-members",
    400,
    "The body should be gzip of at most {members_max} members",
    "The body was packed in very many parts.",
    "Pack the body as a whole.",
)
MALFORMED_KEY = Problem(
    "malformed-idempotency-key",
    400,
    "Should be sent once, with 1 to {characters_max} visible ASCII characters and no spaces",
    "`path` is `Idempotency-Key`: the header is empty, too long, there twice, or has other characters.",
    "Send a UUID, for example.",
)
NOT_A_TIME = Problem(
    "not-a-time",
    400,
    "Should be sent once, as a time of RFC 3339 with its zone: 2026-11-24T10:00:00Z",
    "`path` is `since`. In a URL, `+` stands for a space.",
    "Write the time in UTC with `Z` at its end, or `%2B` for `+`.",
)
NOT_A_LIMIT = Problem(
    "not-a-limit",
    400,
    "Should be sent once, as a number from 1 to {requests_max}",
    "`path` is `limit`: how many requests a page has.",
    "Ask for fewer, and go on with `next`.",
)
NOT_A_CURSOR = Problem(
    "not-a-cursor",
    400,
    "Should be sent once, as it is in `next` of the page before",
    "`path` is `cursor`, which only this server writes.",
    "Use `next` as it is, or begin again without `cursor`.",
)
_NOT_HTTP = "The connection is closed. This answer is always `application/json`."
NOT_HTTP = Problem(
    "not-http",
    400,
    "Invalid HTTP request: it is not HTTP/1.1",
    f"The bytes cannot be read as a request, or could be read in two ways. {_NOT_HTTP}",
    "Use an HTTP library. Do not send TLS or HTTP/2 to this port. Send either `Content-Length` or chunks.",
)
TOO_MANY_HEAD_BYTES = Problem(
    "too-many-header-bytes",
    400,
    "Invalid HTTP request: headers and trailers should have at most {bytes_max} bytes",
    f"The head, the trailers or the chunk extensions are too long. {_NOT_HTTP}",
    "Send fewer and shorter headers, above all cookies.",
)
TOO_LARGE_HEAD = Problem(
    "too-large-head",
    400,
    "Invalid HTTP request: a head should have at most {headers} headers and {bytes_max} bytes",
    f"The head is complete, and too large. {_NOT_HTTP}",
    "Send fewer and shorter headers, above all cookies.",
)
TOO_MANY_CHUNKS = Problem(
    "too-many-chunks",
    400,
    "Invalid HTTP request: a body should have at most {chunks_max} chunks",
    f"Each chunk costs work, however small it is. {_NOT_HTTP}",
    "Send larger chunks, or `Content-Length`.",
)
NOT_A_PROXY = Problem(
    "not-a-proxy",
    400,
    "Invalid HTTP request: this server is not a proxy",
    f"The method is `CONNECT`. {_NOT_HTTP}",
    "Take this server out of your client's proxy settings.",
)
BAD_REQUESTS = [value for value in vars().values() if isinstance(value, Problem)]
