"""What a log and a terminal are told of errors: their class and place, and no text that may quote data."""

import asyncio
import io
import logging
import threading
from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import KafkaError, KafkaException

from contracts.errors import OrdersError
from contracts.order import Order
from deploy import cli, logs
from deploy.logs import Throttle, make_private
from deploy.traces import text_of, trace_of

SECRET = "Ada-Lovelace"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the processes would write."""
    stream = io.StringIO()
    handler = make_private(logging.StreamHandler(stream))
    handler.addFilter(Throttle())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def raise_all() -> None:
    try:
        try:
            int(SECRET)
        except ValueError:
            Order.model_validate({"name": {SECRET: 1}})
    except ValueError as error:
        raise ExceptionGroup("several", [KeyError(SECRET), psycopg.DataError(SECRET)]) from error


def test_a_stack_trace_has_classes_and_places_and_no_values(written: io.StringIO) -> None:
    try:
        raise_all()
    except ExceptionGroup:
        logging.getLogger("x").exception("it happened")
    text = written.getvalue()
    assert SECRET not in text
    for part in ("ValidationError", "KeyError", "DataError", "in raise_all", "it happened"):
        assert part in text


def test_an_error_in_a_line_tells_no_value(written: io.StringIO) -> None:
    log = logging.getLogger("psycopg")
    for _ in range(3):
        log.warning("error ignored terminating %r: %s", 1, psycopg.DataError(SECRET))
        log.warning("with %r", KeyError(SECRET))
    assert SECRET not in written.getvalue()
    assert written.getvalue().count("error ignored terminating 1: DataError") == 1


def test_a_task_that_nobody_awaits_and_a_callback_tell_no_value(written: io.StringIO) -> None:
    async def run() -> None:
        async def fail() -> None:
            raise ValueError(SECRET)

        task = asyncio.ensure_future(fail())
        asyncio.get_running_loop().call_soon(int, SECRET)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    asyncio.run(run())
    assert "never retrieved" in written.getvalue()
    assert "Exception in callback int" in written.getvalue()
    assert SECRET not in written.getvalue()


def test_a_thread_that_ends_with_an_error_is_logged(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr("sys.unraisablehook", None)
    logs.log_to_stderr()
    thread = threading.Thread(target=int, args=[SECRET])
    thread.start()
    thread.join()
    assert "a thread ended" in written.getvalue()
    assert "ValueError" in written.getvalue()
    assert SECRET not in written.getvalue()


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_bug_tells_its_place_and_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], debug: str
) -> None:
    monkeypatch.setattr(cli, "app", raise_all)
    monkeypatch.setenv("ORDERS_DEBUG", debug)
    with pytest.raises(SystemExit):
        cli.main()
    told = capsys.readouterr().err
    assert "test_traces.py" in told
    assert SECRET not in told


def test_texts_that_people_need_are_told() -> None:
    assert text_of(OrdersError("run: orders setup")) == "run: orders setup"
    assert "No such file" in text_of(FileNotFoundError(2, "No such file", "x"))
    assert "_ALL_BROKERS_DOWN" in text_of(KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)))
    assert trace_of(OrdersError("x")).endswith("OrdersError: x")
