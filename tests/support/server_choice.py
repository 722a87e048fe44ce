"""Which servers the tests have, if none are given.

ORDERS_TEST_SERVERS chooses: `local` are processes of this machine, `containers` are containers, and `auto` are
containers only if DOCKER_HOST names an engine that answers and has both images. Processes start faster, so an engine
that nobody named is not asked.
"""

import os

import pytest

CHOICES = "auto", "containers", "local"
CHOICE = os.environ.get("ORDERS_TEST_SERVERS", "auto")


def are_containers() -> bool:
    """Raises UsageError for a choice that is none."""
    if CHOICE not in CHOICES:
        raise pytest.UsageError(f"ORDERS_TEST_SERVERS is {CHOICE!r}. It should be one of: {', '.join(CHOICES)}.")
    if CHOICE == "auto" and "DOCKER_HOST" in os.environ:
        from support import containers  # which loads an HTTP client, so only if it is needed

        return containers.missing(containers.KAFKA_IMAGE, containers.POSTGRES_IMAGE) is None
    return CHOICE == "containers"
