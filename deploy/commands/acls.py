"""`orders acls`: prints the commands that give a role its rights in Kafka."""

from contracts.role import Role
from contracts.roles import acl_commands, rights_of
from contracts.settings import KafkaSettings, load
from deploy.errors import SelectionError
from deploy.stack_file import use_running_stack


def acls(role: Role, principal: str) -> None:
    """Raises SelectionError if `principal` is not TYPE:NAME. Kafka is not asked."""
    kind, _, name = principal.partition(":")
    if not kind or not name or name == "*":
        raise SelectionError(f"The principal {principal!r} should be as Kafka writes it, such as User:{role}.")
    use_running_stack()
    settings = load(KafkaSettings)
    for command in acl_commands(rights_of(role, settings.topics), principal, settings.kafka_bootstrap):
        print(command)  # noqa: T201 - for a shell
