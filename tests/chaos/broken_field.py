"""Breakages of what holds against foreign writers, a shop's own tables, and a Kafka that lost something."""

from typing import Any

from chaos.patching import put
from consumer import applier
from consumer.applier import Applier
from consumer.errors import ConsumerStoppedError, RefusedByPostgresError
from consumer.kafka import producer
from consumer.kafka.log_check import LogCheck
from consumer.kafka.log_watch import LogWatch
from consumer.letters import letter
from consumer.log_guard import LogGuard
from consumer.postgres import orders
from consumer.postgres.ledger import Ledger
from consumer.postgres.tables import counted
from contracts.kafka_errors import Verdict
from ingress.halts import Halts
from ingress.known_log import KnownLog


def log_not_checked() -> None:
    """The log is taken for the one that was applied, whatever it is."""
    put(LogCheck, "require", lambda self, source, watermarks: None)
    put(LogWatch, "require_same_log", lambda self, source: None)
    put(LogGuard, "_require_progress", lambda self, positions: None)
    put(KnownLog, "look", lambda self, found: "")


def offsets_believed() -> None:
    """Also, what stands below the fence is taken for applied, whether the ledger knows it or not."""
    log_not_checked()
    put(applier, "require_known", lambda applied, parts, oldest: None)


def days_dropped_by_the_brokers_clock() -> None:
    """The newest day of any event decides what the ledger forgets, whatever the clock of Postgres says."""
    put(Ledger, "_newest", lambda self: max(self._days))


def ingress_not_told() -> None:
    """An ingress takes orders in that nobody can apply."""
    put(Halts, "on_records", lambda self, records: None)
    put(KnownLog, "look", lambda self, found: "")


def permanent_errors_retried() -> None:
    """A record that Kafka never takes is sent again and again."""
    put(producer, "verdict_of", lambda name: Verdict.OUTAGE)


def large_letters_whole() -> None:
    """A letter has all of its event, whether it fits the dead-letter topic or not."""
    put(letter, "fit", lambda parts, own, bytes_max: parts)
    permanent_errors_retried()


def refused_orders_stop() -> None:
    """What the tables refuse for one row stops the consumer."""
    in_one_transaction = Applier._in_one_transaction

    def stopping(self: Any, batch: Any, meanwhile: Any) -> Any:
        try:
            return in_one_transaction(self, batch, meanwhile)
        except RefusedByPostgresError as error:
            raise ConsumerStoppedError(str(error)) from error

    put(Applier, "_in_one_transaction", stopping)


def rows_without_column_names() -> None:
    """As if the table had our columns only, in our order."""
    statement = "INSERT INTO orders SELECT * FROM json_populate_recordset(NULL::orders, %b::json)"
    put(orders, "_INSERT", counted("orders", statement))
