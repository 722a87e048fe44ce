"""Server-Timing: the parts of a request, one after the other."""

import asyncio

from ingress.timing import Timing


class Clock:
    """Goes on by a millisecond at each look."""

    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


def told(timing: Timing) -> str:
    ((name, value),) = timing.headers()
    assert name == b"server-timing"
    return value.decode()


def test_each_part_ends_where_the_next_one_begins() -> None:
    timing = Timing(Clock())
    for part in ("ledger", "publish", "apply", "reply"):
        timing.begin(part)
    assert told(timing) == "read;dur=1.000, ledger;dur=1.000, publish;dur=1.000, apply;dur=1.000, reply;dur=1.000"


def test_the_part_that_an_error_ends_is_the_last_one() -> None:
    assert told(Timing(Clock())) == "read;dur=1.000"


def followed(*, published: bool, outcomes_first: bool = False) -> str:
    async def run() -> str:
        timing, loop = Timing(Clock()), asyncio.get_running_loop()
        timing.begin("publish")
        acknowledged: asyncio.Future[None] = loop.create_future()
        done: asyncio.Future[None] = loop.create_future()
        timing.follow(acknowledged if published else None, done)
        for future in (done, acknowledged) if outcomes_first else (acknowledged, done):
            future.set_result(None)
            await asyncio.sleep(0)
        return told(timing)

    return asyncio.run(run())


def test_publishing_ends_with_the_acknowledgement_and_applying_with_the_last_outcome() -> None:
    assert followed(published=True) == "read;dur=1.000, publish;dur=1.000, apply;dur=1.000, reply;dur=1.000"


def test_what_another_request_with_the_key_published_is_only_waited_for() -> None:
    assert followed(published=False) == "read;dur=1.000, publish;dur=1.000, apply;dur=1.000, reply;dur=1.000"


def test_outcomes_that_come_before_the_acknowledgement_end_publishing() -> None:
    assert followed(published=True, outcomes_first=True) == "read;dur=1.000, publish;dur=1.000, reply;dur=1.000"
