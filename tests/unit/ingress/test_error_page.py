"""The page of errors for browsers has an anchor for each `type`, and loads nothing."""

from html.parser import HTMLParser

from ingress.catalogue import CATALOGUE
from ingress.error_page import html


class Reader(HTMLParser):
    """Notes anchors, tags, and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors = list[str]()
        self.tags = set[str]()
        self.texts = list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.anchors += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_every_entry_has_its_anchor_and_its_text_and_nothing_is_loaded() -> None:
    reader = Reader()
    reader.feed(html())
    assert reader.anchors == [problem.name for problem in CATALOGUE]
    assert {problem.text for problem in CATALOGUE} <= set(reader.texts)
    assert reader.tags.isdisjoint({"script", "link", "img", "style", "iframe"})
    assert "`" not in "".join(set(reader.texts) - {problem.text for problem in CATALOGUE})
