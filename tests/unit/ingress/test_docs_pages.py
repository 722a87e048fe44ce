"""The pages and what they load: without a browser, what a browser may load, and that it is what its hash says."""

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import MutableMapping
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.applications import Starlette

from contracts.ledger_reader import NoLedger
from deploy.code_samples import code_samples as samples_of_the_checkout
from deploy.docs_assets import require
from deploy.errors import DocsAssetError
from ingress.admission import Admission
from ingress.catalogue import PAGE
from ingress.code_samples import code_samples
from ingress.docs_pages import CONTENT_SECURITY_POLICY, PART_BYTES_MAX, docs_routes
from ingress.routes import create_app
from ingress.settings import IngressSettings
from support.http import Answer
from support.kept import PUBLISHED, ROOT
from support.partner_clients import CLIENTS

ROUTES = docs_routes()
PATHS = [route.path for route in ROUTES]
PAGES = "/docs", "/docs/events"
PACKED = [path for path in PATHS if "scalar" in path or path == "/asyncapi.json"]
MANIFEST = json.loads((ROOT / "ingress/pages/assets.json").read_text())


def ask(path: str, **headers: str) -> tuple[Answer, list[bytes]]:
    """The answer, and the parts in which its body was sent. `headers` have underscores instead of dashes."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": raw, "query_string": b""}
    asyncio.run(Starlette(routes=ROUTES)(scope, receive, send))
    start, *parts = sent
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]
    bodies = [part.get("body", b"") for part in parts]
    named = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], named, b"".join(bodies)), bodies


class Loads(HTMLParser):
    """What a page loads and links, and what a strict policy would refuse in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag in ("script", "style")
        self.urls += [value for name, value in attrs if name in ("src", "href", "data-document") and value]
        self.inline += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_what_the_package_has_and_nothing_else(path: str) -> None:
    answer, _ = ask(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    loads = Loads(answer.body.decode())
    assert loads.inline == []
    urls = set(loads.urls) - {"data:,", "/openapi.json"}
    assert len(urls) > len(PAGES)
    assert urls <= set(PATHS)
    assert {ask(url, accept_encoding="gzip")[0].status for url in urls} == {200}


@pytest.mark.parametrize("path", PATHS)
def test_no_other_host_and_no_script_but_ours_is_allowed(path: str) -> None:
    policy = ask(path, accept_encoding="gzip")[0].headers["content-security-policy"]
    assert policy == CONTENT_SECURITY_POLICY
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    sources = {source for rule in rules.values() for source in rule.split()}
    assert sources == {"'none'", "'self'", "'unsafe-inline'", "data:"}
    assert [name for name, rule in rules.items() if "'unsafe-inline'" in rule] == ["style-src"]


@pytest.mark.parametrize("path", PATHS)
def test_what_a_browser_has_is_not_sent_again(path: str) -> None:
    first, _ = ask(path, accept_encoding="gzip, br")
    again, _ = ask(path, accept_encoding="gzip, br", if_none_match=f"W/{first.headers['etag']}")
    assert (again.status, again.body) == (304, b"")
    assert ask(path, accept_encoding="gzip", if_none_match='"another"')[0].status == 200
    for_ever = "/assets/" in path
    assert ("immutable" in first.headers["cache-control"]) == for_ever
    if for_ever:
        assert first.headers["etag"].strip('"') in path


@pytest.mark.parametrize("path", PACKED)
def test_what_is_kept_packed_is_sent_packed_or_not_at_all(path: str) -> None:
    assert ask(path, accept_encoding="gzip")[0].headers["content-encoding"] == "gzip"
    answer, _ = ask(path, accept_encoding="identity")
    assert answer.status == 406
    assert "Accept-Encoding: gzip" in answer.json["error"]


def test_a_client_that_does_not_read_keeps_a_small_part_only() -> None:
    (path,) = [path for path in PATHS if "scalar" in path]
    answer, parts = ask(path, accept_encoding="gzip")
    assert len(parts) > 1
    assert max(map(len, parts)) <= PART_BYTES_MAX
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_the_script_is_the_file_of_the_npm_package_and_evaluates_no_text() -> None:
    script = gzip.decompress((ROOT / "ingress/pages/scalar.js.gz").read_bytes())
    assert hashlib.sha256(script).hexdigest() == MANIFEST["sha256"]
    assert MANIFEST["license"] in (ROOT / "ingress/pages/LICENSE-scalar.txt").read_text()
    assert not re.search(rb"[^\w.$]eval\(", script)


def test_another_archive_than_the_known_one_is_refused() -> None:
    with pytest.raises(DocsAssetError, match="look at what changed"):
        require(b"another", MANIFEST)


def test_the_topics_page_shows_the_published_document() -> None:
    answer, _ = ask("/asyncapi.json", accept_encoding="gzip")
    assert gzip.decompress(answer.body) == (PUBLISHED / "asyncapi.json").read_bytes()


def test_the_pages_show_the_clients_of_the_checkout() -> None:
    """If this fails, run make docs-assets."""
    assert code_samples() == samples_of_the_checkout(CLIENTS)


@pytest.mark.parametrize(("docs", "served"), [("on", set(PATHS)), ("off", set())])
def test_the_pages_can_be_taken_away(docs: str, served: set[str]) -> None:
    settings = IngressSettings.model_validate({"kafka_bootstrap": "none:1", "docs": docs})
    app = create_app(settings, NoLedger(), Admission(0, 0), lambda _: None)
    paths = {str(getattr(route, "path", "")) for route in app.routes}
    assert paths & set(PATHS) == served
    # Where the `type` of an error leads is always there.
    assert not [path for path in paths - served - {PAGE} if path.startswith(("/docs", "/redoc", "/asyncapi"))]
