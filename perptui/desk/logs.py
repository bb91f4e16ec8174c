"""The desk's log: one JSON object a line, rotated, redacted."""

from __future__ import annotations

import json
import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from perptui.model.clock import iso
from perptui.settings.redaction import install, last_words, redacted

MAX_BYTES = 2_000_000
KEPT = 5


class JsonLines(logging.Formatter):
    """``{"ts", "level", "logger", "text"}``, and ``"trace"`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one redacted line."""
        line = {
            "ts": iso(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": redacted(record.getMessage()),
        }
        if record.exc_info:
            line["trace"] = redacted(record.exc_text or self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True)


class LogFile(RotatingFileHandler):
    """A file that may fail: what it does not take is counted, and said once it takes lines again.

    The library would write each such line to standard error, its arguments not redacted.
    """

    lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and after it how many before it were not taken."""
        before = self.lost
        super().emit(record)
        if before and self.lost == before:
            self.lost = 0
            text, args = "%d lines before came late or are lost: the log took none", (before,)
            level = logging.WARNING
            said = logging.getLogger(__name__).makeRecord(__name__, level, "", 0, text, args, None)
            super().emit(said)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Count a line that a full or failing disk took not; say a fault of ours, redacted."""
        kind, error, trace = sys.exc_info()
        if isinstance(error, OSError):
            self.lost += 1
        elif kind is not None:
            last_words(kind, error, trace)


def log_to(path: Path) -> None:
    """Send this process's log to `path`, and to nowhere else."""
    handler = LogFile(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    install()
