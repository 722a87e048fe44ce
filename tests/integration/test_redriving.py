"""Each letter is settled by itself: by what Kafka says about its event, and by what stands in the topics."""

import json
import random
from typing import Any

import pytest

from consumer.core.record import Outgoing, Record, Rejected, Stage
from consumer.letters.letter import SMALL_LETTER_BYTES_MAX, WHOLE_LETTER_BYTES_MAX, dead_letter
from consumer.replay.pace import Pace
from contracts.partitioner import partition_of
from deploy.commands import dlq_changes
from deploy.errors import LettersLeftError
from deploy.letter_selection import Filters
from support.commands import orders_here as orders
from support.installation import Installation, headers_of, texts
from support.orders import an_order

INCOMPRESSIBLE = random.Random(1).randbytes(1_500_000)


TIME_MS = 1_790_000_000_000


def bury(
    installation: Installation,
    letters: dict[str, bytes],
    time_ms: int = TIME_MS,
    copies: int = 1,
    headers: Any = None,
    bytes_max: int = WHOLE_LETTER_BYTES_MAX,
) -> None:
    """Writes a letter for each value, by order_id. Each event is the first of its partition.

    Not by a consumer's producer, which gives up after 5 s: a busy machine may need longer.
    """
    topics, sent = installation.settings.topics, list[Outgoing]()
    for order_id, value in letters.items():
        key = order_id.encode()
        record = Record(partition_of(key, 12), 0, time_ms, key, value, headers or headers_of("acme"))
        sent += [dead_letter(Rejected(record, None, 0, Stage.TASK_PUT, "Refused", "why"), topics, bytes_max)] * copies
    installation.produce(
        [
            {
                "topic": it.topic,
                "key": it.key,
                "value": it.value,
                "headers": list(it.headers),
                "timestamp": it.time_ms or 0,
            }
            for it in sent
        ]
    )


def published(installation: Installation) -> list[bytes]:
    return sorted(record.key() or b"" for record in installation.records(installation.settings.topics.upserts))


def settled(installation: Installation) -> list[bytes]:
    found = installation.records(installation.settings.topics.dlq)
    return sorted(record.key() or b"" for record in found if "orders_letter_settled" in texts(record))


def test_a_letter_that_does_not_fit_is_named_and_all_others_are_redriven_once(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stopped the redrive before anything was noted, and each further try published the others again."""
    small = {f"S-{n}": b"{}" for n in range(40)}
    bury(installation, {**small, "large": INCOMPRESSIBLE}, copies=2)
    keys = sorted(key.encode() for key in small)
    for tell in ("40 letters", "0 letters"):
        done = orders("dlq", "redrive", "--yes", env=installation.environment)
        assert done.returncode == 1
        assert f"{2 * 40 if tell == '40 letters' else 0} letters were redriven" in done.stdout
        assert "order 'large': MSG_SIZE_TOO_LARGE" in done.stderr
        assert "2 letters were not redriven, and stay open" in done.stderr
        assert published(installation) == keys
        assert settled(installation) == sorted(keys * 2)
    for name, text in installation.environment.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(LettersLeftError, match="2 letters were not redriven"):
        dlq_changes.redrive(Filters(order="large"), rate=1, yes=True, dry_run=False)


def run(installation: Installation, *arguments: str) -> Any:
    done = orders("dlq", *arguments, "--json", env=installation.environment)
    assert done.returncode == 0, done.stderr
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def test_letters_are_listed_in_pages_and_counted(installation: Installation) -> None:
    for hour in range(3):
        bury(installation, {f"L-{n}": b"{}" for n in range(hour * 10, hour * 10 + 10)}, TIME_MS + hour * 3_600_000)
    listed: list[str] = []
    for skip in (0, 12, 24):
        done, page = run(installation, "list", "--limit", "12", "--skip", f"{skip}")
        listed += [letter["time"] for letter in page]
        assert ("of 30 letters" in done.stderr, f"--skip {skip + 12}" in done.stderr) == (skip < 24, skip < 24)
    assert len(listed) == 30
    assert listed == sorted(listed, reverse=True)
    assert "No more dead letters." in orders("dlq", "list", "--skip", "30", env=installation.environment).stderr
    _, pages = run(installation, "list", "--limit", "1000")
    assert len({letter["id"] for letter in pages}) == 30

    assert orders("dlq", "discard", pages[0]["id"], "--yes", env=installation.environment).returncode == 0
    hours = {"2026-09-21T14:00Z": 10, "2026-09-21T15:00Z": 10, "2026-09-21T16:00Z": 9}
    by = {"error": {"Refused": 29}, "partner": {"acme": 29}, "hour": hours}
    _, [counted] = run(installation, "summary")
    assert counted == {"letters": 29, "open": 29, "redriven": 0, "discarded": 1, "by": by}
    _, [counted] = run(installation, "summary", "--all", "--reason", "why")
    assert counted["letters"] == 30
    table = orders("dlq", "summary", env=installation.environment).stdout
    for text in ("Refused", "acme", "2026-09-21T16:00Z", "29 open", "1 discarded"):
        assert text in table


def test_a_redrive_keeps_to_its_rate(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(installation, {f"P-{n}": b"{}" for n in range(10)})
    paused_s: list[float] = []
    monkeypatch.setattr("deploy.commands.dlq_changes.Pace", lambda rate: Pace(rate, lambda: 0.0, paused_s.append))
    assert orders("dlq", "redrive", "--yes", "--rate", "8", env=installation.environment).returncode == 0
    assert paused_s == [0.25, 0.5, 0.75, 1.0]
    assert len(published(installation)) == 10


def test_a_discard_is_told_and_taken_back(installation: Installation) -> None:
    env = installation.environment
    bury(installation, {"D-1": b"{}"})
    _, [letter] = run(installation, "list")
    assert "There is no discarded letter" in orders("dlq", "reopen", "--yes", env=env).stdout
    assert "is open: there is nothing" in orders("dlq", "reopen", letter["id"], "--yes", env=env).stderr
    assert "orders dlq reopen" in orders("dlq", "discard", letter["id"], "--yes", env=env).stdout
    told = orders("dlq", "redrive", letter["id"], "--yes", env=env)
    assert (told.returncode, f"{letter['id']} was discarded. To take that back" in told.stderr) == (1, True)
    assert "1 letters were discarded" in orders("dlq", "redrive", "--order", "D-1", "--yes", env=env).stdout
    assert "No open dead letters (1 discarded)" in orders("dlq", "list", env=env).stderr
    assert published(installation) == []

    assert "1 letters are open again" in orders("dlq", "reopen", letter["id"], "--yes", env=env).stdout
    assert orders("dlq", "redrive", letter["id"], "--yes", env=env).returncode == 0
    assert published(installation) == [b"D-1"]
    for command in ("redrive", "reopen", "discard"):
        assert "was redriven" in orders("dlq", command, letter["id"], "--yes", env=env).stderr


def test_a_letter_without_its_value_knows_whether_its_event_still_stands(installation: Installation) -> None:
    env, headers = installation.environment, headers_of("acme")
    value = json.dumps(an_order("here", name="x" * 40_000)).encode()
    installation.produce([{"key": "here", "value": value, "headers": headers}])
    bury(installation, {"here": value, "gone": value}, headers=headers, bytes_max=SMALL_LETTER_BYTES_MAX)
    ids = {letter["order"]: letter["id"] for letter in run(installation, "list")[1]}
    assert all("value" in letter["left_out"] for letter in run(installation, "list")[1])

    shown = orders("dlq", "show", ids["here"], env=env).stdout
    assert "x" * 40_000 in shown
    assert f"read from {partition_of(b'here', 12)}:0" in shown
    assert "is no longer at" in orders("dlq", "show", ids["gone"], env=env).stdout
    told = orders("history", "gone", "--json", env=env)
    assert f"1 letters of this order are no longer in {installation.prefix}.upserts: {ids['gone']}" in told.stderr
    told = orders("history", "here", "--json", env=env)
    assert "no longer" not in told.stderr
    assert "Refused: why" in told.stdout

    done = orders("dlq", "redrive", "--yes", env=env)
    assert (done.returncode, "1 letters were redriven" in done.stdout) == (1, True)
    assert f"Letter {ids['gone']}, order 'gone': its value is not in the letter, and" in done.stderr
    assert published(installation) == [b"here", b"here"]
    assert orders("dlq", "discard", "--yes", env=env).returncode == 0
    bury(installation, {"here": value}, headers=headers)
    assert orders("dlq", "discard", "--order", "here", "--yes", env=env).returncode == 0
    assert "was discarded; to take that back: orders dlq reopen" in orders("history", "here", env=env).stdout
