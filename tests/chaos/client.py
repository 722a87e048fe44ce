"""Calls on an ingress through the proxy, each written into the history."""

import http.client
import json
import random
from dataclasses import dataclass
from typing import Any

from chaos.history import Call, History
from chaos.workload import Planned, order_of
from deploy.local.ports import LOOPBACK
from support.http import ORDERS_PATH

TIMEOUT_S = 25.0
"""Longer than an ingress waits for outcomes: a client that gets no answer in this time was cut off."""


@dataclass
class Client:
    """One partner's program, with a connection for each call: those of a keep-alive client would break as well."""

    name: str
    ports: list[int]
    tokens: dict[str, str]
    history: History
    timeout_s: float = TIMEOUT_S

    def post(self, planned: Planned) -> Call:
        call = Call(
            _new_trace(), self.name, planned.partner, planned.items, planned.ingress, self.history.now_s(),
            planned.sort, planned.key, planned.prefer,
        )  # fmt: skip
        headers = {
            "token": "ord_live_nobody" if planned.sort == "foreign token" else self.tokens[planned.partner],
            "traceparent": f"00-{call.trace}-{call.trace[:16]}-01",
            "Content-Type": "application/json",
        }
        if planned.key is not None:
            headers["Idempotency-Key"] = planned.key
        if planned.prefer is not None:
            headers["Prefer"] = planned.prefer
        return self._make(call, "POST", ORDERS_PATH, _body(planned), headers, planned.hang_up_s)

    def ask(self, call: Call, partner: str) -> Call:
        """The status of the request behind `call`, asked for by `partner`."""
        asked = Call(_new_trace(), self.name, partner, (), call.ingress, self.history.now_s(), "status")
        asked.asked_of = call.trace
        return self._make(asked, "GET", call.location or "", None, {"token": self.tokens[partner]}, None)

    def _make(
        self, call: Call, method: str, path: str, body: bytes | None, headers: dict[str, str], hang_up_s: float | None
    ) -> Call:
        self.history.begin(call)
        timeout_s = self.timeout_s if hang_up_s is None else max(hang_up_s, 0.0005)
        connection = http.client.HTTPConnection(LOOPBACK, self.ports[call.ingress], timeout=self.timeout_s)
        try:
            connection.request(method, path, body, headers)
            connection.sock.settimeout(timeout_s)
            answer = connection.getresponse()
            call.body = json.loads(answer.read())
            call.status = answer.status
            call.replayed = answer.headers["Idempotent-Replayed"] == "true"
            call.location = answer.headers["Location"]
            call.answered_s = self.history.now_s()
        except (OSError, http.client.HTTPException, ValueError) as error:
            # What arrived before the error does not count: a partner's library would not have shown it either.
            call.error = "hung up" if hang_up_s is not None else f"{type(error).__name__}: {error}"
        finally:
            connection.close()
            self.history.end(call)
        return call


def _body(planned: Planned) -> bytes:
    orders: list[dict[str, Any]] = [order_of(planned.partner, item) for item in planned.items]
    if planned.sort == "broken":
        del orders[-1]["email"]
    return json.dumps({"data": orders}).encode()


def _new_trace() -> str:
    """Not from the seed: no two calls may share one."""
    return f"{random.SystemRandom().getrandbits(128) | 1 << 127:032x}"
