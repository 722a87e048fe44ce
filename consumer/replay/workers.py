"""A replay in several processes, each with some of the partitions: decoding is what takes its time."""

import gc
import multiprocessing
import os
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from consumer.app import GC_EVERY_OBJECTS
from consumer.errors import ConsumerError, ConsumerStoppedError
from consumer.kafka.topic_reader import Ends
from consumer.replay.engine import Engine, OnProgress
from consumer.replay.pace import Pace
from consumer.settings import ConsumerSettings
from contracts.topics import UPSERT_PARTITIONS

WORKERS_MAX = UPSERT_PARTITIONS
WORKERS_DEFAULT_MAX = 2
"""The command takes some 220 MB with two of them, and each one more 85 MB: that is for the operator to say."""


def workers_default() -> int:
    """One for each core that this process may use, but not many."""
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
    """Returns when everything below `ends` is in the tables of `schema`. Raises ConsumerError."""
    rate = None if events_per_s is None else events_per_s / workers
    shares = [range(first, UPSERT_PARTITIONS, workers) for first in range(workers)]
    if workers == 1:
        with closing(Engine(settings, schema, shares[0], Pace(rate))) as engine:
            engine.catch_up(ends, on_progress)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of librdkafka, dead
    running: dict[Pipe, SpawnProcess] = {}
    try:
        for share in shares:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, settings, schema, share, ends, rate), daemon=True)
            process.start()
            theirs.close()  # else its end would not be noticed
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
                told = pipe.recv()
            except EOFError:
                raise ConsumerStoppedError(
                    "A process of the replay ended by itself (was there enough memory?). The live tables are as they "
                    "were. Start it again: it goes on where it was."
                ) from None
            if isinstance(told, ConsumerError):
                raise told
            if told is None:
                open_pipes = [other for other in open_pipes if other is not pipe]
            else:
                on_progress(told)


def _work(
    pipe: Pipe, settings: ConsumerSettings, schema: str, partitions: Sequence[int], ends: Ends, rate: float | None
) -> None:
    """In a process of its own. When nobody listens any more it ends, because telling fails."""
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
