import pytest
from confluent_kafka import KafkaError, KafkaException

from contracts.settings import KafkaSettings, SettingsError
from deploy import kafka_settings
from deploy.kafka_settings import load_kafka


def test_a_password_that_the_client_library_quotes_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: dict[str, object], **_: object) -> None:
        text = f"cannot read {config['sasl.password']} of {config['sasl.username']}"
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, text))

    monkeypatch.setattr(kafka_settings, "AdminClient", refuse)
    properties = {"sasl.username": "ingress", "sasl.password": "SECRET"}
    with pytest.raises(SettingsError, match=r"cannot read \*\*\* of ingress"):
        load_kafka(KafkaSettings, kafka_bootstrap="h:1", kafka_properties=properties)
