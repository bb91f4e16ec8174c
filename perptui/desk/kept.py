"""The highest equity, kept over restarts: a drawdown does not end because a process did."""

from __future__ import annotations

import logging
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path

from perptui.model.money import plain

_log = logging.getLogger(__name__)


class PeakFile:
    """One number in a file, replaced at once or not at all.

    Parameters
    ----------
    path : Path
        In the desk's state directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Decimal | None = None

    def read(self) -> Decimal | None:
        """Return the peak of earlier runs, None where there is none that can be read."""
        try:
            peak = Decimal(self._path.read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, InvalidOperation) as error:
            _log.warning("peak equity: %s cannot be read: %s", self._path, error)
            return None
        if not peak.is_finite() or peak <= 0:
            _log.warning("peak equity: %s holds %s; it counts from now", self._path, peak)
            return None
        self._kept = peak
        return peak

    def keep(self, peak: Decimal | None) -> None:
        """Write a peak that is new; a disk that refuses is logged, the peak stays in memory."""
        if peak is None or peak == self._kept:
            return
        self._kept = peak
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(f"{plain(peak)}\n", encoding="utf-8")
            os.replace(draft, self._path)
        except OSError as error:
            _log.warning("peak equity: %s cannot be written: %s", self._path, error)
