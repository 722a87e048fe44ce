"""`orders dlq` on real parts: letters are seen, redriven and discarded, and nothing newer is ever overwritten."""

import json
from typing import Any

import pytest

from contracts.partitioner import partition_of
from deploy.commands import dlq
from deploy.console import confirm
from deploy.errors import AbortedError
from deploy.letter_selection import Selected
from support.commands import orders_here as orders
from support.installation import Installation, headers_of, texts
from support.orders import an_order


def event(order: dict[str, Any], partner: str = "acme", **changes: Any) -> dict[str, Any]:
    return {"key": order["order_id"], "value": json.dumps(order), "headers": headers_of(partner), **changes}


def listed(installation: Installation, *arguments: str) -> list[dict[str, Any]]:
    done = orders("dlq", "list", "--json", *arguments, env=installation.environment)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def refusing(installation: Installation) -> Installation:
    """A shop whose table refused Mallory: as R-0, as R-1 (which has a newer event), as R-2 (unchanged since)."""
    installation.sql("ALTER TABLE orders ADD CONSTRAINT not_mallory CHECK (name <> 'Mallory')")
    installation.start_consumer()
    for orders_of_a_batch in (
        [an_order("R-2", name="Eve")],
        [an_order(f"R-{n}", name="Mallory") for n in range(3)],
        [an_order("R-1", name="Bob"), an_order("R-2", name="Eve")],
    ):
        installation.produce([event(order) for order in orders_of_a_batch])
        installation.wait_until_answered()
    assert {key: row["name"] for key, row in installation.rows("acme").items()} == {"R-1": "Bob", "R-2": "Eve"}
    return installation


def test_letters_are_redriven_into_the_place_that_they_had(refusing: Installation) -> None:
    env = refusing.environment
    letters = listed(refusing)
    assert [letter["order"] for letter in letters if letter["error"] == "RefusedByPostgres"] == [
        letter["order"] for letter in letters
    ]
    assert sorted(letter["order"] for letter in letters) == ["R-0", "R-1", "R-2"]
    first = next(letter for letter in letters if letter["order"] == "R-0")

    refusing.sql("ALTER TABLE orders DROP CONSTRAINT not_mallory")
    topic = refusing.settings.topics.upserts
    before = refusing.end_offsets(topic)
    dry = orders("dlq", "redrive", "--reason", "not_mallory", "--dry-run", env=env)
    assert "This would redrive 3 letters. Nothing was done." in dry.stdout
    refused = orders("dlq", "redrive", env=env, answer="n\n")
    assert refused.returncode == 1
    assert "Redrive these 3 letters?" in refused.stderr
    assert "Nothing was done." in refused.stderr
    assert refusing.end_offsets(topic) == before

    done = orders("dlq", "redrive", env=env, answer="y\n")
    assert (done.returncode, "3 letters were redriven" in done.stdout) == (0, True), done.stderr
    refusing.wait_until_answered()
    rows = refusing.rows("acme")
    assert {key: row["name"] for key, row in rows.items()} == {"R-0": "Mallory", "R-1": "Bob", "R-2": "Eve"}
    row = rows["R-0"]
    assert (row["event_partition"], row["event_offset"]) == (first["partition"], first["offset"])
    assert f"{row['event_time']:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z" == first["time"]
    assert refusing.sql("SELECT * FROM order_letter") == []
    assert listed(refusing) == []
    assert {letter["state"] for letter in listed(refusing, "--all")} == {"redriven"}

    # a redrive that dies before it notes that is repeated, and changes nothing
    again = [r for r in refusing.records(topic) if "ce_originoffset" in texts(r)]
    assert len(again) == 3
    refusing.produce([{"key": r.key(), "value": r.value(), "headers": r.headers()} for r in again])
    refusing.wait_until_answered()
    assert refusing.rows("acme") == rows
    outcomes = [row["outcomes"] for row in refusing.sql("SELECT outcomes FROM request_part")]
    assert sum('"stale":[0]' in text for text in outcomes) == 2  # the copies were not even looked at
    history = orders("history", "R-2", "--json", env=env).stdout.splitlines()
    assert [json.loads(line)["outcome"] for line in history[:4]] == ["inserted", "invalid", "unchanged", "stale"]
    assert json.loads(history[3])["origin"] == {"partition": partition_of(b"R-2", 12), "offset": 1}


def require_listed_in_portions(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand letters of 2 MB are not in memory together."""
    newest = listed(installation)
    read: list[object] = []
    letters = Selected.letters

    def noting(self: Selected, places: Any = None) -> Any:
        read.append(places)
        return letters(self, places)

    with monkeypatch.context() as patch:
        patch.setattr(dlq, "LISTED_BYTES_MAX", 1)
        patch.setattr(Selected, "letters", noting)
        assert listed(installation, "--skip", "1", "--limit", "3") == newest[1:4]
    assert [len(places) for places in read[1:]] == [1, 1, 1]  # type: ignore[arg-type]


def test_letters_are_shown_chosen_and_discarded(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    env = installation.environment
    assert orders("dlq", "list", env=env).stderr.strip() == "No dead letters."
    installation.start_consumer()
    installation.produce(
        [
            event(an_order("D-1", discount=-1)),
            event(an_order("D-2", discount=-1), "other"),
            {"key": "D-3", "value": b"\xff not JSON", "headers": headers_of("acme")},
            {"key": "D-4", "value": "{}", "headers": None},
            event(an_order("D-5"), partition=(partition_of(b"D-5", 12) + 1) % 12),
        ]
    )
    installation.wait_until_answered()
    letters = {letter["order"]: letter for letter in listed(installation)}
    assert letters.keys() == {"D-1", "D-2", "D-3", "D-4", "D-5"}
    assert [letter["order"] for letter in listed(installation, "--partner", "other")] == ["D-2"]
    assert {letter["order"] for letter in listed(installation, "--reason", "discount")} == {"D-1", "D-2"}
    assert listed(installation, "--until", "1h") == []
    assert len(listed(installation, "--since", "1h")) == 5
    require_listed_in_portions(installation, monkeypatch)
    table = orders("dlq", "list", env=env)
    for text in ("D-1", "InvalidOrder", "discount is negative", "MisplacedKey", "open"):
        assert text in table.stdout

    shown = orders("dlq", "show", letters["D-1"]["id"], env=env).stdout
    assert '"discount": -1' in shown
    assert "ce_source: /partners/acme" in shown
    assert orders("dlq", "show", letters["D-3"]["id"], env=env).returncode == 0
    unknown = orders("dlq", "show", "3:999", env=env)
    assert (unknown.returncode, "No open letter 3:999" in unknown.stderr) == (1, True)

    assert orders("dlq", "discard", letters["D-1"]["id"], "--yes", env=env).returncode == 0
    assert len(listed(installation)) == 4
    # an event that is still wrong becomes a letter again; one from the wrong partition finds its own
    assert orders("dlq", "redrive", "--yes", env=env).returncode == 0
    installation.wait_until_answered()
    assert {letter["order"] for letter in listed(installation)} == {"D-2", "D-3", "D-4"}
    assert list(installation.rows("acme")) == ["D-5"]


def test_without_an_answer_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    with pytest.raises(AbortedError, match="Nothing was done"):
        confirm("Really?", yes=False)
    confirm("Really?", yes=True)
