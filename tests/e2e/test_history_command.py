"""`orders history` on a real topic: what it shows of an order, and what it says when there is nothing to show."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from consumer.kafka.topic_reader import Chunk, TopicReader
from contracts.partitioner import partition_of
from deploy.commands.history import Wanted, find_versions, history
from deploy.errors import NothingFoundError
from support.commands import orders_here as orders
from support.installation import Installation, headers_of
from support.orders import an_order


def event(order: dict[str, Any], partner: str = "acme") -> dict[str, Any]:
    return {"key": order["order_id"], "value": json.dumps(order), "headers": headers_of(partner)}


def test_every_version_with_its_outcome_and_what_changed(installation: Installation) -> None:
    installation.sql("ALTER TABLE orders ADD CONSTRAINT not_mallory CHECK (name <> 'Mallory')")
    installation.start_consumer()
    history = [
        event(an_order("H")),
        event(an_order("H", name="Bob", discount=7)),
        event(an_order("H", name="Bob", discount=7)),
        event(an_order("H", discount=-1)),
        event(an_order("H", name="Mallory")),
        event(an_order("H"), "other"),
        event(an_order("H")),
    ]
    noise = [event(an_order(f"N-{n}")) for n in range(50)]
    installation.produce([*history[:3], *noise, *history[3:5]])
    installation.wait_until_answered()  # in one batch with the next event, what the table refuses is never written
    installation.produce(history[5:])
    installation.wait_until_answered()
    done = orders("history", "H", "--partner", "acme", "--json", env=installation.environment)
    assert done.returncode == 0, done.stderr
    versions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [version["outcome"] for version in versions] == [
        "inserted", "updated", "unchanged", "invalid", "invalid", "updated",
    ]  # fmt: skip
    assert {version["partner"] for version in versions} == {"acme"}
    assert {version["partition"] for version in versions} == {partition_of(b"H", 12)}
    assert versions[1]["changes"] == [
        {"field": "name", "before": "Ada", "after": "Bob"},
        {"field": "discount", "before": 0, "after": 7},
    ]
    assert versions[3]["reason"] == "discount is negative"
    assert "not_mallory" in versions[4]["reason"]
    row = installation.rows("acme")["H"]
    assert (versions[-1]["partition"], versions[-1]["offset"]) == (row["event_partition"], row["event_offset"])
    assert ["order" in version for version in versions] == [True] + [False] * 5
    moments = [version["time"] for version in versions]
    env = installation.environment
    full = orders("history", "H", "--partner", "acme", "--json", "--full", "--since", moments[5], env=env)
    assert [json.loads(line)["order"]["name"] for line in full.stdout.splitlines()] == [row["name"]]
    until = orders("history", "H", "--partner", "acme", "--json", "--until", moments[5], "--limit", "1", env=env)
    (newest,) = map(json.loads, until.stdout.splitlines())
    assert newest["offset"] == versions[4]["offset"]
    assert "Only the newest 1 versions are shown. 4 older ones are left out." in until.stderr

    shown = orders("history", "H", env=installation.environment)
    assert shown.returncode == 0
    for text in ("acme", "other", "name: Ada → Bob", "discount is negative", "inserted", "unchanged"):
        assert text in shown.stdout


def test_only_the_partition_of_the_key_is_read(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.produce([event(an_order(f"N-{n}")) for n in range(50)])
    read: list[set[int]] = []
    original = TopicReader.read

    def noting(self: TopicReader, starts: dict[int, int], *rest: Any) -> Iterator[Chunk]:
        read.append(set(starts))
        return original(self, starts, *rest)

    monkeypatch.setattr(TopicReader, "read", noting)
    versions = find_versions(installation.settings, Wanted("N-7"))
    assert [version.outcome for version in versions] == ["inserted"]
    assert read == [{partition_of(b"N-7", 12)}] * 2  # of the events, and of the dead letters


def test_when_there_is_nothing_to_show(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = orders("history", "H", "--partner", "p", env=installation.environment)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "no event with the key 'H' of the partner p." in nothing.stderr
    assert orders("history", "H", "--json", env=installation.environment).returncode == 1
    never = orders("history", "H", "--since", "1h", env=installation.environment)
    assert "no event with the key 'H' in that time." in never.stderr
    unknown = orders("history", "H", env={**installation.environment, "ORDERS_TOPIC_PREFIX": "never-made"})
    assert unknown.returncode == 1
    assert "does not exist" in unknown.stderr
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NothingFoundError):
        history("H")
