"""Waiting for conditions, never for a fixed time. The only clock of the tests is here."""

import time
from collections.abc import Callable
from typing import TypeVar

HANG_S = 300.0
"""After this time something hangs. A test that works stays far below it, even on a machine that does much else.

A timeout in a test only stops a hang. It is never what the test is about. pytest's `timeout` is longer: the error from
here comes first, and says what was missing.
"""

Value = TypeVar("Value")


def eventually(
    condition: Callable[[], Value], timeout_s: float = HANG_S, not_yet: tuple[type[Exception], ...] = (AssertionError,)
) -> Value:
    """Returns the first true value of `condition`. Errors of the types `not_yet` mean that it is not true yet.

    After `timeout_s` it raises the last of these errors, or AssertionError.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        failure: Exception | None = None
        try:
            value = condition()
            if value:
                return value
        except not_yet as error:
            failure = error
        if time.monotonic() > deadline_s:
            raise failure or AssertionError(f"not within {timeout_s} s: {condition}")
        time.sleep(0.02)
