"""The `orders` commands by themselves: what they print, and what they say when something is wrong."""

import re
import socket

import pytest

from deploy.local.ports import LOOPBACK, free_port
from support.commands import orders
from support.installation import Installation
from support.orders import an_order


def test_partners_from_add_to_revoke(installation: Installation) -> None:
    env = installation.environment
    first = orders("partners", "add", "acme", "--orders-per-s", "50", env=env)
    assert first.returncode == 0
    token = first.stdout.strip()  # and nothing else, so that a script can take it
    assert re.fullmatch(r"ord_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{33}", token)
    second = orders("partners", "rotate", "acme", env=env).stdout.strip()
    assert second != token
    listed = orders("partners", "list", env=env).stdout
    assert listed.count("acme") == 2
    assert "50" in listed
    assert token not in listed
    assert orders("partners", "revoke", "acme", token.split("_")[2], env=env).returncode == 0
    assert orders("partners", "list", env=env).stdout.count("revoked") == 1
    kept = b"".join(record.value() or b"" for record in installation.records(installation.settings.topics.partners))
    assert token.encode() not in kept
    assert second.encode() not in kept


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["partners", "add", "Not A Name"], "cannot be the name of a partner"),
        (["partners", "rotate", "nobody"], "There is no partner nobody"),
        (["partners", "revoke", "nobody", "x"], "There is no partner nobody"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_cannot_be_done_says_why(installation: Installation, arguments: list[str], text: str) -> None:
    done = orders(*arguments, env=installation.environment)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in orders(*arguments, env=installation.environment, debug=True).stderr  # who asks gets it


def test_setup_makes_what_is_missing_and_can_be_run_again(bootstrap: str, postgres_url: str, database: str) -> None:
    env = {"ORDERS_KAFKA_BOOTSTRAP": bootstrap, "ORDERS_POSTGRES_URL": database, "ORDERS_TOPIC_PREFIX": "setup-test"}
    first = orders("setup", env=env)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("made topic") == 5
    again = orders("setup", env=env)
    assert again.stdout.strip() == "Topics and tables are as they should be."
    missing = orders("setup", env={**env, "ORDERS_POSTGRES_URL": re.sub(r"/\w+$", "/no_such_db", database)})
    assert missing.returncode == 1
    assert "Create the database that ORDERS_POSTGRES_URL names" in missing.stderr


def test_orders_ingress_alone_makes_no_demo_partner(installation: Installation) -> None:
    ingress = installation.start_ingress()
    assert installation.post(ingress, "U78FtRBfsMAnecq_q3i8J", [an_order()]).status == 401
    assert installation.registry().all() == []


@pytest.mark.parametrize(
    ("command", "changes", "text"),
    [
        ("ingress", {"ORDERS_KAFKA_BOOTSTRAP": ""}, "ORDERS_KAFKA_BOOTSTRAP"),
        ("ingress", {"ORDERS_PORT": "http"}, "ORDERS_PORT is 'http'"),
        ("ingress", {"ORDERS_REQUEST_TIMEOUT_S": "0"}, "1 to 300 seconds"),
        ("ingress", {"ORDERS_KAFKA_PROPERTIES": "{"}, "ORDERS_KAFKA_PROPERTIES is not JSON"),
        ("ingress", {"ORDERS_KAFKA_PROPERTIES": '{"acks": 0}'}, "acks cannot be set"),
        ("consumer", {"ORDERS_POSTGRES_URL": "mysql://x"}, "ORDERS_POSTGRES_URL"),
        ("consumer", {"ORDERS_GROUP_PROTOCOL": "x"}, "classic, or consumer"),
        ("consumer", {"ORDERS_BATCH_RECORDS_MAX": "0"}, "1 to 100000"),
        ("setup", {"ORDERS_TOPIC_PREFIX": "a b"}, "ORDERS_TOPIC_PREFIX"),
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_start(command: str, changes: dict[str, str], text: str) -> None:
    env = {"ORDERS_KAFKA_BOOTSTRAP": f"{LOOPBACK}:1", "ORDERS_POSTGRES_URL": "postgresql://u@127.0.0.1:1/d"}
    done = orders(command, env={**env, **changes})
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_kafka_property_is_named() -> None:
    env = {"ORDERS_KAFKA_BOOTSTRAP": f"{LOOPBACK}:1", "ORDERS_KAFKA_PROPERTIES": '{"no.such": 1}'}
    for command in (["ingress"], ["partners", "list"]):
        done = orders(*command, env={**env, "ORDERS_PORT": str(free_port())})
        assert done.returncode == 1
        assert "no.such" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_in_use(installation: Installation) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        done = orders("ingress", env={**installation.environment, "ORDERS_PORT": port})
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr


def test_the_consumer_refuses_what_is_not_its_topic_or_its_tables(
    installation: Installation, postgres_url: str
) -> None:
    unknown = orders("consumer", env={**installation.environment, "ORDERS_TOPIC_PREFIX": "never-made"})
    assert unknown.returncode == 1
    assert "never-made.upserts does not exist. Run: orders setup" in unknown.stderr
    not_set_up = orders("consumer", env={**installation.environment, "ORDERS_POSTGRES_URL": postgres_url})
    assert not_set_up.returncode == 1
    assert "Run: orders setup" in not_set_up.stderr
