"""What the document says is what a running server does: Schemathesis sends what it allows, and what it forbids."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.http import get
from support.installation import Ingress, Installation
from support.kept import PUBLISHED, ROOT

TIME_S = 900
"""It ends what hangs. The run takes some 10 s of two idle cores."""


@pytest.fixture(scope="module")
def ingress(shared_installation: Installation) -> Ingress:
    shared_installation.start_consumer()
    return shared_installation.start_ingress()


def test_the_document_is_served_as_it_is_published(ingress: Ingress) -> None:
    answer = get(ingress.port, "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == json.loads((PUBLISHED / "openapi.json").read_text())


def test_schemathesis_finds_nothing(shared_installation: Installation, ingress: Ingress, tmp_path: Path) -> None:
    """Every operation, with examples, limits, random and wrong values; and from a 202 to the status of its request."""
    token = shared_installation.add_partner("schemathesis")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
            "run",
            f"http://127.0.0.1:{ingress.port}/openapi.json",
            "--no-color",
            f"--header=token: {token}",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "SCHEMATHESIS_HOOKS": "support.schemathesis_checks"},
        capture_output=True,
        text=True,
        timeout=TIME_S,
    )
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr}"
    assert "6 selected / 6 total" in done.stdout
    assert re.search(r"API Links: +1 covered / 1 selected", done.stdout), done.stdout
