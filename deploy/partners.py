"""Partners and their tokens, kept in the topic orders.partners. Every ingress follows that topic."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from confluent_kafka import KafkaError, Message, Producer

from contracts.partner import (
    PARTNER_ID,
    TOKENS_PER_PARTNER_MAX,
    Choose,
    Partner,
    PartnerRecordError,
    decode_partner,
    new_token,
)
from contracts.settings import KafkaSettings
from deploy.admin import REQUEST_TIMEOUT_S, call_broker
from deploy.errors import PartnerError, SetupError
from ingress.reader import PartitionReader

_log = logging.getLogger(__name__)


class PartnerRegistry:
    """Reads the topic once, when it is created. Each change is one record, acknowledged by all in-sync replicas.

    Raises SetupError if Kafka does not answer or does not take a change.
    """

    def __init__(self, settings: KafkaSettings, now: Callable[[], datetime], choose: Choose) -> None:
        self._settings = settings
        self._now = now
        self._choose = choose
        self._partners = _read(settings)

    def all(self) -> list[Partner]:
        """All partners, sorted by name."""
        return [partner for _, partner in sorted(self._partners.items())]

    def add(self, partner_id: str, orders_per_s: int | None = None, token: str | None = None) -> str:
        """Returns the token, which is stored nowhere: the topic has only its hash. Raises PartnerError."""
        if PARTNER_ID.fullmatch(partner_id) is None:
            raise PartnerError(
                f"{partner_id!r} cannot be the name of a partner. Use up to 64 of a-z, 0-9 and dashes, no dash first."
            )
        if partner_id in self._partners:
            raise PartnerError(f"There is a partner {partner_id}. For a new token: orders partners rotate {partner_id}")
        return self._add_token(Partner(partner_id=partner_id, tokens=[], orders_per_s=orders_per_s), token)

    def rotate(self, partner_id: str) -> str:
        """Adds a token and returns it. The others stay valid. Raises PartnerError."""
        partner = self._known(partner_id)
        if len(partner.active_tokens()) >= TOKENS_PER_PARTNER_MAX:
            raise PartnerError(
                f"{partner_id} has {TOKENS_PER_PARTNER_MAX} valid tokens. Revoke one first: "
                f"orders partners revoke {partner_id} <key id>"
            )
        return self._add_token(partner, None)

    def revoke(self, partner_id: str, key_id: str) -> None:
        """Raises PartnerError if the partner has no valid token with this key id."""
        partner = self._known(partner_id)
        valid = [token.key_id for token in partner.active_tokens()]
        if key_id not in valid:
            raise PartnerError(f"{partner_id} has no valid token with this key id. Valid: {', '.join(valid) or 'none'}")
        self._write(partner.with_revoked(key_id))

    def _known(self, partner_id: str) -> Partner:
        if partner_id not in self._partners:
            raise PartnerError(f"There is no partner {partner_id}. See: orders partners list")
        return self._partners[partner_id]

    def _add_token(self, partner: Partner, token: str | None) -> str:
        token = token or new_token(self._choose)
        self._write(partner.with_token(token, self._now()))
        return token

    def _write(self, partner: Partner) -> None:
        failed: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(error)

        config = self._settings.client_config(acks="all", message_timeout_ms=int(REQUEST_TIMEOUT_S * 1000))
        producer = Producer(config, logger=_log)
        producer.produce(
            self._settings.topics.partners, partner.encode(), partner.partner_id.encode(), on_delivery=on_delivery
        )
        left = producer.flush(REQUEST_TIMEOUT_S + 1)
        if left or failed:
            raise SetupError(f"Kafka did not take the change: {failed[0] if failed else 'no answer'}. Try again.")
        self._partners[partner.partner_id] = partner


def _read(settings: KafkaSettings) -> dict[str, Partner]:
    partners: dict[str, Partner] = {}
    reader = PartitionReader(settings, settings.topics.partners, 0, from_beginning=True)
    try:
        call_broker(settings, reader.start)
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while not reader.at_end:
            if time.monotonic() > deadline:
                raise SetupError(
                    f"Kafka at {settings.kafka_bootstrap} did not deliver the partners in {REQUEST_TIMEOUT_S:.0f} s. "
                    "Check that the broker runs, and run: orders setup"
                )
            for key, value in reader.read():
                if value is None:
                    partners.pop((key or b"").decode(errors="replace"), None)
                    continue
                try:
                    partner = decode_partner(key, value)
                except PartnerRecordError as error:
                    _log.warning("%s: %s", settings.topics.partners, error)  # an ingress skips it too
                    continue
                partners[partner.partner_id] = partner
    finally:
        reader.close()
    return partners
