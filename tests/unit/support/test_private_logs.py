import logging
import sys
from pathlib import Path

import pytest

from deploy.local.child import Child
from support.orders import an_order
from support.private_logs import PASSWORD, keep_secret, require_private, watched
from support.waiting import eventually

TOKEN = "ord_live_AbCdEfGh_0123456789abcdefghijklmnopqrstuvw"


@pytest.mark.parametrize("field", ["name", "address", "email"])
def test_a_row_of_the_tests_is_found(field: str) -> None:
    with pytest.raises(AssertionError, match="x holds something private"):
        require_private(f"a line\nDETAIL: Failing row contains ({an_order()[field]}, 1).\n".encode(), "x")


def test_a_token_and_a_password_are_found() -> None:
    require_private(f"a line with the key id {TOKEN.split('_')[2]}".encode(), "x")
    for secret in (keep_secret(TOKEN)[18:], f"user-{PASSWORD}"):
        with pytest.raises(AssertionError, match="something private"):
            require_private(secret.encode(), "x")


def test_what_this_process_logs_is_searched(tmp_path: Path) -> None:
    logger = logging.Logger("of this test alone")
    watch = watched(tmp_path, [], logger)
    watch.__enter__()
    logger.warning("the row is %s", an_order())
    with pytest.raises(AssertionError, match=r"tests\.log holds something private"):
        watch.__exit__(None, None, None)


def test_what_a_child_logs_is_searched(tmp_path: Path) -> None:
    watch = watched(tmp_path, [], logging.Logger("of this test alone"))
    watch.__enter__()
    log = tmp_path / "child"
    child = Child("a child", [sys.executable, "-c", "print('Main Street 1')"], log)
    eventually(lambda: child.exit_code == 0)
    with pytest.raises(AssertionError, match="child holds something private"):
        watch.__exit__(None, None, None)
    log.unlink()  # before all logs of this run are searched


def test_what_processes_of_processes_log_is_searched(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_text("Main Street 1")
    watch = watched(tmp_path, ["logs/*.log"], logging.Logger("of this test alone"))
    watch.__enter__()
    with pytest.raises(AssertionError, match=r"x\.log holds something private"):
        watch.__exit__(None, None, None)
