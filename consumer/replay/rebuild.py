"""One run of a replay, from the first event to the swap."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from confluent_kafka.admin import AdminClient

from consumer.errors import ConsumerStoppedError, RetryLaterError
from consumer.kafka.topic_reader import Ends
from consumer.postgres.fence import read_fence
from consumer.postgres.publications import require_unpublished
from consumer.replay import workers
from consumer.replay.compare import Comparison, compare, compare_older
from consumer.replay.dependents import complete, complete_again, dependents
from consumer.replay.engine import Engine, OnProgress
from consumer.replay.outage import LIVE_TABLES_UNCHANGED, outage_error
from consumer.replay.pace import Pace
from consumer.replay.schema import REPLACED_SCHEMA, connected, open_schema, url_for
from consumer.replay.schemas import require_droppable
from consumer.replay.shop_values import ShopValues
from consumer.replay.source import live_fence, require_source
from consumer.replay.swap import Waits, swap
from consumer.settings import ConsumerSettings
from contracts.topics import UPSERT_PARTITIONS

ROUNDS_MAX = 50
"""Each round reads the events that arrived during the one before. If rounds do not get shorter, it is too slow."""
CAUGHT_UP_EVENTS = 5_000
IN_PROCESSES_FROM_EVENTS = 50_000
"""With fewer events, starting processes takes longer than the work."""
SHOWN_MAX = 20
_LOCK = 7_041_002  # for pg_try_advisory_lock, with a hash of the schema: only one replay at a time fills a schema

BeginPhase = Callable[[str, int], OnProgress]
"""Called with the name of a phase and its number of events. Returns a function to call as events are done."""


@dataclass
class Rebuild:
    """One run of a replay into `schema`.

    `rate`: at most so many events per second; None for no limit. `lock_wait_s`: after that a swap gives up.
    """

    settings: ConsumerSettings
    schema: str
    processes: int
    rate: float | None
    begin: BeginPhase
    lock_wait_s: float = 60
    events: int = field(default=0, init=False)
    replaying_s: float = field(default=0, init=False)

    @property
    def replayed_per_s(self) -> int:
        """Events per second, without the time for making the schema, comparing and swapping."""
        return round(self.events / self.replaying_s) if self.replaying_s else 0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the lock of the schema. Raises ConsumerStoppedError if another replay fills the schema, or if an outage
        ends this one."""
        with connected(self.settings.postgres_url) as connection:
            locked = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK, self.schema])
            if locked.fetchone() != (True,):
                raise ConsumerStoppedError(
                    f"Another replay is filling the schema {self.schema} now. Wait until it ends, or end it."
                )
            try:
                yield
            except RetryLaterError as error:
                raise outage_error(error, self.schema) from error

    def start(self, admin: AdminClient, snapshot: str | None) -> int:
        """Creates the schema, or reads how far it is. Returns the number of missing events."""
        fence = open_schema(self.settings.postgres_url, self.schema, snapshot)
        require_source(self.settings, admin, fence)
        return self._missing(live_fence(self.settings), fence)

    def to(self, ends: Ends) -> None:
        """Applies all events below `ends`."""
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
        """Catches up with the live tables, except for the last CAUGHT_UP_EVENTS. Raises ConsumerError."""
        for _ in range(ROUNDS_MAX):
            fence = live_fence(self.settings)
            if self._missing(fence, self._fence()) <= CAUGHT_UP_EVENTS:
                return
            self.to(fence)
        raise ConsumerStoppedError(
            "The replay does not catch up: the consumers apply as fast as it does. Raise --rate, or wait for a quieter "
            f"time. Then the replay goes on where it stopped. {LIVE_TABLES_UNCHANGED}"
        )

    def verify(self) -> Comparison:
        """Compares every row with the live one, in one snapshot of the live tables. The consumers go on meanwhile."""
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
        """Compares the schema as it is with the live tables. Writes nothing."""
        self.begin("comparing", 0)
        with connected(self.settings.postgres_url) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return compare_older(connection, self.schema, SHOWN_MAX)

    def require_unpublished(self) -> None:
        """Raises ConsumerStoppedError if a publication would take in the tables of the replay."""
        with connected(self.settings.postgres_url) as connection:
            require_unpublished(connection, self.schema)

    def require_swappable(self) -> None:
        """Raises ConsumerStoppedError if a swap would lose something that depends on the live table, or on the one that
        was replaced before."""
        with connected(self.settings.postgres_url) as connection, connection.transaction():
            for schema in (REPLACED_SCHEMA, self.schema):
                require_droppable(connection, schema)
            dependents(connection)

    def swap(self) -> Waits:
        """Returns how long the consumers waited. Raises ConsumerError; then nothing is swapped."""
        waits, values = Waits(), ShopValues(self.schema)
        with closing(self._engine()) as engine:

            def catch_up(ends: Ends) -> None:
                engine.catch_up(ends, lambda _: None)

            def prepare() -> None:
                self.to_the_present()
                with connected(self.settings.postgres_url) as connection:
                    complete_again(connection, self.schema)
                with connected(self.settings.postgres_url) as connection:
                    values.copy(connection, lambda: catch_up(live_fence(self.settings)))
                catch_up(live_fence(self.settings))  # so that its connections and plans are ready for the swap
                self.begin("swapping", 0)

            swap(self.settings.postgres_url, self.schema, prepare, catch_up, values, self.lock_wait_s, waits)
        return waits

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
                f"The replay in {self.schema} is ahead of the live tables (offsets {ahead}), because Postgres was "
                "restored to an older state. Start from the beginning with: orders replay --fresh"
            )
        return sum(ends.values()) - sum(fence.values())
