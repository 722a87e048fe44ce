"""Who works with the topics. Alone in a file, because the help of commands imports it."""

from enum import StrEnum


class Role(StrEnum):
    """Who works with the topics."""

    INGRESS = "ingress"
    CONSUMER = "consumer"
    SETUP = "setup"
    """`orders setup`."""
    PARTNERS = "partners"
    """`orders partners`."""
    OPERATOR = "operator"
    """`orders history`, `dlq`, `replay`, `reseed` and `doctor`."""
    READER = "reader"
    """A shop that reads events, in consumer groups that have the name of its user in front."""
    WRITER = "writer"
    """Another writer of events, that reads their outcomes."""
