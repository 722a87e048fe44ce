"""The application's own answers, without a server: what is no endpoint, and what FastAPI would say in its own words."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from contracts.ledger_reader import NoLedger
from ingress.admission import Admission
from ingress.metrics import IngressMetrics
from ingress.orders import ORDERS_PATH
from ingress.routes import OrdersApp, create_app
from ingress.settings import IngressSettings
from support.http import Answer
from support.kept import PUBLISHED


@pytest.fixture
def app() -> OrdersApp:
    settings = IngressSettings(kafka_bootstrap="nowhere:1")
    return create_app(settings, NoLedger(), Admission(1, 1), lambda _: None)


def ask(app: OrdersApp, method: str, target: str, headers: list[tuple[bytes, bytes]] | None = None) -> Answer:
    said: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    path, _, query = target.partition("?")
    scope: Scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    asyncio.run(app({**scope, "headers": headers or []}, receive, send))
    named = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return Answer(said[0]["status"], named, b"".join(message.get("body", b"") for message in said))


def test_another_path_is_answered_in_our_words(app: OrdersApp) -> None:
    assert ask(app, "GET", "/x").json == {"error": "Not Found"}
    assert "should be /healthz," in ask(app, "GET", "/healthz/").json["error"]
    assert ask(app, "POST", f"{ORDERS_PATH}\n").status == 404


@pytest.mark.parametrize(("path", "methods"), [("/healthz", "GET, HEAD"), (ORDERS_PATH, "POST")])
def test_another_method_is_told_which_there_are(app: OrdersApp, path: str, methods: str) -> None:
    answer = ask(app, "DELETE", path)
    assert (answer.status, answer.headers["allow"], list(answer.json)) == (405, methods, ["error"])


def test_a_post_of_orders_goes_before_fastapi() -> None:
    """Its router and layers would cost several times as much as a request does before its endpoint."""

    @asynccontextmanager
    async def lifespan(_: OrdersApp) -> AsyncIterator[None]:
        yield

    seen: list[Scope] = []

    async def post_orders(request: Request) -> Response:
        seen.append(request.scope)
        return Response()

    assert ask(OrdersApp(post_orders, lifespan, IngressMetrics()), "POST", ORDERS_PATH).status == 200
    assert not {"app", "router", "route", "endpoint"} & seen[0].keys()


def test_what_can_be_got_has_a_head_too(app: OrdersApp) -> None:
    head, got = ask(app, "HEAD", "/healthz"), ask(app, "GET", "/healthz")
    assert (head.status, head.headers) == (200, got.headers)
    assert ask(app, "HEAD", ORDERS_PATH).status == 405


def test_the_document_is_made_once(app: OrdersApp) -> None:
    first, again = ask(app, "GET", "/openapi.json"), ask(app, "GET", "/openapi.json")
    assert first.json == json.loads((PUBLISHED / "openapi.json").read_text())
    assert first == again
    served = {route.path for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema}
    assert served == set(first.json["paths"])


def test_what_fastapi_makes_of_itself_is_not_there(app: OrdersApp) -> None:
    assert [ask(app, "GET", path).status for path in ("/redoc", "/docs/oauth2-redirect")] == [404, 404]


@pytest.mark.parametrize("number", ["nan", "x", "%ff", "%ED%A0%80", "1" * 5000])
def test_a_wrong_parameter_is_answered_with_400_and_not_with_fastapis_422(app: OrdersApp, number: str) -> None:
    @app.get("/number")
    async def read(number: int, _: Request) -> Response:
        return Response()

    answer = ask(app, "GET", f"/number?number={number}", [(b"expect", b"100-continue")])
    assert (answer.status, list(answer.json), answer.headers["connection"]) == (400, ["path", "error"], "close")
    assert answer.json["path"] == "number"
    assert len(json.dumps(answer.json)) < 200
    assert ask(app, "GET", "/number?number=1").status == 200


def test_the_type_of_an_error_leads_to_what_it_means(app: OrdersApp) -> None:
    problem = ask(app, "GET", "/x", [(b"accept", b"application/problem+json")]).json
    path, _, anchor = problem["type"].partition("#")
    page = ask(app, "GET", path)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'id="{anchor}"' in page.body.decode()
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
