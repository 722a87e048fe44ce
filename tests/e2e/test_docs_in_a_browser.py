"""The pages in Chromium: they load nothing from elsewhere, nothing fails in them, and an order can be tried there."""

from collections.abc import Iterator

import pytest

from deploy.code_samples import FOLDERS
from deploy.local.ports import LOOPBACK
from support.browser import PROGRAM, Page, chromium
from support.docs_walk import counts_shown, fill_token, open_page, open_try_it, send
from support.installation import Ingress, Installation

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="Chromium is not here; as root, make test installs it from Debian"
)
WIDTHS_PX = 1280, 360


@pytest.fixture(scope="module")
def ingress(shared_installation: Installation) -> Ingress:
    shared_installation.start_consumer()
    return shared_installation.start_ingress()


@pytest.fixture(scope="module")
def base_url(ingress: Ingress) -> str:
    return f"http://{LOOPBACK}:{ingress.port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Page:
    browser.requests.clear()
    browser.problems.clear()
    return browser


@pytest.mark.parametrize("width_px", WIDTHS_PX)
@pytest.mark.parametrize(("path", "text"), [("/docs", "Post a batch of orders"), ("/docs/events", "orders.upserts")])
def test_a_page_loads_with_no_other_host_and_no_error(
    page: Page, base_url: str, path: str, text: str, width_px: int
) -> None:
    page.size(width_px, 900, dark=width_px == min(WIDTHS_PX))
    open_page(page, base_url + path, text)
    elsewhere = [url for url in page.requests if not url.startswith((f"{base_url}/", "data:", "about:", "blob:"))]
    assert elsewhere == []
    assert page.problems == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth"), "it has to be moved sideways"


def test_an_order_is_tried_with_a_token_and_gets_the_counts(
    page: Page, base_url: str, shared_installation: Installation
) -> None:
    token = shared_installation.add_partner("stranger")
    page.size(1280, 900)
    open_page(page, f"{base_url}/docs", "Post a batch of orders")
    open_try_it(page)
    fill_token(page, token)
    send(page)
    assert page.wait_for(counts_shown(inserted=1))
    assert set(shared_installation.rows("stranger")) == {"ORD-1001"}
    assert page.problems == []
    assert not page.run(f"JSON.stringify({{...localStorage, ...sessionStorage}}).includes({token!r})")


def test_the_samples_of_all_ten_languages_can_be_chosen(page: Page, base_url: str) -> None:
    page.size(1280, 900)
    open_page(page, f"{base_url}/docs", "Post a batch of orders")
    labels = page.wait_for("""(() => {
      const chooser = [...document.querySelectorAll("button")]
        .find((button) => (button.getAttribute("aria-label") ?? "").startsWith("Change code sample language"));
      if (!chooser) return null;
      if (chooser.getAttribute("aria-expanded") !== "true") chooser.click();
      const options = [...document.querySelectorAll("[role=option]")].map((option) => option.innerText.trim());
      return options.length ? options : null;
    })()""")
    assert {label for _, label, _ in FOLDERS.values()} <= set(labels)
