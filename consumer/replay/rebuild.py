"""A replay from its first event to the swap."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from confluent_kafka.admin import AdminClient

from consumer.errors import ConsumerStoppedError, DiskFullError, RetryLaterError
from consumer.kafka.topic_reader import Ends
from consumer.postgres.fence import read_fence
from consumer.replay import workers
from consumer.replay.compare import Comparison, compare, compare_older
from consumer.replay.dependents import complete, dependents
from consumer.replay.engine import Engine, OnProgress
from consumer.replay.outage import given_up
from consumer.replay.pace import Pace
from consumer.replay.schema import connected, open_schema, url_for
from consumer.replay.source import live_fence, require_source
from consumer.replay.swap import NotCaughtUpError, swap
from consumer.settings import ConsumerSettings
from contracts.topics import UPSERT_PARTITIONS

ROUNDS_MAX = 50
"""Each round reads what came in during the one before, so they get shorter, or the replay is too slow."""
CAUGHT_UP_EVENTS = 5_000
IN_PROCESSES_FROM_EVENTS = 50_000
"""Below this, starting processes takes longer than the work."""
SWAP_ATTEMPTS_MAX = 10
SHOWN_MAX = 20
_LOCK = 7_041_002  # of pg_try_advisory_lock, with a hash of the schema: one replay at a time fills a schema

BeginPhase = Callable[[str, int], OnProgress]
"""Tells whoever watches what is done now, and of how many events; gives what to call as they are done."""


@dataclass
class Rebuild:
    """One run of a replay into `schema`. `rate`: events a second at the most, None for no limit."""

    settings: ConsumerSettings
    schema: str
    processes: int
    rate: float | None
    begin: BeginPhase
    events: int = field(default=0, init=False)
    replaying_s: float = field(default=0, init=False)

    @property
    def replayed_per_s(self) -> int:
        """Events, without the time for making the schema, comparing and swapping."""
        return round(self.events / self.replaying_s) if self.replaying_s else 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises ConsumerStoppedError while another replay fills the same schema, and where an outage ends this one."""
        with connected(self.settings.postgres_url) as connection:
            locked = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK, self.schema])
            if locked.fetchone() != (True,):
                raise ConsumerStoppedError(
                    f"Another replay is filling the schema {self.schema} at this moment. Wait for it, or end it."
                )
            try:
                yield
            except RetryLaterError as error:
                raise given_up(error, self.schema) from error

    def start(self, admin: AdminClient, snapshot: str | None) -> int:
        """Makes the schema, or finds out where it stands; gives the number of events that are missing."""
        fence = open_schema(self.settings.postgres_url, self.schema, snapshot)
        require_source(self.settings, admin, fence)
        return self._missing(live_fence(self.settings), fence)

    def to(self, ends: Ends) -> None:
        """Everything below `ends`."""
        missing = self._missing(ends, self._fence())
        advance = self.begin(f"replaying into {self.schema}", missing)

        def note(events: int) -> None:
            self.events += events
            advance(events)

        started_s = time.monotonic()
        if missing >= IN_PROCESSES_FROM_EVENTS:
            workers.catch_up(self.settings, self.schema, ends, self.processes, self.rate, note)
        else:
            with closing(self._engine()) as engine:
                engine.catch_up(ends, note)
        self.replaying_s += time.monotonic() - started_s

    def to_the_present(self) -> None:
        """Up to the live tables, as they are at the end of it but for some events. Raises ConsumerError."""
        for _ in range(ROUNDS_MAX):
            fence = live_fence(self.settings)
            if self._missing(fence, self._fence()) <= CAUGHT_UP_EVENTS:
                return
            self.to(fence)
        raise ConsumerStoppedError(
            "The replay does not catch up: the consumers apply as fast as it does. Raise --rate, or wait for a quieter "
            "time. It goes on where it was; the live tables are as they were."
        )

    def verify(self) -> Comparison:
        """Every row against the live one, at one moment of the live tables, which go on meanwhile."""
        with connected(self.settings.postgres_url) as live:
            live.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            fence = read_fence(live)
            self.to(fence)
            self._complete()
            self.begin("comparing", 0)
            with connected(url_for(self.settings.postgres_url, self.schema)) as replayed:
                replayed.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                return compare(live, replayed, self.schema, SHOWN_MAX)

    def verify_only(self) -> Comparison:
        """What stands in the schema against the live tables. Writes nothing."""
        self.begin("comparing", 0)
        with connected(self.settings.postgres_url) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return compare_older(connection, self.schema, SHOWN_MAX)

    def require_swappable(self) -> None:
        """Raises ConsumerStoppedError where something hangs on the live table that a swap would lose."""
        with connected(self.settings.postgres_url) as connection, connection.transaction():
            dependents(connection)

    def swap(self) -> float:
        """Gives the seconds for which the consumers waited. Raises ConsumerError; then nothing was swapped."""
        for attempt in range(1, SWAP_ATTEMPTS_MAX + 1):
            self.to_the_present()
            try:
                with closing(self._engine()) as engine:
                    engine.catch_up(live_fence(self.settings), lambda _: None)  # so that what follows is warm
                    self.begin("swapping", 0)
                    return swap(
                        self.settings.postgres_url, self.schema, lambda ends: engine.catch_up(ends, lambda _: None)
                    )
            except DiskFullError:
                raise
            except (NotCaughtUpError, RetryLaterError) as error:
                if attempt == SWAP_ATTEMPTS_MAX:
                    raise ConsumerStoppedError(
                        f"The tables could not be swapped in {SWAP_ATTEMPTS_MAX} attempts: {error}\nWhoever holds a "
                        "lock on orders stands in pg_stat_activity. The live tables are as they were; try again."
                    ) from error
                time.sleep(min(attempt, 5))
        raise AssertionError("unreachable")

    def _complete(self) -> None:
        with connected(self.settings.postgres_url) as connection:
            complete(connection, self.schema)

    def _engine(self) -> Engine:
        return Engine(self.settings, self.schema, range(UPSERT_PARTITIONS), Pace(self.rate))

    def _fence(self) -> dict[int, int]:
        with connected(self.settings.postgres_url) as connection:
            return read_fence(connection, self.schema)

    def _missing(self, ends: Ends, fence: Ends) -> int:
        ahead = {partition: fence[partition] for partition in fence if fence[partition] > ends[partition]}
        if ahead:
            raise ConsumerStoppedError(
                f"The replay in {self.schema} stands behind the offsets of the live tables ({ahead}): those were put "
                "back. Begin anew with: orders replay --fresh"
            )
        return sum(ends.values()) - sum(fence.values())
