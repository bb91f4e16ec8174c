"""The desk's log: one redacted JSON object a line."""

from __future__ import annotations

import logging
import resource
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from perptui.desk.logs import JsonLines, LogFile, log_to
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


def test_a_full_disk_is_counted_and_says_nothing_to_anybody(
    log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("perptui.desk")
    logger.warning("the first")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    for number in range(3):
        logger.warning("%d: %s", number, f"signature={CANARY}")
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    logger.warning("the last")
    said = "".join(capfd.readouterr())
    assert said == ""
    text = log.read_text()
    assert "3 lines before came late or are lost" in text
    assert "the last" in text
    assert CANARY not in text


def test_a_line_that_cannot_be_made_is_said_without_its_secrets(
    log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = logging.LogRecord("x", 50, "x", 1, "%d", (f"secret={CANARY}",), None)
    (file,) = [one for one in logging.getLogger().handlers if isinstance(one, LogFile)]
    file.handle(record)
    _, said = capfd.readouterr()
    assert "TypeError" in said
    assert CANARY not in said
    assert log.read_text() == ""
