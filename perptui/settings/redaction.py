"""Nothing secret in any text that leaves: logs of every library, reports and last words.

`install` covers the whole process: whatever logger or handler a library makes, its lines are made
from records of ours, and what nobody caught is written without locals and without secrets.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from perptui.settings.credentials import held

_NAMED = re.compile(
    r"(?i)(\b(?:api-?key|api_key|secret|signature|listen-?key|passphrase|password|token"
    r"|authorization|x-mbx-apikey)\b[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s\"'&,}]+"
)
QUIET = ("ccxt", "aiohttp", "asyncio", "urllib3")
"""These log requests, with their signatures, below WARNING."""


def redacted(text: str) -> str:
    """Return `text` with every secret of this process, and what is named like one, as ``***``."""
    for secret in held():
        text = text.replace(secret, "***")
    return _NAMED.sub(r"\1***", text)


class RedactedRecord(logging.LogRecord):
    """A record whose message and trace are redacted whoever formats them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = redacted("".join(traceback.format_exception(*self.exc_info)).rstrip())

    def getMessage(self) -> str:  # noqa: N802 - the library's name
        """Return the message with its arguments in, redacted."""
        return redacted(super().getMessage())


def last_words(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Write what nobody caught to standard error: files, lines and names, no locals, no secrets."""
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(redacted("".join(lines)))


def _of_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_type is not SystemExit:
        last_words(given.exc_type, given.exc_value, given.exc_traceback)


def install() -> None:
    """Redact everything this process logs or dies with from now on."""
    logging.setLogRecordFactory(RedactedRecord)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = last_words
    threading.excepthook = _of_thread
