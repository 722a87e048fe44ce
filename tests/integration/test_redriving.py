"""Each letter is settled by itself: by what Kafka says about its event, and by what stands in the topics."""

import random

from consumer.core.record import Outgoing, Record, Rejected, Stage
from consumer.kafka.producer import AcknowledgedProducer
from consumer.letters.letter import dead_letter
from contracts.partitioner import partition_of
from support.commands import orders_here as orders
from support.installation import Installation, headers_of, texts

INCOMPRESSIBLE = random.Random(1).randbytes(1_500_000)


def bury(installation: Installation, letters: dict[str, bytes], offset: int = 0, copies: int = 1) -> None:
    """Writes a letter for each value, by order_id, as a consumer does, and says that its event stood at `offset`."""
    topics, sent = installation.settings.topics, list[Outgoing]()
    for order_id, value in letters.items():
        key = order_id.encode()
        record = Record(partition_of(key, 12), offset, 1_790_000_000_000, key, value, headers_of("acme"))
        sent += [dead_letter(Rejected(record, None, 0, Stage.TASK_PUT, "Refused", "why"), topics)] * copies
    assert AcknowledgedProducer(installation.settings).send(sent) == []


def published(installation: Installation) -> list[bytes]:
    return sorted(record.key() or b"" for record in installation.records(installation.settings.topics.upserts))


def settled(installation: Installation) -> list[bytes]:
    found = installation.records(installation.settings.topics.dlq)
    return sorted(record.key() or b"" for record in found if "orders_letter_settled" in texts(record))


def test_a_letter_that_does_not_fit_is_named_and_all_others_are_redriven_once(installation: Installation) -> None:
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
