"""What goes wrong around the system: each message says what to do."""

from contracts.errors import OrdersError


class DeployError(OrdersError):
    """Root of this branch."""


class StackError(DeployError):
    """The local stack cannot start or go on: a port in use, a broken data folder, a process that died."""


class SetupError(DeployError):
    """Topics or tables cannot be made, or are not what they should be."""


class PartnerError(DeployError):
    """A partner command that cannot be done: an unknown name, one that is taken, too many tokens."""


class NothingFoundError(DeployError):
    """What was asked for is not there."""


class AbortedError(DeployError):
    """The person at the terminal did not say yes. Nothing was done."""


class SelectionError(DeployError):
    """What was asked for cannot be told from what was typed: an unknown id, no time, too much at once."""


class PublishedSchemaError(DeployError):
    """A schema that was published would be another one. Nothing was written; a change makes a new version."""
