"""The pages under /docs: the documents to read and to try, and the errors. From the package alone, no other host."""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingress import problems
from ingress.catalogue import PAGE as ERRORS_PATH
from ingress.error_answers import error_response
from ingress.error_page import html

PART_BYTES_MAX = 64 << 10
"""What is written at a time. So a client that does not read keeps no more than this."""
ASSETS_PATH = "/docs/assets/"
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Scalar writes its styles into the page
        "img-src 'self' data:",
        "font-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"
_TITLES = {"/docs": "Post orders over HTTP", "/docs/events": "Read and write the topics"}
_DOCUMENTS = {"/docs": "/openapi.json", "/docs/events": "/asyncapi.json"}


@dataclass(frozen=True)
class Asset:
    """Bytes that never change while the process runs. `packed`: they are gzip."""

    content: bytes
    media_type: str
    cache_control: str
    packed: bool = False

    @cached_property
    def tag(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


class PartsResponse(Response):
    """Sends its body in parts, and each after the client has taken the one before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for start in range(0, max(len(body), 1), PART_BYTES_MAX):
            part = bytes(body[start : start + PART_BYTES_MAX])
            await send({"type": "http.response.body", "body": part, "more_body": start + PART_BYTES_MAX < len(body)})


def docs_routes() -> list[Route]:
    """The routes of the pages and of all that they load, but for /openapi.json."""
    pages = files("ingress") / "pages"
    published = (files("contracts") / "published" / "asyncapi.json").read_bytes()
    scripts = Asset((pages / "scalar.js.gz").read_bytes(), "text/javascript", _FOR_EVER, packed=True)
    ours = Asset((pages / "docs.js").read_bytes(), "text/javascript", _FOR_EVER)
    styles = Asset((pages / "docs.css").read_bytes(), "text/css", _FOR_EVER)
    paths = {
        "scalar": f"{ASSETS_PATH}scalar-{scripts.tag}.js",
        "docs": f"{ASSETS_PATH}docs-{ours.tag}.js",
        "styles": f"{ASSETS_PATH}docs-{styles.tag}.css",
    }
    served = {
        paths["scalar"]: scripts,
        paths["docs"]: ours,
        paths["styles"]: styles,
        "/asyncapi.json": Asset(gzip.compress(published, 9, mtime=0), "application/json", _ASK_EACH_TIME, packed=True),
        ERRORS_PATH: Asset(html().encode(), "text/html", _ASK_EACH_TIME),
        **{path: Asset(_html(path, paths), "text/html", _ASK_EACH_TIME) for path in _TITLES},
    }
    return [Route(path, _endpoint(asset), methods=["GET"]) for path, asset in served.items()]


def _endpoint(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{asset.tag}"'
    headers = {**_HEADERS, "Cache-Control": asset.cache_control, "ETag": tag}
    if asset.packed:
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}

    async def get(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if asset.packed and "gzip" not in request.headers.get("accept-encoding", ""):
            return error_response(request, problems.GZIP_ONLY, problems.GZIP_ONLY.said(), {})
        return PartsResponse(asset.content, headers=headers, media_type=asset.media_type)

    return get


def _html(path: str, paths: Mapping[str, str]) -> bytes:
    links = "\n".join(
        f'<a href="{to}"{" aria-current=page" if to == path else ""}>{title}</a>' for to, title in _TITLES.items()
    )
    return f"""<!doctype html>
<html lang="en" data-document="{_DOCUMENTS[path]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_TITLES[path]}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{paths["styles"]}">
<script defer src="{paths["scalar"]}"></script>
<script defer src="{paths["docs"]}"></script>
</head>
<body>
<header class="pages"><nav aria-label="Pages">
{links}
</nav></header>
<main id="app"></main>
<noscript>This page needs JavaScript. The same is in <a href="{_DOCUMENTS[path]}">{_DOCUMENTS[path]}</a>.</noscript>
</body>
</html>
""".encode()
