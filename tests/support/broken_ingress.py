"""An ingress with a bug in it: `python -m support.broken_ingress`."""

import sys
from typing import NoReturn

from order_upsert.deploy.cli import main
from order_upsert.ingress import orders


def bug(_: object) -> NoReturn:
    raise RuntimeError("a secret of the inside")


if __name__ == "__main__":
    orders.invalid_reason = bug  # type: ignore[assignment, attr-defined]
    sys.argv.append("ingress")
    main()
