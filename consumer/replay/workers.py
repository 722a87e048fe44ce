"""A replay in several processes, each with some of the partitions, because decoding takes most of the time."""

import gc
import multiprocessing
import os
import traceback
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from consumer.app import GC_EVERY_OBJECTS
from consumer.errors import ConsumerError, ConsumerStoppedError
from consumer.kafka.topic_reader import Ends
from consumer.replay.engine import Engine, OnProgress
from consumer.replay.outage import LIVE_TABLES_UNCHANGED
from consumer.replay.pace import Pace
from consumer.settings import ConsumerSettings
from contracts.topics import UPSERT_PARTITIONS

WORKERS_MAX = UPSERT_PARTITIONS
WORKERS_DEFAULT_MAX = 2
"""The command takes about 220 MB with two processes, and 85 MB for each further one. So only the operator asks for
more."""


def workers_default() -> int:
    """One for each core that this process may use, but at most WORKERS_DEFAULT_MAX."""
    return min(
        WORKERS_DEFAULT_MAX, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def catch_up(
    settings: ConsumerSettings,
    schema: str,
    ends: Ends,
    workers: int,
    events_per_s: float | None,
    on_progress: OnProgress,
) -> None:
    """Applies all events below `ends` to the tables of `schema`. Raises ConsumerError."""
    rate = None if events_per_s is None else events_per_s / workers
    shares = [range(first, UPSERT_PARTITIONS, workers) for first in range(workers)]
    if workers == 1:
        with closing(Engine(settings, schema, shares[0], Pace(rate))) as engine:
            engine.catch_up(ends, on_progress)
        return
    context = multiprocessing.get_context("spawn")  # the threads of librdkafka do not survive a fork
    running: dict[Pipe, SpawnProcess] = {}
    try:
        for share in shares:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, settings, schema, share, ends, rate), daemon=True)
            process.start()
            theirs.close()  # otherwise the end of the process would go unnoticed
            running[ours] = process
        _listen(running, on_progress)
    finally:
        for pipe, process in running.items():
            process.terminate()
            process.join()
            pipe.close()


def _listen(running: dict[Pipe, SpawnProcess], on_progress: OnProgress) -> None:
    open_pipes: Sequence[Pipe] = list(running)
    while open_pipes:
        for pipe in wait(open_pipes):
            assert isinstance(pipe, Pipe)
            try:
                message = pipe.recv()
            except EOFError:
                raise ConsumerStoppedError(
                    f"A process of the replay ended by itself. Was there enough memory? {LIVE_TABLES_UNCHANGED} "
                    "Run the same command again: the replay goes on where it stopped."
                ) from None
            if isinstance(message, ConsumerError):
                raise message
            if message is None:
                open_pipes = [other for other in open_pipes if other is not pipe]
            else:
                on_progress(message)


def _work(
    pipe: Pipe, settings: ConsumerSettings, schema: str, partitions: Sequence[int], ends: Ends, rate: float | None
) -> None:
    """Runs in a process of its own. If the parent is gone, sending to it fails, and the process ends."""
    gc.freeze()
    gc.set_threshold(GC_EVERY_OBJECTS)  # as in a consumer
    try:
        with closing(Engine(settings, schema, partitions, Pace(rate))) as engine:
            engine.catch_up(ends, pipe.send)
        pipe.send(None)
    except ConsumerError as error:
        pipe.send(error)
    except (BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as error:  # noqa: BLE001 - multiprocessing would write its text, which may quote a row
        place = traceback.extract_tb(error.__traceback__)[-1]
        pipe.send(ConsumerStoppedError(f"A bug: {type(error).__name__} at {place.filename}:{place.lineno}"))
