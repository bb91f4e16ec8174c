"""No secret leaves in a log line, a trace or the last words of a process."""

import io
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from perptui.settings.credentials import Secret
from perptui.settings.redaction import install, redacted
from tests.canary import CANARY


@pytest.fixture
def installed() -> Iterator[io.StringIO]:
    """A handler of somebody else's making, in a process that redacts."""
    before = logging.getLogRecordFactory(), sys.excepthook, threading.excepthook
    install()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("somebody.else")
    logger.addHandler(handler)
    logger.propagate = False
    yield stream
    logger.removeHandler(handler)
    logging.setLogRecordFactory(before[0])
    sys.excepthook, threading.excepthook = before[1:]


@pytest.mark.parametrize(
    "text",
    [
        f"GET /order?timestamp=1&signature={CANARY}&x=1",
        f'{{"apiKey": "{CANARY}"}}',
        f"{{'api_key': '{CANARY}'}}",
        f"X-MBX-APIKEY: {CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Basic {CANARY}",
        f"listenKey={CANARY}",
        f"secret = {CANARY}",
        f"password={CANARY}",
    ],
)
def test_what_is_named_like_a_secret_is_blank(text: str) -> None:
    assert CANARY not in redacted(text)
    assert "***" in redacted(text)


def test_a_secret_of_this_process_is_blank_wherever_it_stands() -> None:
    bare = "bare-77-" + CANARY[::-1]
    assert bare in redacted(f"at {bare} nothing names it")
    kept = Secret(bare)
    assert redacted(f"at {bare} nothing names it") == "at *** nothing names it"
    assert kept.reveal() == bare


def test_foreign_handlers_get_redacted_lines_and_traces(installed: io.StringIO) -> None:
    logger = logging.getLogger("somebody.else")
    logger.warning("apiKey=%s", CANARY)
    try:
        int(f"signature={CANARY}")
    except ValueError:
        logger.exception("failed with secret=%s", CANARY)
    said = installed.getvalue()
    assert CANARY not in said
    assert "with base 10: 'signature=***'" in said
    assert said.count("secret=***") == said.count("apiKey=***") == 1


def test_libraries_that_log_requests_are_quiet(installed: io.StringIO) -> None:
    for name in ("ccxt", "aiohttp", "asyncio"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING


DYING = """
import threading
from perptui.settings.redaction import install
install()
canary = input()
def fail():
    raise RuntimeError("signature=" + canary)
thread = threading.Thread(target=fail)
thread.start(); thread.join()
fail()
"""


def test_last_words_hold_neither_secrets_nor_locals() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DYING], input=CANARY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.count("RuntimeError: signature=***") == 2
    assert CANARY not in ended.stderr + ended.stdout
