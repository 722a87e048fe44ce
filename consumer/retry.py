"""Tries again for as long as an outage lasts: outages end, and no order may be lost in one."""

import logging
from collections.abc import Callable
from threading import Event as Flag

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_random_exponential

from consumer.errors import RetryLaterError

BACKOFF_MAX_S = 2.0
_log = logging.getLogger(__name__)


def attempts(
    stop: Flag, sleep: Callable[[float], None], on_retry: Callable[[BaseException], None] = lambda _: None
) -> Retrying:
    """Repeats until an attempt raises no RetryLaterError. Raises the last one if `stop` is set.

    `on_retry` is called with each error after which another attempt is made.
    """

    def before_sleep(state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        if error is not None:
            _log.warning("attempt %d failed, trying again: %s", state.attempt_number, error)
            on_retry(error)

    return Retrying(
        retry=retry_if_exception_type(RetryLaterError),
        wait=wait_random_exponential(multiplier=0.1, max=BACKOFF_MAX_S),
        stop=stop_when_event_set(stop),
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
