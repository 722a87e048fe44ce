"""The way of a stranger with a URL and a token from /docs to a first order, with a picture of each step.

`make docs-pictures` writes those that docs/ has.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from shows.clients import stack
from support.browser import Page, chromium
from support.docs_walk import counts_shown, fill_token, open_page, open_try_it, scroll_to_orders, send

SIZE_PX = 1280, 720
SETTLED_S = 1.5
"""Letters and colours come a moment after the text. Only pictures need them."""


def main(folder: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="orders-docs-"))
    try:
        with stack(temporary) as (url, token_of), chromium() as page:
            token = token_of("stranger")
            page.size(*SIZE_PX)
            started_s = time.monotonic()
            open_page(page, f"{url}/docs", "Post a batch of orders")
            scroll_to_orders(page)
            picture(page, folder / "docs-page-samples.png", started_s)
            open_try_it(page)
            fill_token(page, token)
            send(page)
            page.wait_for(counts_shown(inserted=1))
            picture(page, folder / "docs-page-try.png", started_s)
            open_page(page, f"{url}/docs/events", "orders.upserts")
            picture(page, folder / "docs-page-events.png", started_s)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def picture(page: Page, file: Path, started_s: float) -> None:
    time.sleep(SETTLED_S)
    page.screenshot(file)
    print(f"{file.name}: {file.stat().st_size:,} bytes, {time.monotonic() - started_s:.1f} s after the start")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
