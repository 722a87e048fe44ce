"""`orders replay`: rebuilds the tables from the topic while the service runs."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import typer
from rich.progress import Progress, ProgressColumn, Task
from rich.table import Table
from rich.text import Text

from consumer.replay.compare import Comparison, Difference
from consumer.replay.engine import OnProgress
from consumer.replay.rebuild import Rebuild
from consumer.replay.schema import REPLACED_SCHEMA, REPLAY_SCHEMA, schema_exists, until_schema
from consumer.replay.schemas import drop_schema, is_a_replays, schema_there
from consumer.replay.source import ends_at, live_fence
from consumer.replay.workers import workers_default
from consumer.settings import ConsumerSettings
from contracts.headers import rfc_3339
from deploy.admin import reach
from deploy.console import confirm, err, out, progress_bar
from deploy.errors import NothingFoundError, SelectionError
from deploy.kafka_settings import load_kafka
from deploy.stack_file import use_running_stack
from deploy.times import moment


class EventsPerSecond(ProgressColumn):
    """The speed of the phase."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} events/s" if task.total else "")


def replay(
    *,
    swap: bool,
    verify: bool,
    until: str | None,
    rate: float | None,
    workers: int | None,
    snapshot: str | None,
    fresh: bool,
    drop: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    lock_wait_s: float,
) -> None:
    """The options are those of `deploy.signatures.replay`. Raises SelectionError, NothingFoundError, ConsumerError."""
    if (swap and (until or verify)) or (drop and (swap or verify or fresh)):
        raise SelectionError("--swap, --verify, --until and --drop cannot be combined.")
    use_running_stack()
    settings = load_kafka(ConsumerSettings)
    until_time = None if until is None else _past(until)
    schema = REPLAY_SCHEMA if until_time is None else until_schema(until_time)
    if drop:
        _drop(settings.postgres_url, snapshot or schema, yes=yes, dry_run=dry_run)
        return
    with progress_bar(EventsPerSecond()) as progress:
        phases = _Phases(progress)
        run = Rebuild(settings, schema, workers or workers_default(), rate, phases.begin, lock_wait_s)
        if fresh and schema_there(settings.postgres_url, schema):
            phases.end()
            confirm(f"Remove the schema {schema} with our tables in it?", yes or dry_run)
            if not dry_run:
                drop_schema(settings.postgres_url, schema)
        if verify:
            _require_replay(settings, schema)
            _tell_comparison(schema, run.verify_only(), as_json, {})
            return
        if dry_run:
            _tell_plan(run, swap)
            return
        with run.alone():
            _run(run, phases, snapshot, until_time, swap, yes, as_json)


def _past(text: str) -> datetime:
    """In whole milliseconds, as Kafka has its times, so that the same moment finds the same schema."""
    now = datetime.now(UTC)
    time = moment(text, now)
    if time > now:
        raise SelectionError(
            f"--until {text} is in the future: {time:%Y-%m-%d %H:%M:%S} UTC. What will be is not known."
        )
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _drop(url: str, schema: str, *, yes: bool, dry_run: bool) -> None:
    if not is_a_replays(schema):
        raise SelectionError(f"{schema} is not the schema of a replay. All of them are shown by: orders replay list")
    if not schema_there(url, schema):
        raise NothingFoundError(f"There is no schema {schema}. All that are there are shown by: orders replay list")
    if dry_run:
        out.print(f"This would remove the schema {schema} with our tables in it.", highlight=False)
        return
    confirm(f"Remove the schema {schema} with our tables in it?", yes)
    drop_schema(url, schema)
    err.print(f"The schema {schema} is removed.", highlight=False)


def _run(
    run: Rebuild,
    phases: "_Phases",
    snapshot: str | None,
    until: datetime | None,
    swap: bool,
    yes: bool,
    as_json: bool,
) -> None:
    started_s = time.monotonic()
    if swap:
        run.require_swappable()
    topics = run.settings.topics
    readable = dict.fromkeys((topics.upserts, topics.dlq), frozenset({"READ", "DESCRIBE_CONFIGS"}))
    client = reach(run.settings, readable).client
    if until is not None:
        ends = ends_at(run.settings, until, live_fence(run.settings))
        run.start(client, snapshot)
        run.to(ends)
        when = rfc_3339(until)
        told = {"schema": run.schema, "until": when, "events": run.events, "replayed_per_s": run.replayed_per_s}
        _tell(as_json, told, f"The orders as they were at {when} are in {run.schema}.orders.")
        return
    run.start(client, snapshot)
    run.to_the_present()
    comparison = run.verify()
    phases.end()
    took_s = time.monotonic() - started_s
    about: dict[str, Any] = {"events": run.events, "seconds": round(took_s, 1), "replayed_per_s": run.replayed_per_s}
    if swap:
        if comparison.differences and not as_json:
            _show(comparison)
        confirm("Replace the live table with the new one?", yes)
        gives_up = f"The swap gives up after {run.lock_wait_s:g} s more without its locks."
        err.print(f"Replayed and compared in {took_s:.0f} s. {gives_up}", highlight=False)
        waits = run.swap()
        about |= {"consumers_waited_s": round(waits.total_s, 3), "longest_wait_s": round(waits.longest_s, 3)}
        about |= {"attempts": waits.attempts, "swapped": True}
        _tell(
            as_json,
            {**about, **_as_object(run.schema, comparison)},
            f"Swapped. {waits} {comparison.differences:,} orders differed. The old table is {REPLACED_SCHEMA}.orders "
            f"until the next swap. To remove it: orders replay --drop --from {REPLACED_SCHEMA}",
        )
        return
    _tell_comparison(run.schema, comparison, as_json, about)


def _require_replay(settings: ConsumerSettings, schema: str) -> None:
    if not schema_exists(settings.postgres_url, schema):
        raise NothingFoundError(f"There is no replay to compare with in the schema {schema}. Make one: orders replay")


def _tell_plan(run: Rebuild, swap: bool) -> None:
    run.require_unpublished()
    there = schema_exists(run.settings.postgres_url, run.schema)
    events = sum(live_fence(run.settings).values())
    what = "continue in" if there else "make and fill"
    out.print(f"This would {what} the schema {run.schema}. The topic has {events:,} applied events.")
    if swap:
        run.require_swappable()
        out.print(f"It would then compare the tables and swap orders. The old table would move to {REPLACED_SCHEMA}.")


def _tell_comparison(schema: str, comparison: Comparison, as_json: bool, about: dict[str, Any]) -> None:
    """Ends with exit code 1 if an order differs."""
    took = f" {about['events']:,} events were replayed now, in {about['seconds']} s." if about else ""
    left_out = f" {comparison.left_out:,} orders that changed since are left out." if comparison.left_out else ""
    to_swap = " To swap the tables: orders replay --swap" if comparison.differences else ""
    text = (
        f"{comparison.orders:,} orders were compared, of which the live table has {comparison.live_orders:,}: "
        f"{f'{comparison.differences:,}' if comparison.differences else 'none'} differ.{took} Checksum "
        f"{comparison.checksum}.{left_out}{to_swap}"
    )
    if not as_json:
        _show(comparison)
    _tell(as_json, {**about, **_as_object(schema, comparison)}, text)
    if comparison.differences:
        raise typer.Exit(1)


def _show(comparison: Comparison) -> None:
    if not comparison.shown:
        return
    table = Table("partner", "order", "column", "live table", "topic", show_lines=True)
    for difference in comparison.shown:
        columns = difference.columns
        table.add_row(
            difference.partner_id,
            difference.order_id,
            Text("\n".join(columns) if difference.live and difference.replayed else "(the whole row)"),
            Text(_values(difference, difference.live)),
            Text(_values(difference, difference.replayed)),
        )
    out.print(table)
    if comparison.differences > len(comparison.shown):
        err.print(f"The first {len(comparison.shown)} of {comparison.differences:,} are shown.", highlight=False)


def _values(difference: Difference, row: dict[str, Any] | None) -> str:
    if row is None:
        return "(none)"
    if difference.live is None or difference.replayed is None:
        return "(a row)"
    return "\n".join(json.dumps(row[name], ensure_ascii=False) for name in difference.columns)


def _as_object(schema: str, comparison: Comparison) -> dict[str, Any]:
    return {
        "schema": schema,
        "orders": comparison.orders,
        "live_orders": comparison.live_orders,
        "left_out": comparison.left_out,
        "checksum": comparison.checksum,
        "differences": comparison.differences,
        "shown": [
            {"partner": d.partner_id, "order": d.order_id, "live": d.live, "replayed": d.replayed}
            for d in comparison.shown
        ],
    }


def _tell(as_json: bool, described: dict[str, Any], text: str) -> None:
    if as_json:
        print(json.dumps(described))  # noqa: T201 - for a program
    else:
        out.print(text, highlight=False, soft_wrap=True)


class _Phases:
    """One bar, for the current phase. It is hidden while a question is asked."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, description: str, total: int) -> OnProgress:
        self.end()
        self._progress.start()
        task = self._progress.add_task(description, total=total or None)
        return lambda events: self._progress.advance(task, events)

    def end(self) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.stop()
