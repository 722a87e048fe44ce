"""Work that goes on beside a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(stop: threading.Event, *works: Callable[[], None]) -> Iterator[None]:
    """Inside, each of `works` runs in a thread. At the end `stop` is set, and they are waited for."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
