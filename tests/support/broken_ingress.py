"""An ingress with a bug: `python -m support.broken_ingress`."""

import sys
from collections.abc import Callable

from deploy.cli import main
from ingress import orders
from ingress.fast_path import ParsedOrder

parse_body = orders.parse_body  # type: ignore[attr-defined]


async def bug(body: bytes, *, strict: bool, require_room: Callable[[int], None]) -> list[ParsedOrder]:
    """For any order."""
    if await parse_body(body, strict=strict, require_room=require_room):
        raise RuntimeError("a secret of the inside")
    return []


if __name__ == "__main__":
    orders.parse_body = bug  # type: ignore[attr-defined]
    sys.argv.append("ingress")
    main()
