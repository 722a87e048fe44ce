"""Errors of commands and of the local stack. Each message says what to do."""

from contracts.errors import OrdersError


class DeployError(OrdersError):
    """Root of this branch."""


class StackError(DeployError):
    """The local stack cannot start or continue: a port is in use, the data folder is damaged, a process died."""


class NotAliveError(DeployError):
    """No ingress and no consumer on this machine says that it is alive."""


class HealthPortError(DeployError):
    """The port that tells how a process is cannot be opened."""


class SetupError(DeployError):
    """Topics or tables cannot be made, or differ from what they must be."""


class PartnerError(DeployError):
    """A partner command is not possible: the name is unknown or taken, or the partner has too many tokens."""


class OutputError(DeployError):
    """What the command would show cannot be shown: its output is closed, or its disk full."""


class NothingFoundError(DeployError):
    """What the command asks for does not exist."""


class AbortedError(DeployError):
    """The person at the terminal did not say yes. Nothing was done."""


class SelectionError(DeployError):
    """The arguments do not select anything: an unknown id, text that is not a time, too many letters."""


class LettersLeftError(DeployError):
    """Some letters were not redriven and stay open, as the output says. All others are redriven."""


class PublishedSchemaError(DeployError):
    """The models no longer give a schema that is published. Nothing was written; a change needs a new version."""


class CodeSampleError(DeployError):
    """A client in docs/clients that the API's pages show is missing."""


class UnhealthyError(DeployError):
    """`orders doctor` found something that is wrong, and has shown it."""


class DocsAssetError(DeployError):
    """A file that the API's pages need cannot be fetched, or is not the one whose hash is known."""
