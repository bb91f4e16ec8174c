"""The report of a crash: where it happened, never what the variables held."""

from __future__ import annotations

import os
import re
import tempfile
import traceback
from pathlib import Path

_SECRET = re.compile(
    r"(?i)(api[-_]?key|secret|signature|listenkey|authorization|password|token)(\s*[=:]\s*)\S+"
)


def redacted(text: str) -> str:
    """Return `text` without what stands behind a name such as ``apiKey=``."""
    return _SECRET.sub(r"\1\2***", text)


def report_of(error: BaseException) -> str:
    """Return the traceback of `error` as text: files, lines, names; no locals."""
    return redacted("".join(traceback.format_exception(error)))


def write_report(error: BaseException, folder: Path | None) -> Path | None:
    """Write the report (0600) into `folder`, else the temporary directory; None where neither."""
    for place in (folder, Path(tempfile.gettempdir())):
        if place is None:
            continue
        try:
            handle, name = tempfile.mkstemp(prefix="perptui-crash-", suffix=".txt", dir=place)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(report_of(error))
        return Path(name)
    return None
