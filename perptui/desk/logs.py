"""The desk's log: one JSON object a line, rotated, redacted."""

from __future__ import annotations

import json
import logging
import re
from logging.handlers import RotatingFileHandler
from pathlib import Path

from perptui.model.clock import iso

MAX_BYTES = 2_000_000
KEPT = 5

_SECRET = re.compile(
    r"(?i)(\b(?:api-?key|apikey|secret|signature|listenkey|passphrase|password|authorization"
    r"|x-mbx-apikey)\b[\"']?\s*[=:]\s*[\"']?)(?:bearer\s+)?[^\s\"'&,}]+"
)


def redacted(text: str) -> str:
    """Return `text` with the value of everything that is named like a secret as ``***``."""
    return _SECRET.sub(r"\1***", text)


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
            line["trace"] = redacted(self.formatException(record.exc_info))
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
    # The venue library logs requests with their signatures below WARNING.
    for name in ("ccxt", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
