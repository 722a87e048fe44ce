"""Settings come from ORDERS_... variables. An error names the wrong one and its allowed values."""

from pathlib import Path

import pytest

from consumer.settings import ConsumerSettings, OptionalPostgresSettings, PostgresSettings, current_url
from contracts.settings import KafkaSettings, OrdersSettings, SettingsError, is_in_file, load
from ingress.settings import IngressSettings


@pytest.fixture(autouse=True)
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_KAFKA_BOOTSTRAP", "broker:9092")


def test_every_setting_has_a_description_for_its_error() -> None:
    for settings in (IngressSettings, ConsumerSettings):
        for name, field in settings.model_fields.items():
            assert field.description, name


def test_missing_and_wrong_settings_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_LEDGER_DAYS", "many")
    with pytest.raises(SettingsError) as caught:
        load(ConsumerSettings)
    assert sorted(str(caught.value).splitlines(), reverse=True) == [
        "ORDERS_POSTGRES_URL is not set. It should be: postgresql://user:password@host:port/database.",
        "ORDERS_LEDGER_DAYS is 'many': Input should be a valid integer, unable to parse string as an integer. "
        "It should be: days for which outcomes are kept and can be sent again, 1 to 3650.",
    ]


def test_an_option_of_a_command_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_WORKERS", "2")
    assert load(IngressSettings, workers=3).workers == 3
    assert load(IngressSettings, workers=None).workers == 2
    with pytest.raises(SettingsError, match="ORDERS_WORKERS is 0: "):
        load(IngressSettings, workers=0)


def test_a_password_is_not_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_POSTGRES_URL", "mysql://user:secret@host/db")
    with pytest.raises(SettingsError) as caught:
        load(ConsumerSettings)
    assert "ORDERS_POSTGRES_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "password",
    [
        "pa@{}",
        "{}@",
        "@{}@",
        "12/{}",
        "{}/x",
        "/{}",
        "x:{}/y@",
        "x {}",
        "%{}",
        "{}%",
        "%{}@x",
        "?{}@x",
        "x#{}@/",
        "\udcff{}",
    ],
)
@pytest.mark.parametrize("settings", [PostgresSettings, OptionalPostgresSettings])
@pytest.mark.parametrize("host", ["host:5432", "[::1]:5432", "one,two:5433", ""])
def test_a_password_that_is_not_encoded_is_refused_and_told_nowhere(
    monkeypatch: pytest.MonkeyPatch, settings: type[OrdersSettings], password: str, host: str
) -> None:
    """libpq takes a part of it for a host or a port, which every error of the connection names."""
    monkeypatch.setenv("ORDERS_POSTGRES_URL", f"postgresql://user:{password.format('SECRET')}@{host}/db")
    with pytest.raises(SettingsError) as caught:
        load(settings)
    assert "SECRET" not in str(caught.value)
    assert "write @ as %40" in str(caught.value) or "unicode" in str(caught.value)


@pytest.mark.parametrize("password", ["p%40%2F%3A%23%3F%25%20x", "p:w", "p!$&'()*+,;=-._~", "pé", "a?b", "a#b", "[a"])
def test_a_password_that_libpq_reads_whole_is_taken(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("ORDERS_POSTGRES_URL", f"postgresql://u:{password}@h/d?application_name=a@b")
    assert load(PostgresSettings).postgres_url.endswith("@h/d?application_name=a@b")


def test_what_looks_like_a_password_in_another_setting_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ORDERS_TOPIC_PREFIX", "ORDERS_KAFKA_BOOTSTRAP"):
        monkeypatch.setenv(variable, "sasl://user:SECRET@host:9092")
        with pytest.raises(SettingsError, match=f"{variable} is wrong") as caught:
            load(KafkaSettings)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://u@h:x/d", "postgresql://u@h:0/d", "postgresql://u@h/d?no=1"])
@pytest.mark.parametrize("settings", [PostgresSettings, OptionalPostgresSettings])
def test_a_url_that_no_server_can_have_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, settings: type[OrdersSettings], url: str
) -> None:
    """libpq reports it only when it connects, as it does an outage. The consumer would wait forever."""
    monkeypatch.setenv("ORDERS_POSTGRES_URL", url)
    with pytest.raises(SettingsError, match="ORDERS_POSTGRES_URL is wrong"):
        load(settings)
    monkeypatch.setenv("ORDERS_POSTGRES_URL", "postgresql://u:p@h1:5432,h2:5433/d?sslmode=require")
    load(settings)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(KafkaSettings).topic_prefix = "other"  # type: ignore[misc]


def test_properties_of_the_operator_reach_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_KAFKA_PROPERTIES", '{"security.protocol": "ssl", "client.id": "shop"}')
    assert load(KafkaSettings).client_config(client_id="ours", linger_ms=0) == {
        "bootstrap.servers": "broker:9092",
        "allow.auto.create.topics": False,
        "socket.nagle.disable": True,
        "security.protocol": "ssl",
        "client.id": "shop",
        "linger.ms": 0,
    }


@pytest.mark.parametrize("name", ["acks", "enable.idempotence", "partitioner", "group.id", "auto.offset.reset"])
def test_properties_on_which_the_promises_stand_cannot_be_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ORDERS_KAFKA_PROPERTIES", f'{{"{name}": "1"}}')
    with pytest.raises(SettingsError, match=f"{name} cannot be set"):
        load(KafkaSettings)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"a": []}'])
def test_properties_are_a_json_object(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ORDERS_KAFKA_PROPERTIES", text)
    with pytest.raises(SettingsError, match="ORDERS_KAFKA_PROPERTIES"):
        load(KafkaSettings)


@pytest.fixture
def secrets_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ORDERS_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_setting_may_stand_in_a_file_and_a_variable_wins_over_it(
    monkeypatch: pytest.MonkeyPatch, secrets_dir: Path
) -> None:
    (secrets_dir / "orders_postgres_url").write_text("postgresql://u:p@in-a-file/d\n")
    (secrets_dir / "ORDERS_KAFKA_PROPERTIES").write_text('{"sasl.password": "p"}')
    settings = load(ConsumerSettings)
    assert settings.postgres_url == "postgresql://u:p@in-a-file/d"
    assert settings.kafka_properties == {"sasl.password": "p"}
    assert is_in_file("postgres_url")
    assert not is_in_file("topic_prefix")
    monkeypatch.setenv("ORDERS_POSTGRES_URL", "postgresql://u:p@in-a-variable/d")
    assert load(ConsumerSettings).postgres_url == "postgresql://u:p@in-a-variable/d"
    assert not is_in_file("postgres_url")


def test_a_link_within_the_folder_is_followed_as_kubernetes_makes_it(secrets_dir: Path) -> None:
    (secrets_dir / "..data").mkdir()
    (secrets_dir / "..data" / "orders_postgres_url").write_text("postgresql:///linked")
    (secrets_dir / "orders_postgres_url").symlink_to("..data/orders_postgres_url")
    assert load(PostgresSettings).postgres_url == "postgresql:///linked"


@pytest.mark.parametrize("content", [b"mysql://u:SECRET@h/d", b"postgresql://u:SECRET@x@h/d", b"SECRET \xff", b""])
def test_what_is_wrong_in_a_file_is_told_without_what_stands_in_it(secrets_dir: Path, content: bytes) -> None:
    (secrets_dir / "orders_postgres_url").write_bytes(content)
    for settings in (PostgresSettings, OptionalPostgresSettings):
        with pytest.raises(SettingsError, match="ORDERS_SECRETS_DIR") as caught:
            load(settings)
        assert "SECRET " not in str(caught.value).replace("ORDERS_SECRETS_DIR", "")
        assert ":SECRET" not in str(caught.value)


def test_properties_in_a_file_that_are_not_json_are_told(secrets_dir: Path) -> None:
    (secrets_dir / "orders_kafka_properties").write_text("{SECRET")
    with pytest.raises(SettingsError, match="ORDERS_KAFKA_PROPERTIES is not JSON") as caught:
        load(KafkaSettings)
    assert "{SECRET" not in str(caught.value)


def test_a_file_that_cannot_be_used_is_told(secrets_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """pydantic-settings only warns."""
    outside = tmp_path_factory.mktemp("outside") / "url"
    outside.write_text("postgresql:///d")
    file = secrets_dir / "orders_postgres_url"
    file.symlink_to(outside)
    with pytest.raises(SettingsError, match="outside"):
        load(PostgresSettings)
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(SettingsError, match="ORDERS_SECRETS_DIR"):
        load(PostgresSettings)
    file.unlink()
    file.mkdir()
    with pytest.raises(SettingsError, match="ORDERS_SECRETS_DIR"):
        load(PostgresSettings)


def test_a_folder_of_secrets_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_SECRETS_DIR", "/nonexistent")
    with pytest.raises(SettingsError, match="ORDERS_SECRETS_DIR is '/nonexistent'"):
        load(KafkaSettings)


def test_a_url_in_a_file_is_read_again_and_a_broken_one_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, secrets_dir: Path
) -> None:
    file = secrets_dir / "orders_postgres_url"
    file.write_text("postgresql:///one")
    url = current_url(load(PostgresSettings).postgres_url)
    assert (url(), url.may_change) == ("postgresql:///one", True)
    file.write_text("postgresql:///two")
    assert url() == "postgresql:///two"
    for content in ("", "mysql://x"):
        file.write_text(content)
        assert url() == "postgresql:///two"
    file.unlink()
    assert url() == "postgresql:///two"
    monkeypatch.setenv("ORDERS_POSTGRES_URL", "postgresql:///three")
    assert not current_url("postgresql:///three").may_change
