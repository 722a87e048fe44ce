"""Standard input, output and errors of a command, whatever a shell makes of them."""

import errno
import os
import sys
from typing import NoReturn

_ENDS_BADLY = 1


def prepare() -> None:
    """What is closed leads nowhere, so that no file of ours takes its number. What cannot be encoded is escaped.

    Ends the process if an argument is not UTF-8: no order, partner or topic has such a name.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free, which is this one
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    wrong = [argument for argument in sys.argv[1:] if not _is_utf8(argument)]
    if wrong:
        _end(f"The argument {wrong[0]!a} is not UTF-8. In a terminal of another encoding, set LC_ALL to it.")


def can_show() -> bool:
    """Whether stdout was open at the start."""
    return sys.stdout is not None


def finish() -> None:
    """Writes what is left. Ends the process if the reader is gone, as `head` is, or if the disk is full."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python tries again at its end
        _end("" if error.errno == errno.EPIPE else f"The output cannot be written: {error.strerror}.")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _end(text: str) -> NoReturn:
    if text and sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
    sys.exit(_ENDS_BADLY)
