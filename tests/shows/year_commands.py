"""Every command of an operator, in the order in which an operator might need them."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from shows.timed import Figure, Posts, cpu_of_children_s
from shows.year_events import HOT, partner
from shows.year_shop import BY_HAND, MAKE_ROOM
from support.installation import Installation
from support.waiting import HANG_S, eventually

Call = Callable[[tuple[str, ...], dict[str, str], Path], tuple[int, float]]
"""Runs a command with stdout and stderr into files. Returns its exit code, and its memory in MB."""


@dataclass
class Commands:
    """Runs and measures commands. `outputs`: a folder that gets what each of them tells."""

    installation: Installation
    posts: Posts
    call: Call
    outputs: Path
    say: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)

    def run(self, *arguments: str, exit_code: int | None = 0) -> str:
        """What it writes to stdout. AssertionError if it ends with another exit code, unless that may be any."""
        output = self.outputs / f"{len(self.figures):02}"
        before, started_s = cpu_of_children_s(), time.monotonic()
        code, peak_mb = self.call(arguments, self.installation.environment, output)
        ended_s, cpu_s = time.monotonic(), cpu_of_children_s() - before
        told = output.with_suffix(".out").read_text()
        errors = output.with_suffix(".err").read_text()
        waits = self.posts.between(started_s, ended_s)
        figure = Figure(
            " ".join(("orders", *arguments)),
            code,
            ended_s - started_s,
            cpu_s,
            peak_mb,
            told.count("\n") + errors.count("\n"),
            max((wait_s for wait_s, _ in waits), default=0.0),
            len(waits),
            sum(status != 200 for _, status in waits),
        )
        self.figures.append(figure)
        self.say(figure.as_row())
        assert exit_code in (None, code), (arguments, code, errors[-2000:])
        return told

    def partners(self) -> None:
        self.run("--help")
        self.run("setup")
        self.run("partners", "add", "new-shop", "--orders-per-s", "100")
        self.run("partners", "rotate", "new-shop")
        (new,) = [line for line in _objects(self.run("partners", "list", "--json")) if line["partner"] == "new-shop"]
        self.run("partners", "list")
        self.run("partners", "revoke", "new-shop", new["tokens"][0]["key_id"])

    def history(self, versions: int) -> None:
        assert len(self.run("history", HOT).splitlines()) == versions
        found = list(_objects(self.run("history", HOT, "--json")))
        assert len(found) == versions
        self.run("history", HOT, "--full")
        assert len(self.run("history", HOT, "--limit", "10").splitlines()) == 10
        self.run("history", HOT, "--since", found[versions // 2]["time"])
        self.run("history", "Y-7", "--partner", partner(0))
        self.run("history", "never-sent", exit_code=1)

    def letters(self, count: int) -> None:
        """Looks at them. `count`: all that are there."""
        self.run("dlq", "list")
        by = json.loads(self.run("dlq", "summary", "--json"))
        assert by["letters"] == count, by
        self.run("dlq", "summary")
        self.run("dlq", "list", "--skip", str(count - 10))
        for order in ("L-1", "B-0", "C-0"):  # a small one, one of 1 MB, one that was cut
            (letter,) = _objects(self.run("dlq", "list", "--order", order, "--json"))
            self.run("dlq", "show", letter["id"])
        self.run("dlq", "list", "--limit", "10000", "--json")
        self.run("dlq", "show", "3:99999999", exit_code=1)

    def settle(self) -> None:
        """Letters are redriven, discarded and opened again, with posts beside it."""
        self.run("dlq", "redrive", "--dry-run")
        self.run("dlq", "redrive", "--reason", "not_refused", "--yes")
        self.run("dlq", "redrive", "--partner", partner(3), "--rate", "2000", "--yes")
        self.run("dlq", "discard", "--reason", "IdempotencyConflict", "--yes")
        self.run("dlq", "discard", "--reason", "discount is negative", "--yes")
        self.run("dlq", "reopen", "--reason", "discount is negative", "--yes")
        self.run("dlq", "redrive", "--yes")
        self.run("dlq", "summary", "--all")

    def replays(self, moment: str) -> None:
        self.run("replay", "list")
        self.run("replay", "--dry-run")
        self.run("replay")
        self.run("replay")
        self.run("replay", "--verify")
        self.installation.sql(BY_HAND)
        self.run("replay", "--verify", exit_code=1)
        self.run("replay", "--until", moment)
        schemas = [line["schema"] for line in _objects(self.run("replay", "list", "--json"))]
        self.run("replay", "list")
        (of_moment,) = [schema for schema in schemas if schema != "orders_replay"]
        self.run("replay", "--drop", "--from", of_moment, "--yes")

    def prepare_swap(self) -> None:
        """What the dry run names is removed, as it asks."""
        self.run("replay", "--swap", "--dry-run", exit_code=None)
        if self.figures[-1].exit_code:
            self.installation.sql(MAKE_ROOM)

    def swap_behind_a_report(self) -> None:
        self.run("replay", "--swap", "--yes", exit_code=1)

    def swap(self) -> None:
        self.run("replay", "--swap", "--yes")
        self.run("replay", "--drop", "--yes", exit_code=1)  # the swap has removed it
        self.run("replay", "list")

    def reseed(self) -> None:
        """Without posts, because it wants the consumers stopped. Then Kafka loses its topic."""
        self.run("reseed", "--dry-run")
        topic = self.installation.settings.topics.upserts
        admin = AdminClient({"bootstrap.servers": self.installation.bootstrap})
        admin.delete_topics([topic])[topic].result()
        eventually(lambda: topic not in admin.list_topics(timeout=HANG_S).topics)
        self.run("setup")
        self.run("reseed", "--dry-run")
        self.run("reseed", "--yes")


def _objects(lines: str) -> Iterable[Any]:
    return map(json.loads, lines.splitlines())
