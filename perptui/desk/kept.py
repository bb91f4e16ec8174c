"""The highest equity and the day's openings, kept over restarts.

A drawdown or a day's loss does not end because a process did.
"""

from __future__ import annotations

import logging
import os
from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.desk.daybook import Daybook
from perptui.model.account import Account
from perptui.model.clock import DAY_MS
from perptui.model.record import Record

_log = logging.getLogger(__name__)


class KeptDay(Record, frozen=True):
    """What a day's profit of one account counts from: `day` is UTC days since the epoch.

    Attributes
    ----------
    since_ms : int
        Venue time of the reading that the day counts from.
    opening_usd : Decimal
        Equity then.
    """

    day: int
    since_ms: int
    opening_usd: Decimal

    @classmethod
    def of(cls, book: Daybook) -> KeptDay:
        """Return what there is to keep of `book`."""
        return cls(book.latest.ts_ms // DAY_MS, book.since_ms, book.opening_usd)

    def reopened(self, account: Account) -> Daybook | None:
        """Return the book of this day, gone on with at `account`; None on another day."""
        if account.ts_ms // DAY_MS != self.day or self.since_ms > account.ts_ms:
            return None
        return Daybook(self.since_ms, self.opening_usd, account)


class Kept(Record, frozen=True):
    """What outlives a desk's process.

    Attributes
    ----------
    peak_usd : Decimal | None
        Highest equity seen; above zero.
    days : dict[str, KeptDay]
        Newest day by venue.
    """

    peak_usd: Decimal | None = None
    days: dict[str, KeptDay] = {}  # noqa: RUF012  msgspec copies an empty default

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.peak_usd is not None and self.peak_usd <= 0:
            raise ValueError(f"expected a peak above zero, was {self.peak_usd}; count from now")


class KeptFile:
    """`Kept` in a file that is replaced at once or not at all.

    Parameters
    ----------
    path : Path
        In the desk's state directory.

    Attributes
    ----------
    fault : str
        Why what earlier runs kept is not counted, in words; "" when it is, or nothing was there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: Kept | None = None
        self.fault = ""

    def read(self) -> Kept:
        """Return what earlier runs kept; nothing where there is nothing that can be read."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, msgspec.DecodeError) as error:
            self.fault = "peak equity and today's profit count from now: their file is damaged"
            _log.warning("%s: %s: %s", self.fault, self._path, error)
            return Kept()
        self._written = kept
        return kept

    def keep(self, kept: Kept | None) -> None:
        """Write what is new; a disk that refuses is logged, all of it stays in memory."""
        if kept is None or kept == self._written:
            return
        self._written = kept
        draft = self._path.with_suffix(".new")
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(kept))
            os.replace(draft, self._path)
        except OSError as error:
            _log.warning("peak equity: %s cannot be written: %s", self._path, error)
