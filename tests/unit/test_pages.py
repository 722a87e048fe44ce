"""The pages say what is true: links lead somewhere, and settings, limits and statuses are those of the code."""

import importlib
import json
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from contracts import limits
from contracts.settings import PREFIX, OrdersSettings
from ingress.catalogue import CATALOGUE
from support.kept import ROOT

README_LINES_MAX = 120
PACKAGES = "contracts", "ingress", "consumer", "deploy"
SET_BY_THE_SUPERVISOR = {"ORDERS_LISTEN_FD", "ORDERS_SUPERVISOR_PID"}
READ_WITHOUT_A_CLASS = {"ORDERS_DEBUG", "ORDERS_SECRETS_DIR"}
ANSWERED_WITHOUT_AN_ERROR = {200, 202}
UNITS = {"": ("", 1), "s": ("_S", 1), "ms": ("_MS", 1), "KiB": ("_BYTES_MAX", 1 << 10), "MiB": ("_BYTES_MAX", 1 << 20)}

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
SOURCE_PATH = re.compile(r"`([\w/.-]+\.(?:py|sql))`")
SETTING_ROW = re.compile(rf"^\| `({PREFIX}\w+)` \| ?(.*?) \| .+ \|$", re.MULTILINE)
STATUS_ROW = re.compile(r"^\| (\d{3}) \| .+ \| .+ \|$", re.MULTILINE)
LIMIT_ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (-?[0-9.,]+) ?(\w*) \| `([\w/]+)\.py` \| .+ \|$", re.MULTILINE)


def page(name: str) -> str:
    return (ROOT / name).read_text()


@cache
def files(pattern: str) -> list[Path]:
    """Those of the repository, and new ones that are not committed yet."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in sorted(set(names)) if (ROOT / name).exists()]


PAGES = [str(file.relative_to(ROOT)) for file in files("*.md")]


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCED.sub("", text)):
        shown = LINK.sub(lambda link: link[0].partition("](")[0][1:], heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number = sum(1 for known in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", known))
        found.add(f"{slug}-{number}" if number else slug)
    return found


def dead_links(text: str, file: Path) -> list[str]:
    """Relative links of a page that stands in `file` and lead nowhere."""
    links = LINK.findall(CODE.sub("", FENCED.sub("", text)))
    return [link for link in links if not re.match(r"[a-z]+:", link) and not _leads_somewhere(link, text, file)]


def _leads_somewhere(link: str, text: str, file: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = (file.parent / path).resolve() if path else file
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text() if path else text)


def unknown_paths(text: str) -> list[str]:
    """Source files that a page names and that are not there. A name without a folder may be any file of that name."""
    known = {str(file.relative_to(ROOT)) for pattern in ("*.py", "*.sql") for file in files(pattern)}
    names = {path.rpartition("/")[2] for path in known}
    return [path for path in SOURCE_PATH.findall(text) if path not in (known if "/" in path else names)]


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    assert dead_links(page(name), ROOT / name) == []


@pytest.mark.parametrize("name", PAGES)
def test_every_source_file_that_a_page_names_is_there(name: str) -> None:
    assert unknown_paths(page(name)) == []


def test_the_file_map_has_every_source_file() -> None:
    """By its name, or by a link to its folder."""
    file_map = page("docs/architecture.md").partition("## File map")[2]
    folders = set(re.findall(r"\[([\w/]+)/\]\(", file_map))
    for package in PACKAGES:
        for file in files(f"{package}/*.py"):
            path = str(file.relative_to(ROOT))
            assert file.name == "__init__.py" or f"`{path}`" in file_map or path.rpartition("/")[0] in folders, path


def test_a_dead_link_a_dead_anchor_and_a_file_that_is_gone_are_found() -> None:
    text = """# A `b` heading, twice
[good](README.md#two-commands) [good](#a-b-heading-twice) [far](https://example.org/x) `[code](nowhere)`
[gone](docs/gone.md) [`no anchor`](README.md#gone) [here](#gone) [outside](../..)
`consumer/gone.py` `gone.py` `consumer/worker.py` `worker.py`
"""
    assert dead_links(text, ROOT / "README.md") == ["docs/gone.md", "README.md#gone", "#gone", "../.."]
    assert unknown_paths(text) == ["consumer/gone.py", "gone.py"]


def test_headings_of_one_name_have_anchors_of_their_own() -> None:
    assert anchors("# Same\n## Same\n```\n# no heading\n```\n") == {"same", "same-1"}


def test_the_readme_is_short() -> None:
    assert len(page("README.md").splitlines()) <= README_LINES_MAX


def settings_classes(base: type[OrdersSettings] = OrdersSettings) -> Iterator[type[OrdersSettings]]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    queue = base.__subclasses__()
    while queue:
        found = queue.pop()
        yield found
        queue += found.__subclasses__()


def shown_default(default: object) -> str:
    """As a page shows it; nothing for a setting that has to be set, or that is unset by default."""
    if default is None or default is PydanticUndefined:
        return ""
    text = (
        json.dumps(default) if isinstance(default, dict) else f"{default:g}" if isinstance(default, float) else default
    )
    return f"`{text}`"


def test_every_setting_is_on_the_operators_page_with_its_default() -> None:
    defaults = {
        PREFIX + name.upper(): shown_default(field.default)
        for settings in settings_classes()
        for name, field in settings.model_fields.items()
    }
    assert len(defaults) > len(SET_BY_THE_SUPERVISOR)
    public = {name: default for name, default in defaults.items() if name not in SET_BY_THE_SUPERVISOR}
    said = dict(SETTING_ROW.findall(page("docs/operating.md")))
    assert {name: default for name, default in said.items() if name not in READ_WITHOUT_A_CLASS} == public


def test_every_status_is_on_the_partners_page() -> None:
    said = [int(status) for status in STATUS_ROW.findall(page("docs/http-api.md"))]
    assert said == sorted({problem.status for problem in CATALOGUE} | ANSWERED_WITHOUT_AN_ERROR)


def said_limits() -> list[tuple[str, str, str, str]]:
    return LIMIT_ROW.findall(page("docs/limits.md"))


@pytest.mark.parametrize(("name", "number", "unit", "path"), said_limits())
def test_a_limit_is_as_its_page_says(name: str, number: str, unit: str, path: str) -> None:
    ending, factor = UNITS[unit]
    assert name.endswith(ending)
    said = number.replace(",", "")
    value = (float(said) if "." in said else int(said)) * factor
    assert getattr(importlib.import_module(path.replace("/", ".")), name) == value


def test_every_limit_of_the_contract_is_on_the_page_of_limits() -> None:
    ours = {name for name, value in vars(limits).items() if name.isupper() and isinstance(value, int)}
    assert ours
    assert ours <= {name for name, _, _, path in said_limits() if path == "contracts/limits"}


def test_the_design_has_what_the_code_cites() -> None:
    design = page("docs/design.md")
    for file in files("*.py") + files("*.sql"):
        text = file.read_text()
        for section in re.findall(r"\bdesign ([0-9]+)\b", text):
            assert f"\n## {section}. " in design, f"{file}: design {section}"
        for promise in re.findall(r"\bP([1-9])\b", text):
            assert f"\n| P{promise} " in design, f"{file}: P{promise}"
