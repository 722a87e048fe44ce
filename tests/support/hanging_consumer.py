"""A consumer that hangs in a call while it applies its first batch: `python -m support.hanging_consumer`."""

import sys
import threading
from typing import Any

from consumer import vitals
from consumer.postgres.fence import Fence
from deploy.cli import main

STALLED_AFTER_S = 2.0


def hang(*_: Any) -> None:
    threading.Event().wait()


if __name__ == "__main__":
    vitals.STALLED_AFTER_S = STALLED_AFTER_S
    setattr(Fence, "set", hang)  # noqa: B010 - as in dying_consumer.py
    sys.argv.append("consumer")
    main()
