"""The ingress process: all its parts, put together."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from contracts.access import rights_of_ingress
from contracts.event import ReplyTo
from contracts.ledger_reader import LedgerReader, LedgerUnavailableError
from contracts.log_identity import AppliedLog
from contracts.partner import PartnerRecordError, decode_partner
from contracts.topics import RESULT_PARTITIONS
from ingress.admission import Admission
from ingress.auth import Guesses, Partners
from ingress.broker import Broker
from ingress.errors import NotConfirmedError
from ingress.halts import Halts
from ingress.metrics import IngressMetrics
from ingress.orders import OrdersEndpoint
from ingress.own_requests import OwnRequestsEndpoint
from ingress.pending_replies import PendingReplies
from ingress.publisher import Publisher
from ingress.rate_limit import RateLimit
from ingress.reader import KeyValue, PartitionReader, ReaderThread
from ingress.seldom import SeldomLog
from ingress.settings import IngressSettings
from ingress.status import StatusEndpoint
from ingress.topic_watch import TopicWatch

READ_TIMEOUT_S = 3.0
_log = logging.getLogger(__name__)


class Ingress:
    """All parts of one process, from start to stop, on one event loop."""

    def __init__(
        self,
        settings: IngressSettings,
        ledger: LedgerReader,
        admission: Admission,
        on_fatal: Callable[[str], None],
        metrics: IngressMetrics,
    ) -> None:
        loop = asyncio.get_running_loop()
        topics = settings.topics
        # Two processes may share a partition: each ignores the replies to requests of the other.
        reply_to = ReplyTo(None, secrets.randbelow(RESULT_PARTITIONS))
        self._settings = settings
        self._admission = admission
        guessed = SeldomLog(_log, "requests with no token or a wrong one: %d", loop)
        self._partners = Partners(Guesses(time.monotonic, guessed.add))
        self._pending = PendingReplies()
        self._partner_records = ReaderThread(
            PartitionReader(settings, topics.partners, 0, from_beginning=True),
            loop,
            self._on_partners,
            on_fatal,
            self._partners.clear,
        )
        self._halts = Halts()
        self._halt_records = ReaderThread(
            PartitionReader(settings, topics.halts, 0, from_beginning=True),
            loop,
            self._halts.on_records,
            on_fatal,
            self._halts.clear,
        )
        self._replies = ReaderThread(
            PartitionReader(settings, topics.results, reply_to.partition or 0, from_beginning=False),
            loop,
            self._on_replies,
            on_fatal,
        )
        readers = {
            topics.partners: self._partner_records,
            topics.halts: self._halt_records,
            topics.results: self._replies,
        }

        def on_replaced(topic: str) -> None:
            if topic in readers:
                readers[topic].restart()

        def read_applied() -> AppliedLog | None:
            asked = asyncio.run_coroutine_threadsafe(ledger.read_log(), loop)
            try:
                return asked.result(READ_TIMEOUT_S)
            except TimeoutError:
                asked.cancel()
                raise LedgerUnavailableError(f"Postgres did not answer within {READ_TIMEOUT_S:.0f} s.") from None

        self._topics = TopicWatch(
            Broker(settings), rights_of_ingress(topics), topics.upserts, read_applied, loop, on_fatal, on_replaced
        )
        self._publisher = Publisher(
            settings,
            loop,
            self._on_failure,
            on_fatal,
            self._on_refused,
            on_unreachable=self._topics.doubt,
            count_failure=metrics.on_publish_failure,
        )
        self.endpoint = OrdersEndpoint(
            partners=self._partners,
            admission=admission,
            rate_limit=RateLimit(time.monotonic),
            publisher=self._publisher,
            pending=self._pending,
            ledger=ledger,
            reply_to=reply_to,
            ready=lambda: (
                self._partner_records.ready and self._replies.ready and self._halt_records.ready and self._topics.right
            ),
            halted=lambda: bool(self._halts.partitions or self._topics.log_changed),
            new_request_id=_new_request_id,
            request_timeout_s=settings.request_timeout_s,
            body_timeout_s=settings.body_timeout_s,
            clock_s=time.perf_counter,
            metrics=metrics,
        )
        self.own_requests = OwnRequestsEndpoint(self._partners, admission, ledger, lambda: self._partner_records.ready)
        self.status = StatusEndpoint(
            self._partners,
            admission,
            ledger,
            timedelta(days=settings.ledger_days),
            lambda: self._partner_records.ready,
            _now,
        )

    def readiness(self) -> dict[str, bool]:
        """What `/readyz` shows. If all are true, this process serves requests."""
        return {
            "partners_read": self._partner_records.ready,
            "reply_partition_assigned": self._replies.ready,
            "topics_as_set_up": self._topics.right,
            "broker_reachable": self._publisher.reachable,
            "accepting": not self._admission.draining,
            "log_as_applied": not self._topics.log_changed,
            "consumers_not_halted": self._halt_records.ready and not self._halts.partitions,
        }

    def stop(self) -> None:
        self._publisher.stop(self._settings.delivery_timeout_s)
        self._topics.stop()
        self._replies.stop()
        self._partner_records.stop()
        self._halt_records.stop()

    def _on_failure(self, request_id: UUID) -> None:
        self._topics.recheck()
        self._pending.fail(request_id, NotConfirmedError(request_id))

    def _on_refused(self, request_id: UUID) -> None:
        self._topics.recheck()
        self._pending.refuse(request_id)

    def _on_replies(self, records: list[KeyValue]) -> None:
        for key, value in records:
            self._pending.on_result(key, value)

    def _on_partners(self, records: list[KeyValue]) -> None:
        for key, value in records:
            try:
                partner = None if value is None else decode_partner(key, value)
            except PartnerRecordError as error:
                _log.warning("%s", error)
                continue
            self._partners.put((key or b"").decode(errors="replace"), partner)


def _now() -> datetime:
    return datetime.now(UTC)


def _new_request_id() -> UUID:
    return uuid7()
