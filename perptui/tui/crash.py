"""The report of a crash: where it happened, never what the variables held."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path

from perptui.settings.redaction import redacted


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
