"""The published sample as the ten documented clients put it on the wire: their request lines, headers and framing."""

from dataclasses import dataclass

from contracts.sample import SAMPLE_BODY
from deploy.sample import DEMO_TOKEN

BODY = SAMPLE_BODY.encode()
HOST = "127.0.0.1:8000"


@dataclass(frozen=True)
class Client:
    """`waits_for_continue`: it sends the body after the server has answered 100."""

    name: str
    headers: dict[str, str]
    chunked: bool = False
    waits_for_continue: bool = False

    def head(self, token: str) -> bytes:
        framing = {"Transfer-Encoding": "chunked"} if self.chunked else {"Content-Length": str(len(BODY))}
        lines = [f"{name}: {value}" for name, value in {**self.headers, "token": token, **framing}.items()]
        return "\r\n".join(["POST /api/integration/orders HTTP/1.1", *lines, "", ""]).encode()

    def body(self, body: bytes = BODY) -> bytes:
        if not self.chunked:
            return body
        half = len(body) // 2
        return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:], b""))


_JSON = "application/json"
CLIENTS = [
    Client("cURL", {"Host": HOST, "User-Agent": "curl/8.5.0", "Accept": "*/*", "Content-Type": _JSON}),
    Client("PHP curl", {"Host": HOST, "Accept": "*/*", "Accept-Encoding": "deflate, gzip", "Content-Type": _JSON}),
    Client(
        "Node axios",
        {
            "Accept": "application/json, text/plain, */*",
            "Content-Type": _JSON,
            "User-Agent": "axios/1.7.9",
            "Accept-Encoding": "gzip, compress, deflate, br",
            "Host": HOST,
            "Connection": "keep-alive",
        },
    ),
    Client(
        "C# HttpClient",
        {"Host": HOST, "Content-Type": "application/json; charset=utf-8", "Expect": "100-continue"},
        waits_for_continue=True,
    ),
    Client("Python http.client", {"Host": HOST, "Accept-Encoding": "identity", "Content-Type": _JSON}),
    Client(
        "Java OkHttp",
        {
            "Content-Type": "application/json; charset=utf-8",
            "Host": HOST,
            "Connection": "Keep-Alive",
            "Accept-Encoding": "gzip",
            "User-Agent": "okhttp/4.12.0",
        },
    ),
    Client(
        "Go net/http",
        {"Host": HOST, "User-Agent": "Go-http-client/1.1", "Content-Type": _JSON, "Accept-Encoding": "gzip"},
        chunked=True,  # as with a body of unknown length
    ),
    Client(
        "Ruby Net::HTTP",
        {
            "Content-Type": _JSON,
            "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
            "Accept": "*/*",
            "User-Agent": "Ruby",
            "Connection": "close",
            "Host": HOST,
        },
    ),
    Client("C libcurl", {"Host": HOST, "Accept": "*/*", "Content-Type": _JSON}),
    Client(
        "PowerShell",
        {
            "User-Agent": "Mozilla/5.0 (Windows NT 10.0; en-US) PowerShell/7.4.6",
            "Content-Type": _JSON,
            "Host": HOST,
        },
    ),
]

__all__ = ["BODY", "CLIENTS", "DEMO_TOKEN", "Client"]
