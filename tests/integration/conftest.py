"""What several of these tests use."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row


@pytest.fixture
def sql(database: str) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:

        def run(statement: str, *parameters: Any) -> list[dict[str, Any]]:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

        yield run
