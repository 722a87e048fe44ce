"""The ASGI application: which path is served by what."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from contracts.ledger_reader import LedgerReader
from ingress import problems
from ingress.admission import Admission
from ingress.app import Ingress
from ingress.error_answers import error_response
from ingress.errors import STATUS_PATH
from ingress.json_answers import json_response
from ingress.orders import ORDERS_PATH
from ingress.settings import IngressSettings

READY_WAIT_S = 3.0
_READY_CHECK_S = 0.01


def create_app(
    settings: IngressSettings, ledger: LedgerReader, admission: Admission, on_fatal: Callable[[str], None]
) -> ASGIApp:
    """The ASGI application. It makes its Kafka clients when it starts, so after any fork."""
    running: list[Ingress] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await ledger.open()
        ingress = Ingress(settings, ledger, admission, on_fatal)
        running.append(ingress)
        await _wait_until_ready(ingress)
        yield
        await asyncio.to_thread(ingress.stop)
        await ledger.close()

    async def post_orders(request: Request) -> Response:
        if request.scope["path"] != ORDERS_PATH:  # the router also accepts a line feed at the end
            raise HTTPException(404)
        return await running[0].endpoint.post(request)

    async def orders_first(scope: Scope, receive: Receive, send: Send) -> None:
        """Serves POST of orders without Starlette's router and middleware, a fifth of the work of a small request."""
        if scope["type"] == "http" and scope["path"] == ORDERS_PATH and scope["method"] == "POST":
            response = await post_orders(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await app(scope, receive, send)

    async def get_status(request: Request) -> Response:
        return await running[0].status.get(request)

    async def healthz(_: Request) -> Response:
        return json_response(200, {"status": "ok"})

    async def readyz(_: Request) -> Response:
        readiness: dict[str, object] = {**running[0].readiness()}
        return json_response(200 if all(readiness.values()) else 503, readiness)

    async def router_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = {**(error.headers or {})}
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return error_response(request, problems.NO_SUCH_METHOD, problems.NO_SUCH_METHOD.said(), headers)
        path = _without_slash(request)
        if path is None:
            return error_response(request, problems.NO_SUCH_PATH, problems.NO_SUCH_PATH.said(), headers)
        return error_response(request, problems.SLASH_AT_THE_END, problems.SLASH_AT_THE_END.said(path=path), headers)

    app = Starlette(
        routes=[
            Route(ORDERS_PATH, post_orders, methods=["POST"]),
            Route(STATUS_PATH, get_status, methods=["GET"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        exception_handlers={HTTPException: router_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return orders_first


def _without_slash(request: Request) -> str | None:
    """The path of an endpoint that the request meant, if a slash at the end is all that is wrong with its path."""
    path = request.scope["path"]
    if not path.endswith("/"):
        return None
    scope = {**request.scope, "path": path.rstrip("/")}
    routes = (route for route in request.app.routes if isinstance(route, Route))
    return next((route.path for route in routes if route.matches(scope)[0] is not Match.NONE), None)


async def _wait_until_ready(ingress: Ingress) -> None:
    """Waits before the process listens, but at most READY_WAIT_S.

    Other workers on the same port can serve a request that this one would refuse with 503. Without Kafka nobody can,
    and a 503 is better than a refused connection.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_WAIT_S):
            while not all(ingress.readiness().values()):
                await asyncio.sleep(_READY_CHECK_S)
