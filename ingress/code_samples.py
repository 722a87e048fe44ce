"""The clients of docs/clients, as the package has them: `x-codeSamples` of the operation that posts orders."""

import json
from functools import cache
from importlib.resources import files


@cache
def code_samples() -> list[dict[str, str]]:
    """`lang`, `label` and `source` of each client. `make docs-assets` writes them from docs/clients."""
    samples: list[dict[str, str]] = json.loads(
        (files("ingress") / "pages" / "code_samples.json").read_text(encoding="utf-8")
    )
    return samples
