"""Which partition a key belongs to: Kafka's murmur2, as every Java client and our producers compute it."""

import struct

_M, _MASK = 0x5BD1E995, 0xFFFFFFFF
_SEED = 0x9747B28C


def partition_of(key: bytes, partitions: int) -> int:
    """Like `murmur2_random` of librdkafka and the default of Java's producer, for a key that is not null."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """org.apache.kafka.common.utils.Utils.murmur2, as an unsigned number."""
    words, rest = divmod(len(data), 4)
    mixed = _SEED ^ len(data)
    for word in struct.unpack_from(f"<{words}I", data):
        word = word * _M & _MASK
        mixed = (mixed * _M & _MASK) ^ ((word ^ word >> 24) * _M & _MASK)
    if rest:
        mixed = (mixed ^ int.from_bytes(data[-rest:], "little")) * _M & _MASK
    mixed = (mixed ^ mixed >> 13) * _M & _MASK
    return mixed ^ mixed >> 15
