"""A broker with TLS, SCRAM, client certificates, OAuth tokens and Kafka's own authorizer."""

from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from contracts.settings import KafkaProperty
from deploy.local.ports import LOOPBACK, free_port
from support.certificates import Authority
from support.private_logs import PASSWORD
from support.secured_broker import ADMIN, SecuredBroker

_JAAS = "listener.name.sasl_ssl.{}.sasl.jaas.config=org.apache.kafka.common.security.{} required"


class TlsBroker(SecuredBroker):
    """Users log in with SCRAM or a token at `bootstrap`, and with a certificate at `bootstrap_of_certificates`."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, free_port())
        self._certificates_port = free_port()
        self.authority = authority
        self._own = authority.certificate("broker")

    @property
    def bootstrap_of_certificates(self) -> str:
        return f"{LOOPBACK}:{self._certificates_port}"

    def properties(self, log: Path) -> str:
        """Of two equal names the later one counts."""
        found = super().properties(log)
        controller = next(line for line in found.splitlines() if line.startswith("listeners=")).rpartition(",")[2]
        places = f"SASL_SSL://{LOOPBACK}:{self.port},SSL://{self.bootstrap_of_certificates}"
        password = f"{ADMIN}-{PASSWORD}"
        return found + (
            f"listeners={places},{controller}\n"
            f"advertised.listeners={places}\n"
            "listener.security.protocol.map=CONTROLLER:SSL,SSL:SSL,SASL_SSL:SASL_SSL\n"
            "security.inter.broker.protocol=SASL_SSL\n"
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER\n"
            f"{_JAAS.format('plain', 'plain.PlainLoginModule')} username={ADMIN} "
            f'password="{password}" user_{ADMIN}="{password}";\n'
            f"{_JAAS.format('scram-sha-512', 'scram.ScramLoginModule')};\n"
            f"{_JAAS.format('oauthbearer', 'oauthbearer.OAuthBearerLoginModule')};\n"
            "listener.name.ssl.ssl.client.auth=required\n"
            "listener.name.controller.ssl.client.auth=required\n"
            "ssl.keystore.type=PEM\n"
            f"ssl.keystore.location={self._own}\n"
            "ssl.truststore.type=PEM\n"
            f"ssl.truststore.location={self.authority.ca}\n"
            r"ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/,DEFAULT" + "\n"
            f"super.users=User:{ADMIN};User:broker\n"
        )

    @property
    def client_config(self) -> dict[str, KafkaProperty]:
        return {"bootstrap.servers": self.bootstrap, **self.with_password(ADMIN, "PLAIN")}

    def with_password(self, user: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, KafkaProperty]:
        """librdkafka properties of a user."""
        return {
            "security.protocol": "sasl_ssl",
            "ssl.ca.location": str(self.authority.ca),
            "sasl.mechanism": mechanism,
            "sasl.username": user,
            "sasl.password": f"{user}-{PASSWORD}",
        }

    def with_certificate(self, user: str) -> dict[str, KafkaProperty]:
        file = str(self.authority.certificate(user))
        return {
            "security.protocol": "ssl",
            "ssl.ca.location": str(self.authority.ca),
            "ssl.certificate.location": file,
            "ssl.key.location": file,
        }

    def with_token(self, user: str) -> dict[str, KafkaProperty]:
        """The token is unsigned, which is the one kind that needs no server that gives tokens."""
        return {
            "security.protocol": "sasl_ssl",
            "ssl.ca.location": str(self.authority.ca),
            "sasl.mechanism": "OAUTHBEARER",
            "enable.sasl.oauthbearer.unsecure.jwt": True,
            "sasl.oauthbearer.config": f"principal={user}",
        }

    def add_users(self, *users: str) -> None:
        """Their passwords are their names and `PASSWORD`."""
        added: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(
                user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), f"{user}-{PASSWORD}".encode()
            )
            for user in users
        ]
        admin = AdminClient(self.client_config)
        for future in admin.alter_user_scram_credentials(added).values():
            future.result()
