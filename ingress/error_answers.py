"""Errors as answers: the documented JSON, or `application/problem+json` (RFC 9457) for clients that accept it."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from contracts.problem import Problem
from contracts.strict_json import Violation
from ingress.accept import PROBLEM_JSON, wants_problem_json
from ingress.catalogue import PAGE, bad_request
from ingress.json_answers import Json, json_response
from ingress.noted import BAD_REQUEST, REFUSED


def error_response(request: Request, problem: Problem, text: str, headers: dict[str, str]) -> Response:
    """`text`: what `problem` says this time."""
    request.scope[REFUSED] = problem.name
    headers = {**headers, **_close_after_expect(request)}
    if not _wants_problem(request):
        return json_response(problem.status, {"error": text}, headers)
    return json_response(problem.status, _problem(problem, text), headers, PROBLEM_JSON)


def bad_request_response(request: Request, violation: Violation) -> Response:
    """400, with the first violation, and with all if they were asked for."""
    request.scope[REFUSED] = BAD_REQUEST
    violations: list[Json] = [{"path": path, "error": error} for path, error in violation.others]
    first: Json = {"path": violation.path, "error": violation.error}
    headers = _close_after_expect(request)  # a wrong header is told before the body
    if not _wants_problem(request):
        content = {**first, "violations": violations} if violations else first
        return json_response(HTTPStatus.BAD_REQUEST, content, headers)
    content = {**_problem(bad_request(violation.error), str(violation)), "violations": violations or [first]}
    return json_response(HTTPStatus.BAD_REQUEST, content, headers, PROBLEM_JSON)


def _problem(problem: Problem, text: str) -> Json:
    return {"type": f"{PAGE}#{problem.name}", "title": problem.title, "status": problem.status, "detail": text}


def _wants_problem(request: Request) -> bool:
    return wants_problem_json(request.headers.getlist("accept"))


def _close_after_expect(request: Request) -> dict[str, str]:
    """The header that closes the connection after an answer that may come before the body.

    After `Expect`, the client chooses whether it still sends the body (RFC 9110, 10.1.1).
    """
    return {"Connection": "close"} if "expect" in request.headers else {}
