"""The clients of docs/clients, as the pages show them: all ten are there, and each has what a partner needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.code_samples import FOLDERS, code_samples
from deploy.errors import CodeSampleError
from support.partner_clients import CLIENTS, published_orders

SAMPLES = code_samples(CLIENTS)


def texts(value: Any) -> Iterator[str]:
    """Each name and each text of the orders."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from texts(part)
    else:
        yield value


def test_every_folder_of_clients_is_a_sample_and_every_sample_has_a_folder() -> None:
    assert {folder.name for folder in CLIENTS.iterdir() if folder.is_dir()} == set(FOLDERS)
    assert len(SAMPLES) == len({sample["label"] for sample in SAMPLES}) == 10


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["label"])
def test_a_sample_has_the_published_orders_and_handles_what_may_happen(sample: dict[str, str]) -> None:
    """Also in the languages that a machine does not have, so that no test runs them."""
    source = sample["source"]
    values = set(texts(published_orders()))
    assert {text for text in values if text not in source} == set()
    needed = {"ORDERS_URL", "ORDERS_TOKEN", "ORDERS_TIMEOUT_S", "/api/integration/orders", "Idempotency-Key"}
    assert {text for text in {*needed, "200", "400", "401", "429", "503", "504"} if text not in source} == set()
    assert "Retry-After" in source or "RETRY_AFTER" in source or "retry-after" in source
    assert max(len(line) for line in source.splitlines()) <= 120


def test_without_the_files_the_folder_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CodeSampleError, match="docs/clients of a checkout"):
        code_samples(tmp_path)
