"""`orders reseed` that is killed with -9 in the middle of its work: `python -m support.dying_reseed reseed --yes`."""

import os
import signal
from typing import Any

from consumer.reseed import work
from deploy.cli import main

PARTITIONS = 4


def dying(write_rows: Any) -> Any:
    calls = 0

    def counted(self: Any, partition: int, on_progress: Any) -> Any:
        nonlocal calls
        calls += 1
        written = write_rows(self, partition, on_progress)
        if calls == PARTITIONS:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    return counted


if __name__ == "__main__":
    work.Writer.write_rows = dying(work.Writer.write_rows)  # type: ignore[method-assign]
    main()
