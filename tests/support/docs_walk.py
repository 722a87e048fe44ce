"""The way of a stranger through the page /docs: to the form, with a token, to the answer."""

from support.browser import Page


def open_page(page: Page, url: str, text: str) -> None:
    """Returns when the page shows `text`."""
    page.open(url)
    page.wait_for(f"location.href.startsWith({url!r}) && document.body?.innerText.includes({text!r})")


def scroll_to_orders(page: Page) -> None:
    page.run("[...document.querySelectorAll('h2, h3')].find((h) => /^Post a batch/.test(h.innerText)).scrollIntoView()")


def open_try_it(page: Page) -> None:
    """Presses "Test Request" of the first operation, which posts orders."""
    page.wait_for(_pressed("Test Request"))
    page.wait_for(
        "[...document.querySelectorAll('[role=dialog] .cm-content')].some((e) => e.innerText.includes('ORD-1001'))"
    )


def fill_token(page: Page, token: str) -> None:
    page.wait_for("""(() => {
      const field = [...document.querySelectorAll("[role=dialog] input")].find((input) => input.placeholder);
      field?.focus();
      return document.activeElement === field;
    })()""")
    page.type(token)


def send(page: Page) -> None:
    page.wait_for(_pressed("Send"))


def counts_shown(inserted: int) -> str:
    """A condition: the answer in the form has these counts."""
    return f"""/"inserted": {inserted}/.test(document.querySelector("[role=dialog]")?.innerText ?? "")"""


def _pressed(label: str) -> str:
    return f"""(() => {{
      const button = [...document.querySelectorAll("button")].find((b) => b.innerText.trim().startsWith({label!r}));
      button?.click();
      return Boolean(button);
    }})()"""
