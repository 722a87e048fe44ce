"""The catalogue of errors as a page for browsers: where the `type` of a problem leads. It loads nothing. Pure."""

import re
from html import escape
from http import HTTPStatus
from itertools import groupby

from contracts.problem import Problem
from contracts.violations import REASONS
from ingress.catalogue import CATALOGUE
from ingress.problems import REFUSED_LATER

_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def html() -> str:
    """Each entry has its name as its anchor."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Errors</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><h1>Errors</h1>',
        "<p>Every text that you can get instead of counts. Braces stand for what differs.</p>",
    ]
    for status, problems in groupby(CATALOGUE, key=lambda problem: problem.status):
        parts.append(f"<h2>{status} {HTTPStatus(status).phrase}</h2>")
        parts += map(_entry, problems)
    parts.append("<h2>Reasons of invalid data</h2><p>No errors: such orders are skipped and counted.</p><dl>")
    parts += (f"<dt>{escape(reason)}</dt><dd>{_shown(meaning)}</dd>" for reason, meaning in REASONS.items())
    return "\n".join([*parts, f"<dt>{escape(REFUSED_LATER)}</dt></dl></body></html>"])


def _entry(problem: Problem) -> str:
    return (
        f'<h3 id="{problem.name}">{problem.title}</h3><blockquote>{escape(problem.text)}</blockquote>'
        f"<p>{_shown(problem.meaning)}</p><p><strong>What to do:</strong> {_shown(problem.advice)}</p>"
    )


def _shown(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", _LINK.sub(r"\1", escape(text, quote=False)))
