"""Which of librdkafka's properties an operator may set: each one that there is was looked at."""

import json
from pathlib import Path

import pytest

from contracts.kafka_properties import REFUSED
from contracts.settings import KafkaSettings, SettingsError, load

VENDOR = Path(__file__).parents[2] / "vendor" / "librdkafka" / "properties.txt"
OPEN = set(
    """
    api.version.request.timeout.ms batch.num.messages broker.address.family
    broker.address.ttl check.crcs client.dns.lookup client.id client.rack
    compression.codec compression.level compression.type connections.max.idle.ms debug enable.metrics.push
    enable.random.seed enable.sasl.oauthbearer.unsecure.jwt enable.ssl.certificate.verification fetch.error.backoff.ms
    fetch.min.bytes https.ca.location https.ca.pem log.connection.close log.thread.name log_level message.copy.max.bytes
    metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy plugin.library.paths queued.min.messages
    reconnect.backoff.jitter.ms reconnect.backoff.ms retry.backoff.max.ms retry.backoff.ms security.protocol
    socket.blocking.max.ms socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails
    socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms statistics.interval.ms
    sticky.partitioning.linger.ms topic.metadata.refresh.fast.cnt topic.metadata.refresh.fast.interval.ms
    topic.metadata.refresh.sparse
    """.split()  # noqa: SIM905 - as a list it would be three screens
)
"""Besides all of `sasl.` and `ssl.`: how to reach the brokers, and how much work and memory that takes."""


def names() -> set[str]:
    return {line.strip() for line in VENDOR.read_text().splitlines() if line and not line.startswith("#")}


def is_open(name: str) -> bool:
    return name in OPEN or (name.startswith(("sasl.", "ssl.")) and name != "ssl.certificate.verify_cb")


def test_every_property_is_either_open_or_refused() -> None:
    for name in names():
        assert is_open(name) != (name in REFUSED), name
    assert names() >= REFUSED.keys() | OPEN


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_property_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ORDERS_KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("ORDERS_KAFKA_PROPERTIES", json.dumps({name: "1"}))
    with pytest.raises(SettingsError) as caught:
        load(KafkaSettings)
    assert f"ORDERS_KAFKA_PROPERTIES is wrong: Value error, {name} cannot be set: {REFUSED[name]}" in str(caught.value)
