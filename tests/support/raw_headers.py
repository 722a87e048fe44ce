"""A record whose header has a name that is not UTF-8: only librdkafka itself lets us write one."""

import ctypes
import glob
from collections.abc import Sequence
from pathlib import Path

import confluent_kafka

_TOPIC, _VALUE, _KEY, _MSGFLAGS, _HEADERS, _END = 1, 4, 5, 7, 10, 0  # rd_kafka_vtype_t
_COPY, _PRODUCER = 2, 0


def produce(bootstrap: str, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Returns when the broker has it."""
    beside = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    [file] = glob.glob(str(beside / "librdkafka-*"))
    library = ctypes.CDLL(file)
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, name).restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(500)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    for setting, text in ((b"bootstrap.servers", bootstrap.encode()), (b"partitioner", b"murmur2_random")):
        assert library.rd_kafka_conf_set(conf, setting, text, error, 500) == 0, error.value
    producer = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, conf, error, 500))
    found = ctypes.c_void_p(library.rd_kafka_headers_new(16))
    for header, content in headers:
        library.rd_kafka_header_add(
            found, header, ctypes.c_ssize_t(len(header)), content, ctypes.c_ssize_t(len(content))
        )
    about = (_TOPIC, topic.encode(), _VALUE, value, ctypes.c_size_t(len(value)), _KEY, key, ctypes.c_size_t(len(key)))
    assert library.rd_kafka_producev(producer, *about, _MSGFLAGS, _COPY, _HEADERS, found, _END) == 0
    assert library.rd_kafka_flush(producer, 10_000) == 0
    library.rd_kafka_destroy(producer)
