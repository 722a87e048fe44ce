"""The pager gets each line when it is made, and ends the making when it is left."""

import itertools

import pytest

from deploy.pager import page


def test_who_leaves_the_pager_ends_the_making(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAGER", "head -n 2")
    page(f"line {number}" for number in itertools.count())  # without an end
    assert capfd.readouterr().out == "line 0\nline 1\n"


def test_without_a_pager_the_lines_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAGER", "no-such-pager-of-ours")
    page(["[red]a[/red]"])
    assert capsys.readouterr().out == "[red]a[/red]\n"
