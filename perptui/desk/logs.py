"""The desk's log: one JSON object a line, rotated, redacted."""

from __future__ import annotations

import json
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from perptui.model.clock import iso
from perptui.settings.redaction import install, redacted

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


def log_to(path: Path) -> None:
    """Send this process's log to `path`, and to nowhere else."""
    handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    install()
