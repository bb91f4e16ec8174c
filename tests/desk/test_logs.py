"""The desk's log: one redacted JSON object a line."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from perptui.desk.logs import JsonLines, log_to
from perptui.settings.redaction import redacted
from tests.canary import CANARY


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    handlers, level = tuple(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)
    factory, hook, of_thread = logging.getLogRecordFactory(), sys.excepthook, threading.excepthook
    log_to(tmp_path / "desk.log")
    yield tmp_path / "desk.log"
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = hook, of_thread
    for handler in tuple(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        f"GET /order?timestamp=1&signature={CANARY}&x=1",
        f'{{"apiKey": "{CANARY}"}}',
        f"X-MBX-APIKEY: {CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"listenKey={CANARY}",
    ],
)
def test_what_is_named_like_a_secret_is_never_written(text: str) -> None:
    assert CANARY not in redacted(text)
    assert "***" in redacted(text)


def test_each_line_is_an_object_with_its_time(log: Path) -> None:
    logging.getLogger("perptui.desk").warning("secret=%s", "ordinary")
    line = msgspec.json.decode(log.read_text())
    assert line["level"] == "warning"
    assert line["text"] == "secret=***"
    assert line["ts"].endswith("Z")


def test_a_trace_is_redacted_too() -> None:
    error = ValueError(f"signature={CANARY}")
    record = logging.LogRecord("x", 50, "x", 1, "failed", None, (ValueError, error, None))
    assert CANARY not in JsonLines().format(record)


def test_the_venue_library_is_quiet(log: Path) -> None:
    logging.getLogger("ccxt.base").info("request with everything in it")
    assert log.read_text() == ""
