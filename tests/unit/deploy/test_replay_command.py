"""What `orders replay` refuses before it asks anybody, and what it tells of a comparison."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import typer
from rich.console import Console

from consumer.replay.compare import Comparison
from consumer.replay.schema import until_schema
from consumer.replay.schemas import is_a_replays
from deploy.commands import replay
from deploy.commands.replay import _drop, _past
from deploy.errors import SelectionError


def test_a_moment_of_the_future_is_refused() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    with pytest.raises(SelectionError, match="is in the future"):
        _past(tomorrow)


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05.678", "2026-01-02T04:04:05.6789+01:00"])
def test_the_same_moment_finds_the_same_schema(text: str) -> None:
    assert until_schema(_past(text)) == "orders_until_20260102t030405_678"
    assert _past(text).microsecond == 678_000  # so it also ends at the same events


@pytest.mark.parametrize("schema", ["public", "shop", "orders", "orders_replay2"])
def test_only_what_a_replay_or_a_swap_made_is_dropped(schema: str) -> None:
    assert not is_a_replays(schema)
    with pytest.raises(SelectionError, match="is not the schema of a replay"):
        _drop("postgresql://nowhere", schema, yes=True, dry_run=False)


def test_a_swap_is_named_only_if_it_would_change_something(monkeypatch: pytest.MonkeyPatch) -> None:
    told = StringIO()
    monkeypatch.setattr(replay, "out", Console(file=told, width=10_000))
    replay._tell_comparison("orders_replay", Comparison(100_000, 100_000, 1_200, "ab", 0, []), False, {})
    assert "none differ. Checksum ab. 1,200 orders that changed since are left out." in told.getvalue()
    assert "--swap" not in told.getvalue()
    with pytest.raises(typer.Exit):
        replay._tell_comparison("orders_replay", Comparison(100_000, 100_000, 0, "ab", 2_000, []), False, {})
    assert "2,000 differ. Checksum ab. To swap the tables: orders replay --swap" in told.getvalue()
