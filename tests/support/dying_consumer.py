"""A consumer that is killed with -9 at one point of its first batch: `python -m support.dying_consumer POINT`."""

import os
import signal
import sys
from typing import Any

from consumer.kafka.assignment import Assignment
from consumer.kafka.producer import AcknowledgedProducer
from consumer.postgres.fence import Fence
from deploy.cli import main

POINTS = {
    "in the transaction": (Fence, "set"),
    "after the commit, before the replies": (AcknowledgedProducer, "send"),
    "after the replies, before the offsets": (Assignment, "commit"),
}


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    owner, name = POINTS[sys.argv.pop()]
    setattr(owner, name, die)
    sys.argv.append("consumer")
    main()
