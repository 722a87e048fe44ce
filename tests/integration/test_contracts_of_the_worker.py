"""The real assignment and applier pass the suites that their stand-ins pass (unit/consumer/test_stand_ins.py)."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Event as Flag

import psycopg
import pytest

from consumer.applier import Applier
from consumer.core.log_mark import Watermark
from consumer.kafka.assignment import Assignment
from consumer.metrics import ConsumerMetrics
from consumer.postgres.session import SessionHolder
from support.contract_of_the_applier import ApplierContract
from support.contract_of_the_assignment import PARTITIONS, TAKE_S, AssignmentContract
from support.installation import Installation, headers_of
from support.orders import an_order
from support.waiting import eventually


class KafkaAssignment:
    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.assignment = self._member()
        self._other = self._member()
        self.assignment.subscribe()
        eventually(lambda: self.assignment.take(1, TAKE_S) == ([], {}) and self._count() == len(PARTITIONS))

    def write(self, partition: int, count: int) -> None:
        order = an_order()
        event = {"key": order["order_id"], "value": json.dumps(order), "headers": headers_of("p")}
        self._installation.produce([{**event, "partition": partition}] * count)

    def lose_some(self, step: Callable[[], object]) -> None:
        self._other.subscribe()

        def is_shared() -> bool:
            step()
            self._other.take(1, TAKE_S)
            return self._count() == len(self._other.positions) == len(PARTITIONS) // 2

        eventually(is_shared, not_yet=())

    def get_all_back(self, step: Callable[[], object]) -> None:
        self._other.close()
        eventually(lambda: (step(), self._count() == len(PARTITIONS))[1], not_yet=())

    def committed(self) -> dict[int, int]:
        return self._installation.committed()

    def close(self) -> None:
        with ExitStack() as members:
            members.callback(self.assignment.close)
            members.callback(self._other.close)

    def _count(self) -> int:
        return len(self.assignment.positions)

    def _member(self) -> Assignment:
        settings = self._installation.consumer_settings()
        return Assignment(
            settings,
            lambda partitions: dict.fromkeys(partitions, Watermark(0)),
            Flag(),
            lambda: None,
            ConsumerMetrics(),
        )


class PostgresTables:
    def __init__(self, database: str) -> None:
        self._holder = SessionHolder(database, 7)
        self._connection = psycopg.connect(database, autocommit=True)
        self.applier = Applier(self._holder, lambda _: None)

    def fence(self) -> dict[int, int]:
        return dict(
            self._connection.execute(
                "SELECT partition, next_offset FROM consumer_partition WHERE next_offset > 0"
            ).fetchall()
        )

    def put_back(self) -> None:
        self._connection.execute("TRUNCATE orders, request_part, request_key")
        self._connection.execute("UPDATE consumer_partition SET next_offset = 0")

    def interrupt(self) -> None:
        with self._holder.session() as session:
            backend = session.connection.info.backend_pid
        self._connection.execute("SELECT pg_terminate_backend(%s, 60000)", [backend])

    def close(self) -> None:
        self._holder.close()
        self._connection.close()


class TestAssignment(AssignmentContract):
    @pytest.fixture
    def world(self, installation: Installation) -> Iterator[KafkaAssignment]:
        world = KafkaAssignment(installation)
        yield world
        world.close()


class TestApplier(ApplierContract):
    @pytest.fixture
    def world(self, database: str) -> Iterator[PostgresTables]:
        world = PostgresTables(database)
        yield world
        world.close()
