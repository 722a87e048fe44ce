"""Applies the events of some partitions to the tables of a replay, up to given offsets, as the consumer does."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import groupby
from typing import TypeVar

from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from consumer.applied import FenceBehindError
from consumer.applier import Applier
from consumer.core.batch import Batch, Columns, Run
from consumer.core.decoder import Decoder
from consumer.core.log_mark import Watermark
from consumer.core.record import DAY_MS, Rejected, Stage, utc_day
from consumer.core.repeats import NEVER_APPLIED
from consumer.errors import ConsumerStoppedError, DiskFullError, RetryLaterError
from consumer.kafka.message import Taken, records_of
from consumer.kafka.topic_reader import Ends, TopicReader
from consumer.letters.verdicts import Verdicts
from consumer.postgres.session import SessionHolder
from consumer.prefetch import Prefetched
from consumer.replay.outage import LIVE_TABLES_UNCHANGED, outage_error
from consumer.replay.pace import Pace
from consumer.replay.replay_session import ReplaySession
from consumer.replay.schema import url_for
from consumer.settings import ConsumerSettings

OUTAGE_MAX_S = 60.0
"""How long a replay waits for Postgres. After that it ends, and goes on when it is started again."""
BACKOFF_MAX_S = 2.0
_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
OnProgress = Callable[[int], None]
"""Called with the number of offsets that were done since the last call."""


class Engine:
    """Its progress is in the tables themselves, so it can be ended at any moment in any way."""

    def __init__(self, settings: ConsumerSettings, schema: str, partitions: Collection[int], pace: Pace) -> None:
        self._schema = schema
        self._partitions = partitions
        self._pace = pace
        self._records_max = pace.batch_max(settings.batch_records_max)
        self._holder = SessionHolder(url_for(settings.postgres_url, schema), settings.ledger_days, ReplaySession)
        self._reader = TopicReader(settings, settings.topics.upserts)
        self._verdicts = Verdicts(settings, partitions)
        self._applier = Applier(self._holder, self._bury)
        self._decoder = Decoder()
        self._rows_change = False
        """Whether the last batch changed rows. Then the next ones probably do too, and their orders are read ahead."""
        self._days: dict[int, date] = {}

    def close(self) -> None:
        self._reader.close()
        self._verdicts.close()
        self._holder.close()

    def catch_up(self, ends: Ends, on_progress: OnProgress) -> None:
        """Applies all events below `ends`, and no others. Raises ConsumerError.

        `ends` must not be above the fence of the live tables: an event that no consumer decided cannot be replayed.
        """
        self._verdicts.read_on()
        while True:
            try:
                return self._read_to(ends, on_progress)
            except FenceBehindError as error:  # Postgres crashed and lost commits that were not on its disk yet
                _log.warning("%s", error)
                self._days.clear()  # what is read again is of the days that it was of, as in a process that goes on

    def _read_to(self, ends: Ends, on_progress: OnProgress) -> None:
        fence = self._patiently(self._read_fence)
        done = {partition: fence[partition] for partition in self._partitions if fence[partition] < ends[partition]}
        for chunk in self._reader.read(done, {partition: ends[partition] for partition in done}):
            for batch in self._batches(chunk.taken, done):
                self._pace.take(len(batch))
                self._rows_change = self._patiently(partial(self._applier.apply, batch)).changes_rows
                on_progress(sum(batch.ends.values()) - sum(done[partition] for partition in batch.ends))
                done.update(batch.ends)
        self._patiently(lambda: self._set_fence({partition: ends[partition] for partition in done}))
        on_progress(sum(ends[partition] - offset for partition, offset in done.items()))

    def _batches(self, taken: Sequence[Taken], done: Mapping[int, int]) -> Iterator[Batch]:
        """Batches of one day each, because the ledger forgets by day."""
        columns = Prefetched(taken, {}, self._decode).batch().columns
        days: dict[date, list[Run]] = {}
        for run in columns.runs:
            for day, positions in self._by_day(self._kept(run, columns), run.partition, columns).items():
                days.setdefault(day, []).append(Run(run.context, run.partition, positions))
        for _, runs in sorted(days.items()):
            rest = Batch(columns, runs, {})
            while rest.runs:
                part, rest = rest.cut(self._records_max)
                yield Batch(columns, part.runs, {partition: done[partition] for partition in part.ends})

    def _decode(self, taken: Sequence[Taken], columns: Columns) -> None:
        self._decoder.decode(records_of(taken), columns, orders=self._rows_change)

    def _kept(self, run: Run, columns: Columns) -> Sequence[int]:
        """The positions of what the consumers applied or rejected. The latter is rejected again."""
        places = self._verdicts.places
        judged = [at for at in run.positions if (run.partition, columns.offsets[at]) in places] if places else []
        left_out = set()
        for position in judged:
            error = self._verdicts.about(columns.record(position))
            decoded = columns.decoded(position)
            if error in NEVER_APPLIED:
                left_out.add(position)  # the consumers decided this across partitions; nothing of it is in the tables
            elif error is not None and not isinstance(decoded, Rejected):
                columns.put(position, decoded.rejected(Stage.TASK_PUT, error, "it has a dead letter"))
        return [at for at in run.positions if at not in left_out] if left_out else run.positions

    def _by_day(self, positions: Sequence[int], partition: int, columns: Columns) -> Mapping[date, Sequence[int]]:
        """A day never goes back within a partition."""
        latest = self._days.get(partition, date.min)
        found: dict[date, Sequence[int]] = {}
        for day, alike in groupby(positions, lambda position: columns.times_ms[position] // DAY_MS):
            latest = max(latest, utc_day(day))
            found[latest] = [*found.get(latest, ()), *alike]
        self._days[partition] = latest
        return found

    def _bury(self, rejected: list[Rejected]) -> None:
        """Writes nothing: what a consumer rejected has a letter already. Raises ConsumerStoppedError if it has none."""
        for item in rejected:
            place = item.record.partition, item.record.offset
            if self._verdicts.about(item.record) is None:
                raise ConsumerStoppedError(
                    f"The consumers applied the event {place[0]}:{place[1]}, but a replay cannot apply it "
                    f"({item.reason}). Either letters were removed from the dead-letter topic, or this version of the "
                    f"program decides differently from the one that applied it. {LIVE_TABLES_UNCHANGED}"
                )

    def _read_fence(self) -> dict[int, int]:
        with self._holder.session() as session:
            return session.fence.read()

    def _set_fence(self, ends: Ends) -> None:
        """Moves the fence past offsets that have no record or are left out.

        Never moves it back: a process that outlived its parent may call this late.
        """
        if ends:
            with self._holder.session() as session, session.connection.transaction():
                fence = session.fence.lock(ends).result()
                session.fence.set({p: Watermark(end) for p, end in ends.items() if end > fence[p]})

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        try:
            return Retrying(
                retry=retry_if_exception_type(RetryLaterError) & retry_if_not_exception_type(DiskFullError),
                wait=wait_random_exponential(multiplier=0.1, max=BACKOFF_MAX_S),
                stop=stop_after_delay(OUTAGE_MAX_S),
                reraise=True,
            )(call)
        except RetryLaterError as error:
            raise outage_error(error, self._schema) from error
