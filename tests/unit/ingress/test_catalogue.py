"""The catalogue of errors has every text that a partner can see, once, and the page is made of it."""

import ast
import json
import re
from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.problem import Problem
from contracts.strict_json import Violation
from contracts.violations import REASONS
from ingress import catalogue, problems
from ingress.catalogue import BAD, CATALOGUE, OTHER, bad_request
from ingress.errors import IngressError
from support.edits import Edit, edited
from support.kept import ROOT
from support.orders import an_order
from support.parsing import parsed

TOLD = {"Violation", "PydanticCustomError", "send_400_response", "said", "error_response"}
"""Calls that tell a partner something, beside those of error classes."""


def test_the_page_is_made_of_the_catalogue() -> None:
    """`make errors` writes it."""
    assert (ROOT / "docs" / "errors.md").read_text() == catalogue.page()


def test_every_entry_has_a_name_of_its_own_and_says_what_to_do() -> None:
    names = [problem.name for problem in CATALOGUE]
    assert len(set(names)) == len(names) > 40
    for problem in CATALOGUE:
        assert re.fullmatch("[a-z0-9]+(?:-[a-z0-9]+)*", problem.name)
        assert problem.meaning.endswith(".")
        assert problem.advice.endswith(".")
        assert problem.status >= 400


@pytest.mark.parametrize("problem", BAD, ids=lambda problem: problem.name)
def test_a_400_is_found_by_its_text(problem: Problem) -> None:
    fields = {name: 7 for _, name, _, _ in Formatter().parse(problem.text) if name}
    assert bad_request(problem.said(**fields)) is problem


def texts_elsewhere(source: str, errors: set[str]) -> Iterator[str]:
    """Texts that are written where something is told to a partner, and not taken from the catalogue."""
    for node in ast.walk(ast.parse(source)):
        told: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            told = node.args if name in TOLD | errors or name == "__init__" else []
        elif isinstance(node, ast.Dict):
            told = [value for key, value in zip(node.keys, node.values, strict=True) if is_text(key, "error")]
        elif isinstance(node, ast.Yield) and node.value is not None:
            told = [node.value]
        elif isinstance(node, ast.Tuple):
            told = list(node.elts)
        for text in (inner for expression in told for inner in texts_of(expression)):
            if re.search(r"\w \w", text):
                yield text


def is_text(node: ast.expr | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def texts_of(node: ast.expr) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def errors_of_partners() -> set[str]:
    found, queue = {"Violation"}, [IngressError]
    while queue:
        error = queue.pop()
        found.add(error.__name__)
        queue += error.__subclasses__()
    return found


def test_no_text_of_an_error_is_written_elsewhere() -> None:
    read = [ROOT / "contracts" / f"{name}.py" for name in ("strict_json", "order_parser", "order", "strict_order")]
    others = {"bad_requests.py", "problems.py", "catalogue.py", "settings.py", "metrics.py"}
    read += [file for file in (ROOT / "ingress").glob("*.py") if file.name not in others]
    for file in read:
        assert list(texts_elsewhere(file.read_text(), errors_of_partners())) == [], file
    assert list(texts_elsewhere('raise UnavailableError(f"No more {x}")', {"UnavailableError"})) == ["No more "]
    assert list(texts_elsewhere('json_response(404, {"error": "Not here"})', set())) == ["Not here"]
    assert list(texts_elsewhere('yield (name,), "is wrong"', set())) != []


def test_an_error_has_the_status_of_what_it_tells() -> None:
    """Also those of the endpoints: each class is made for problems of one status."""
    statuses = {problem.name: problem.status for problem in CATALOGUE}
    for file in sorted((ROOT / "ingress").glob("*.py")):
        for name, problem in re.findall(r"(\w+Error)\(problems\.(\w+)", file.read_text()):
            entry = getattr(problems, problem)
            errors = {error.__name__: error for error in all_errors()}
            assert errors[name].status == statuses[entry.name], (file, name, problem)


def all_errors() -> list[type[IngressError]]:
    found: list[type[IngressError]] = [IngressError]
    for error in found:
        found += error.__subclasses__()
    return found


LONG = "x" * 513
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["1" * 41, "x" * 513]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CHANGES = st.dictionaries(st.sampled_from([*an_order(), "phone", "total_qty", "x"]), VALUES, max_size=3)
PIECES = st.sampled_from(["", "{", "[", "]", ",", '"', "\\u0000", "\\ud800", "\0", "9" * 40, "[" * 300, "null", "NaN"])
EDITS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 3), PIECES), max_size=2)


@given(st.lists(CHANGES, max_size=2), EDITS, st.sampled_from(["utf-8", "latin-1", "utf-16"]), st.booleans())
def test_every_violation_is_in_the_catalogue(
    changes: list[dict[str, Any]], edits: list[Edit], encoding: str, strict: bool
) -> None:
    text = edited(json.dumps({"data": [{**an_order(), **change} for change in changes]}), edits)
    try:
        parsed(text.encode(encoding, "replace"), strict=strict)
    except Violation as violation:
        for _, said in violation.others or [(violation.path, violation.error)]:
            assert bad_request(said) is not OTHER, said


def test_every_reason_of_invalid_data_is_in_the_catalogue() -> None:
    product = {"product_sku_id": "S", "amount": "1", "qty": 1}
    wrong = [
        an_order(name=" "),
        an_order(discount=-1),
        *(an_order(products=[{**product, **part}]) for part in ({"product_sku_id": ""}, {"amount": "-1"}, {"qty": 0})),
    ]
    reasons = [order.refused for order in parsed(json.dumps({"data": wrong}).encode())]
    patterns = [re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(reason))) for reason in REASONS]
    assert all(reason and any(pattern.fullmatch(reason) for pattern in patterns) for reason in reasons), reasons
