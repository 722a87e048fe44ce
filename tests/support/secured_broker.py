"""A broker with users, passwords and rights: SASL/PLAIN, and Kafka's own authorizer."""

from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from deploy.local.kafka import KafkaBroker
from deploy.local.ports import LOOPBACK
from support.private_logs import PASSWORD

ADMIN = "admin"
USERS = (ADMIN, "setup", "ingress", "consumer", "reader", "nobody")
"""The password of each is its own name and `PASSWORD`."""

_JAAS_CONFIG = (
    "listener.name.sasl_plaintext.plain.sasl.jaas.config="
    "org.apache.kafka.common.security.plain.PlainLoginModule required"
)


def sasl(user: str, password: str = "") -> dict[str, str | int | float | bool]:
    """librdkafka properties of one user; the password is right where none is given."""
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": user,
        "sasl.password": f"{password or user}-{PASSWORD}",
    }


class SecuredBroker(KafkaBroker):
    """Everybody may do nothing, until `allow` says so; `admin` may do everything."""

    def properties(self, log: Path) -> str:
        """Of two equal names the later one counts. Controllers are not asked for a password."""
        found = super().properties(log)
        controller = next(line for line in found.splitlines() if line.startswith("listeners=")).rpartition(",")[2]
        users = " ".join(f'user_{user}="{user}-{PASSWORD}"' for user in USERS)
        return found + (
            f"listeners=SASL_PLAINTEXT://{LOOPBACK}:{self.port},{controller}\n"
            f"advertised.listeners=SASL_PLAINTEXT://{LOOPBACK}:{self.port}\n"
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT\n"
            "security.inter.broker.protocol=SASL_PLAINTEXT\n"
            "sasl.enabled.mechanisms=PLAIN\n"
            "sasl.mechanism.inter.broker.protocol=PLAIN\n"
            f'{_JAAS_CONFIG} username="{ADMIN}" password="{ADMIN}-{PASSWORD}" {users};\n'
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            f"super.users=User:{ADMIN};User:ANONYMOUS\n"
        )

    @property
    def client_config(self) -> dict[str, str | int | float | bool]:
        return {**super().client_config, **sasl(ADMIN)}

    def allow(self, user: str, resource: ResourceType, name: str, *operations: str) -> None:
        """`operations`: names of AclOperation."""
        admin = AdminClient(self.client_config)
        acls = [
            AclBinding(
                resource,
                name,
                ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for operation in operations
        ]
        for future in admin.create_acls(acls).values():
            future.result()

    def forbid(self, user: str, resource: ResourceType, name: str, operation: str) -> None:
        """Takes a right back that was given."""
        self._delete(
            AclBindingFilter(
                resource,
                name,
                ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
        )

    def forbid_all(self, user: str) -> None:
        """Takes every right of a user back."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type]
            ResourcePatternType.ANY,
            f"User:{user}",
            None,  # type: ignore[arg-type]
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        self._delete(everything)

    def _delete(self, which: AclBindingFilter) -> None:
        admin = AdminClient(self.client_config)
        for future in admin.delete_acls([which]).values():
            future.result()
