"""Changing a running program from outside."""

from typing import Any


def put(owner: Any, name: str, value: Any) -> None:
    """Raises AttributeError if nothing has that name: the program has changed, so the breakage must change too."""
    getattr(owner, name)
    setattr(owner, name, value)
