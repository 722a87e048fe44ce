"""Which servers the tests have.

Given servers come first: ORDERS_KAFKA_BOOTSTRAP, ORDERS_POSTGRES_URL.

ORDERS_TEST_SERVERS chooses: `local` are processes of this machine, `containers` are containers, and `auto` are
containers only if DOCKER_HOST names an engine that answers and has both images. Processes start faster, so an engine
that nobody named is not asked.
"""

import os

import pytest

CHOICES = "auto", "containers", "local"


def given(variable: str) -> str | None:
    """Takes a variable out of the environment, so that no process of a test sees it. Workers of xdist still do."""
    kept = f"TESTS_{variable}"
    if (value := os.environ.pop(variable, None)) is not None:
        os.environ[kept] = value
    return os.environ.get(kept)


KAFKA = given("ORDERS_KAFKA_BOOTSTRAP")
POSTGRES = given("ORDERS_POSTGRES_URL")
CHOICE = given("ORDERS_TEST_SERVERS") or "auto"


def are_containers() -> bool:
    """Raises UsageError for a choice that is none."""
    if CHOICE not in CHOICES:
        raise pytest.UsageError(f"ORDERS_TEST_SERVERS is {CHOICE!r}. It should be one of: {', '.join(CHOICES)}.")
    if CHOICE == "auto" and "DOCKER_HOST" in os.environ:
        from support import containers  # which loads an HTTP client, so only if it is needed

        return containers.missing(containers.KAFKA_IMAGE, containers.POSTGRES_IMAGE) is None
    return CHOICE == "containers"
