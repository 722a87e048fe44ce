"""Which connections are closed: those that wait, the largest of those that are not read, and those too slowly read."""

import asyncio
import resource
from typing import cast

import pytest

from ingress import connections as module
from ingress.connections import (
    CONNECTIONS_MAX,
    FILES_KEPT,
    PROGRESS_BYTES,
    PROGRESS_S,
    UNREAD_BYTES_MAX,
    Connections,
    connections_max,
)
from ingress.reading import Reading
from support.clocks import StoppedLoop


class StandIn:
    """A connection that notes whether it was closed."""

    closed = False

    def abort(self) -> None:
        self.closed = True


def test_of_what_is_not_read_the_largest_goes_first() -> None:
    closings = list[int]()
    connections = Connections(100, lambda: closings.append(1))
    small, large, more = StandIn(), StandIn(), StandIn()
    for each in (small, large, more):
        connections.opened(each)
    connections.unread(small, 100)
    connections.unread(large, UNREAD_BYTES_MAX - 200)
    connections.unread(large, UNREAD_BYTES_MAX - 100)
    assert not closings
    connections.unread(more, 1)
    assert (small.closed, large.closed, more.closed) == (False, True, False)
    connections.read(small)
    connections.unread(more, UNREAD_BYTES_MAX)  # what is closed or read does not count any more
    assert (len(closings), len(connections)) == (1, 2)


def test_only_those_that_wait_make_room_and_the_newest_if_none_does() -> None:
    connections = Connections(2, lambda: None)
    first, second, third, fourth = (StandIn() for _ in range(4))
    for each in (first, second):
        connections.opened(each)
        connections.waiting.pop(each)  # as its request comes
    connections.opened(third)
    assert (first.closed, second.closed, third.closed) == (False, False, True)
    connections.waits(third)  # too late
    connections.waits(first)
    connections.opened(fourth)
    assert (first.closed, second.closed, fourth.closed) == (True, False, False)


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "expected"),
    [
        (1024, 4096, 4096, 4096 - FILES_KEPT),
        (1024, 1_000_000, CONNECTIONS_MAX + FILES_KEPT, CONNECTIONS_MAX),
        (1024, resource.RLIM_INFINITY, CONNECTIONS_MAX + FILES_KEPT, CONNECTIONS_MAX),
        (256, 256, 256, 128),
        (1_000_000, 1_000_000, 1_000_000, CONNECTIONS_MAX),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, CONNECTIONS_MAX),
    ],
)
def test_there_are_files_left_beside_the_connections(
    soft: int, hard: int, raised: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [soft, hard]
    monkeypatch.setattr(module.resource, "getrlimit", lambda _: tuple(limits))  # type: ignore[attr-defined]
    monkeypatch.setattr(module.resource, "setrlimit", lambda _, new: limits.__setitem__(slice(None), new))  # type: ignore[attr-defined]
    assert connections_max() == expected
    assert limits == [raised, hard]


class Sending:
    """A transport whose client reads what a test says."""

    unread_bytes = 10 * PROGRESS_BYTES

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes


def test_a_client_has_to_read_but_may_take_its_time() -> None:
    loop, transport, connection = StoppedLoop(), Sending(), StandIn()
    connections = Connections(10, lambda: None)
    connections.opened(connection)
    watch = Reading(connection, cast(asyncio.WriteTransport, transport), connections, loop)
    try:
        watch.stops(0)
        for _ in range(5):
            transport.unread_bytes -= PROGRESS_BYTES
            loop.after(PROGRESS_S + 0.1)
        watch.goes_on()
        loop.after(PROGRESS_S + 0.1)
        watch.stops(0)
        loop.after(PROGRESS_S - 0.1)
        assert not connection.closed
        transport.unread_bytes -= PROGRESS_BYTES - 1
        loop.after(0.2)
        assert connection.closed
    finally:
        loop.close()
