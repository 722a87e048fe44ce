"""Changing a running program from outside."""

from typing import Any


def put(owner: Any, name: str, value: Any) -> None:
    """Raises AttributeError where there is nothing of that name: the program has changed, and the breakage must too."""
    getattr(owner, name)
    setattr(owner, name, value)
