"""The request header Prefer (RFC 7240), with the preferences that this endpoint knows. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

WAIT_CHARS_MAX = 9


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences of a request. Unknown preferences and malformed values are ignored, as the RFC demands."""

    respond_async: bool = False
    wait_s: float | None = None
    representation: bool = False
    strict: bool = False
    timing: bool = False

    def of_dry_run(self) -> "Preferences":
        """Those that count for one: nothing is published, so there is nothing to wait for."""
        return replace(self, respond_async=False, wait_s=None)

    @property
    def accepts_202(self) -> bool:
        """Whether the answer may be a 202. A client that sends `wait` must accept 202."""
        return self.respond_async or self.wait_s is not None

    def applied(self, *, wait_s: float, representation: bool) -> dict[str, str]:
        """The header Preference-Applied. `wait_s`: the longest wait, which may be shorter than the client's."""
        names = [
            "respond-async" if self.respond_async else "",
            f"wait={wait_s:.0f}" if self.wait_s is not None else "",
            "return=representation" if representation else "",
            "handling=strict" if self.strict else "",
            "server-timing" if self.timing else "",
        ]
        applied = ", ".join(name for name in names if name)
        return {"Preference-Applied": applied} if applied else {}


NO_PREFERENCES = Preferences()


def parse_preferences(headers: Iterable[str]) -> Preferences:
    """`headers`: the values of all headers of that name. If a preference is there twice, the first one counts."""
    found: dict[str, str] = {}
    for preference in ",".join(headers).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"').lower())
    wait = found.get("wait", "")
    return Preferences(
        respond_async="respond-async" in found,
        wait_s=float(wait) if wait.isascii() and wait.isdigit() and len(wait) <= WAIT_CHARS_MAX else None,
        representation=found.get("return") == "representation",
        strict=found.get("handling") == "strict",
        timing="server-timing" in found,
    )
