"""Which partitions are halted, after any records."""

from datetime import UTC, datetime

from contracts.halt import Halt, encode_halt, halt_key
from ingress.halts import Halts

HALTS = [Halt(partition, "why", datetime(2026, 11, 27, tzinfo=UTC)) for partition in (3, 7)]


def test_a_partition_is_halted_until_that_is_lifted() -> None:
    halts = Halts()
    halts.on_records([(halt_key(halt.partition), encode_halt(halt)) for halt in HALTS])
    assert halts.partitions == {3: HALTS[0], 7: HALTS[1]}
    halts.on_records([(halt_key(3), None), (halt_key(5), None)])
    assert halts.partitions == {7: HALTS[1]}
    halts.clear()
    assert not halts.partitions


def test_a_foreign_record_halts_nothing() -> None:
    halts = Halts()
    halts.on_records([(b"x", b"y"), (None, None), (halt_key(4711), encode_halt(HALTS[0]))])
    assert not halts.partitions
