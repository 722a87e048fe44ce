"""The application: which path is served by what."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from time import perf_counter
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Lifespan, Message, Receive, Scope, Send

from contracts.ledger_reader import LedgerReader
from contracts.strict_json import Violation
from ingress import problems
from ingress.admission import Admission
from ingress.app import Ingress
from ingress.docs_pages import docs_routes
from ingress.error_answers import bad_request_response, error_response
from ingress.errors import STATUS_PATH
from ingress.json_answers import json_response
from ingress.metrics import OTHER, IngressMetrics
from ingress.openapi.document import INFO, TAGS, completed
from ingress.orders import DRY_RUN_PATH, ORDERS_PATH
from ingress.own_requests import REQUESTS_PATH
from ingress.settings import IngressSettings

READY_WAIT_S = 3.0
_READY_CHECK_S = 0.01


class OrdersApp(FastAPI):
    """FastAPI, without what it does before and around a POST of orders: most of the work of a small request.

    It reads no body and no parameter: bytes are for `ingress.batch`, which says what is wrong with them.
    """

    def __init__(
        self,
        post_orders: Callable[[Request], Awaitable[Response]],
        lifespan: Lifespan["OrdersApp"],
        metrics: IngressMetrics,
    ) -> None:
        super().__init__(
            title=INFO["title"],
            version=INFO["version"],
            description=INFO["description"],
            license_info=INFO["license"],
            openapi_tags=TAGS,
            lifespan=lifespan,
            exception_handlers={HTTPException: _router_error, RequestValidationError: _parameter_error},
            redirect_slashes=False,
            openapi_url=None,  # FastAPI would write the document anew for each request
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        )
        self._post_orders = post_orders
        self._metrics = metrics

    def openapi(self) -> dict[str, Any]:
        return completed(super().openapi())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == ORDERS_PATH and scope["method"] == "POST":
                began_s = perf_counter()
                response = await self._post_orders(Request(scope, receive, send))
                self._metrics.on_answer(ORDERS_PATH, response.status_code, perf_counter() - began_s, scope)
                await response(scope, receive, send)
                return
            if scope["method"] == "HEAD":  # for FastAPI it is not a GET; the server leaves out the body
                scope = {**scope, "method": "GET"}
            send = self._counted(scope, send)
        await super().__call__(scope, receive, send)

    def _counted(self, scope: Scope, send: Send) -> Send:
        """Counts the answer when it begins. A path that is none of ours counts as OTHER."""
        began_s = perf_counter()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", OTHER)
                self._metrics.on_answer(path, message["status"], perf_counter() - began_s, scope)
            await send(message)

        return told


def create_app(
    settings: IngressSettings,
    ledger: LedgerReader,
    admission: Admission,
    on_fatal: Callable[[str], None],
    metrics: IngressMetrics | None = None,
) -> OrdersApp:
    """The application. It makes its Kafka clients when it starts, so after any fork."""
    running: list[Ingress] = []
    counted = metrics or IngressMetrics()

    @asynccontextmanager
    async def lifespan(_: OrdersApp) -> AsyncIterator[None]:
        await ledger.open()
        ingress = Ingress(settings, ledger, admission, on_fatal, counted)
        running.append(ingress)
        await _wait_until_ready(ingress)
        yield
        await asyncio.to_thread(ingress.stop)
        await ledger.close()

    async def post_orders(request: Request) -> Response:
        return await running[0].endpoint.post(request)

    app = OrdersApp(post_orders, lifespan, counted)

    @cache
    def document() -> bytes:
        return json.dumps(app.openapi(), ensure_ascii=False).encode()

    @app.post(ORDERS_PATH, operation_id="postOrders", tags=["orders"], summary="Post a batch of orders")
    async def post_orders_elsewhere(_: Request) -> Response:
        raise HTTPException(404)  # a path with a line feed at its end; see OrdersApp for any other

    @app.post(DRY_RUN_PATH, operation_id="dryRun", tags=["orders"], summary="What a batch of orders would do")
    async def dry_run(request: Request) -> Response:
        return await running[0].endpoint.dry_run(request)

    @app.get(REQUESTS_PATH, operation_id="listRequests", tags=["orders"], summary="Your own requests")
    async def get_own_requests(request: Request) -> Response:
        return await running[0].own_requests.get(request)

    @app.get(STATUS_PATH, operation_id="readRequest", tags=["orders"], summary="The status of a request")
    async def get_status(request: Request) -> Response:
        return await running[0].status.get(request)

    @app.get("/healthz", operation_id="readHealth", tags=["operation"], summary="Whether the process runs")
    async def healthz(_: Request) -> Response:
        return json_response(200, {"status": "ok"})

    @app.get("/readyz", operation_id="readReadiness", tags=["operation"], summary="Whether it serves requests")
    async def readyz(_: Request) -> Response:
        readiness: dict[str, object] = {**running[0].readiness()}
        return json_response(200 if all(readiness.values()) else 503, readiness)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(_: Request) -> Response:
        return Response(document(), media_type="application/json")

    if settings.docs == "on":
        app.router.routes.extend(docs_routes())
    return app


async def _router_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {**(error.headers or {})}
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return error_response(request, problems.NO_SUCH_METHOD, problems.NO_SUCH_METHOD.said(), headers)
    path = _without_slash(request)
    if path is None:
        return error_response(request, problems.NO_SUCH_PATH, problems.NO_SUCH_PATH.said(), headers)
    return error_response(request, problems.SLASH_AT_THE_END, problems.SLASH_AT_THE_END.said(path=path), headers)


async def _parameter_error(request: Request, error: Exception) -> Response:
    """Our 400 in the place of FastAPI's 422, which repeats the input and fails if that is not JSON."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return bad_request_response(request, Violation(".".join(str(step) for step in first["loc"][1:]), first["msg"]))


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
