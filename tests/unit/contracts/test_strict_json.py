"""JSON to values: numbers, depth, texts that cannot be stored. e2e/test_status_table.py has some of them as bytes."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.strict_json import NAME_CHARS_MAX, NESTING_MAX, Number, Violation, first_nul, load, path_of


def loaded(document: bytes) -> Any:
    return load(document)[0]


def refusal(document: bytes) -> str:
    with pytest.raises(Violation) as caught:
        load(document)
    assert caught.value.path == ""
    return caught.value.error


def test_paths_are_written_as_in_the_documentation() -> None:
    assert path_of(("data", 0, "email")) == "data[0].email"
    assert path_of(("data", 0, "products", 12, "qty")) == "data[0].products[12].qty"
    assert path_of(()) == ""
    assert path_of(("x" * 1_000_000, 1)) == "x" * NAME_CHARS_MAX + "[1]"


@given(
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30}|[eE][+-]?[0-9]{1,9}|\.[0-9]{1,30}[eE][0-9]{1,3})", fullmatch=True
    )
)
def test_a_number_keeps_its_text(text: str) -> None:
    assert loaded(f"[{text}]".encode()) == [Number(text)]


@given(st.integers(-(10**40), 10**40))
def test_an_integer_is_exact(number: int) -> None:
    assert loaded(str(number).encode()) == number


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"", "Invalid JSON: it ends too early"),
        (b'{"a":', "Invalid JSON: it ends too early"),
        (b'{"a":1}x', "Invalid JSON: trailing characters at line 1 column 9"),
        (b'{\n "a" 1}', "Invalid JSON: expected ':' at line 2 column 6"),
        (b"[NaN]", "Invalid JSON: invalid character at line 1 column 2"),
        (b"[-Infinity]", "Invalid JSON: invalid character at line 1 column 3"),
        (b"[01]", "Invalid JSON: invalid number at line 1 column 3"),
        (b'["\x01"]', "Invalid JSON: invalid character at line 1 column 3"),
        (b'["\\ud8', "Invalid JSON: it ends too early"),
        (b'\xe9', "Invalid JSON: invalid character at line 1 column 1"),
        (b"9" * 4_301, "Invalid JSON: Integer value out of range"),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_not_json_is_refused_with_its_place(document: bytes, error: str) -> None:
    assert refusal(document) == error


def test_a_document_may_be_as_deep_as_it_ever_might() -> None:
    """In whatever version of Python and of the parser: a record that was read once is read in every replay."""
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        for deep in (NESTING_MAX, NESTING_MAX + 1, 100_000):
            document = opening * deep + b"1" + closing * deep
            if deep == NESTING_MAX:
                load(document)
            else:
                assert refusal(document).endswith(f"at most {NESTING_MAX} arrays and objects inside of each other")
    load(b"[" + b"[]," * 1_000 + b"[]]")


@pytest.mark.parametrize(
    ("document", "path", "error"),
    [
        (b'{"x": {"y": ["a", "\\u0000"]}}', "x.y[1]", "the character \\u0000"),
        (b'{"x": 1, "\\u0000": 1}', "", "the character \\u0000"),
        (b'{"x": ["\\ud83d\\ude00", "\\ud83d"]}', "x[1]", "half of a surrogate pair"),
        (b'{"x": "\\ude00\\ud83d"}', "x", "half of a surrogate pair"),
        (b'{"x": "\\ud83d\\n"}', "x", "half of a surrogate pair"),
        (b'{"x": "\\\\\\udBff", "y": "\\ud800"}', "x", "half of a surrogate pair"),
        (b'{"x": {"\\ud83d": 1}}', "x", "half of a surrogate pair"),
        (b'{"x": ["Jos\xc3\xa9", "Jos\xe9"]}', "x[1]", "the byte 0xe9"),
        (b'{"x": "\xf0\x9f\x98"}', "x", "the byte 0xf0"),
        (b'{"x": "\xed\xa0\xbd", "y": "\\ud800"}', "x", "the byte 0xed"),
        (b'{"x": "\\ud800", "y": "\xff"}', "x", "half of a surrogate pair"),
        (b'{"x": "\xc0\x80"}', "x", "the byte 0xc0"),
    ],
    ids=range(12),
)
def test_what_postgres_cannot_store_is_found_wherever_it_stands(document: bytes, path: str, error: str) -> None:
    values, may_have_nul = load(document)
    found = first_nul(values)
    assert may_have_nul
    assert found is not None
    assert (path_of(found[0]), error in found[1]) == (path, True), found


@pytest.mark.parametrize(
    "text", [b"NaN", b"-Infinity", b"a\\\\u0000b", b"\\\\ud800", b"\\ud83d\\ude00", "😀é".encode()]
)
def test_what_only_looks_forbidden_is_allowed_in_a_text(text: bytes) -> None:
    assert first_nul(loaded(b'["' + text + b'"]')) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_values_or_a_violation(noise: bytes) -> None:
    for document in (noise, b'["' + noise + b'"]'):
        with suppress(Violation):
            load(document)


def test_an_exact_number_of_four_million_digits_is_still_its_text() -> None:
    text = "0." + "1" * 4_000_000
    assert loaded(text.encode()) == Number(text)
    assert Decimal(loaded(b"0.5").text) == Decimal("0.5")
