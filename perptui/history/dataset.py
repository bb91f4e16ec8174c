"""Market history in Parquet: one file a series, read whole and kept in memory.

The layout is ``<venue folder>/<VENUE_SYMBOL>-<kind>.parquet``. Whoever reads states the time
`end_ms` that it stands at, and gets only what was finished by then: bars that closed, funding that
settled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from perptui.history.clean import Cleaned, FloatArray, IntArray, Table, clean, merge, summary
from perptui.history.parquet import read_columns, write_columns
from perptui.history.report import CleaningReport, report_of
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import HistoryError
from perptui.model.instrument import HISTORY_FOLDERS, VENUE_ALIASES
from perptui.model.jobs import BarSeries, FundingSeries

OHLCV = ("open", "high", "low", "close", "volume")
FAR_FUTURE_MS = 2**62
ENOUGH_DAYS = 180
"""Of hourly bars: the regime's level wants as many."""
LAST_STAMP_MS = 253_402_300_799_999
"""The end of the year 9999, the last that can be written."""
NONE = np.empty((0, 2), np.int64)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Kind(NamedTuple):
    """Columns of a series and the width of its bars (0: stamped when known)."""

    columns: tuple[str, ...]
    width_ms: int


KINDS = {
    "1h": Kind(OHLCV, HOUR_MS),
    "8h": Kind(OHLCV, 8 * HOUR_MS),
    "mark-1h": Kind(("mark_price",), HOUR_MS),
    "funding": Kind(("funding_rate", "interval_hours"), 0),
    "depth1pct-8h": Kind(("bid_depth", "ask_depth"), 0),
}
"""Series by the ending of their file's name; depth is a mean over the minutes before its stamp."""

OTHER_KINDS = ("spot-1h", "oi-1h")
"""Series that may lie beside ours and are not read: spot bars and open interest."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Closed bars, rising in time; each array is (T,).

    `ts_ms` is the opening; prices in the quote coin, `volume` in the base coin. Mark history holds
    closes only: its other columns are NaN.
    """

    ts_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    width_ms: int

    @property
    def close_ms(self) -> IntArray:
        """When each bar closed, and its close became known."""
        stamps: IntArray = self.ts_ms + self.width_ms
        return stamps


@dataclass(frozen=True, slots=True)
class Settlements:
    """Settled funding, rising in time; each array is (T,).

    `rate` is a fraction of notional for the `interval_h` hours before `ts_ms` (f > 0: long pays).
    """

    ts_ms: IntArray
    rate: FloatArray
    interval_h: FloatArray


@dataclass(frozen=True, slots=True)
class Depth:
    """Mean depth within 1 % of the mid, base coin, rising in time; each array is (T,)."""

    ts_ms: IntArray
    bid: FloatArray
    ask: FloatArray


class History:
    """All series under one directory.

    Parameters
    ----------
    root : Path
        The directory; made when the first series is appended.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._series: dict[Path, Cleaned] = {}
        self._files: dict[tuple[str, str, str], Path] = {}
        self._appended_ms: list[int] = []

    @property
    def version(self) -> int:
        """Rises with every append that kept something: what was read before may be old."""
        return len(self._appended_ms)

    def version_by(self, end_ms: int) -> int:
        """Return what rises only with an append of something that was known by `end_ms`."""
        return sum(1 for known_ms in self._appended_ms if known_ms <= end_ms)

    def has(self, venue: str, symbol: str, kind: str) -> bool:
        """Return whether there is such a series."""
        file = self._file(venue, symbol, kind)
        return file in self._series or file.is_file()

    def bars(self, venue: str, symbol: str, kind: str, end_ms: int) -> Bars:
        """Return the bars of one contract that closed by `end_ms`; `kind` 1h, 8h or mark-1h.

        Raises
        ------
        HistoryError
            When there is no such series, or its file cannot be read.
        """
        width = KINDS[kind].width_ms
        ts_ms, table = self._until(venue, symbol, kind, end_ms - width)
        if kind == "mark-1h":
            unknown = np.full(len(ts_ms), np.nan)
            return Bars(ts_ms, unknown, unknown, unknown, table["mark_price"], unknown, width)
        opened, high, low, close, volume = (table[name] for name in OHLCV)
        return Bars(ts_ms, opened, high, low, close, volume, width)

    def traded(self, venue: str, symbol: str, end_ms: int) -> Bars:
        """Return the bars that closed by `end_ms`: hourly, or 8-hour ones where these know more.

        Hourly bars stand for a contract once they reach as far as the 8-hour ones, and back as
        far, or `ENOUGH_DAYS`: the first hours of a feed do not throw years of a contract away.

        Raises
        ------
        HistoryError
            When there is neither series, or its file cannot be read.
        """
        if not self.has(venue, symbol, "8h"):
            return self.bars(venue, symbol, "1h", end_ms)
        wide = self.bars(venue, symbol, "8h", end_ms)
        if not self.has(venue, symbol, "1h"):
            return wide
        hourly = self.bars(venue, symbol, "1h", end_ms)
        if not len(wide.ts_ms) or not len(hourly.ts_ms):
            return hourly if len(hourly.ts_ms) else wide
        last_ms = int(hourly.ts_ms[-1]) + hourly.width_ms
        enough_ms = max(int(wide.ts_ms[0]), last_ms - ENOUGH_DAYS * DAY_MS)
        reaches = last_ms >= int(wide.ts_ms[-1]) + wide.width_ms
        return hourly if reaches and int(hourly.ts_ms[0]) <= enough_ms else wide

    def funding(self, venue: str, symbol: str, end_ms: int) -> Settlements:
        """Return the funding of one contract that settled by `end_ms`.

        Raises
        ------
        HistoryError
            When there is no such series, or its file cannot be read.
        """
        ts_ms, table = self._until(venue, symbol, "funding", end_ms)
        return Settlements(ts_ms, table["funding_rate"], table["interval_hours"])

    def depth(self, venue: str, symbol: str, end_ms: int) -> Depth:
        """Return the depth of one contract's book up to `end_ms`.

        Raises
        ------
        HistoryError
            When there is no such series, or its file cannot be read.
        """
        ts_ms, table = self._until(venue, symbol, "depth1pct-8h", end_ms)
        return Depth(ts_ms, table["bid_depth"], table["ask_depth"])

    def symbols(self, venue: str, *, every: bool = False) -> tuple[str, ...]:
        """Return the venue symbols that have traded bars, sorted; `every`: any series of ours."""
        found = {
            s
            for folder, s, kind in self._names()
            if (every or kind in {"1h", "8h"}) and folder == _folder(venue)
        }
        return tuple(sorted(found))

    def venues(self) -> tuple[str, ...]:
        """Return the ccxt ids of the venues that have traded bars, sorted."""
        by_folder = {folder: venue for venue, folder in HISTORY_FOLDERS.items()}
        found = {folder for folder, _, kind in self._names() if kind in {"1h", "8h"}}
        return tuple(sorted(by_folder.get(folder, folder) for folder in found))

    def reach(self) -> dict[str, int]:
        """Return the last stamp of each series, by ``venue/VENUE_SYMBOL-kind``."""
        by_folder = {folder: venue for venue, folder in HISTORY_FOLDERS.items()}
        last: dict[str, int] = {}
        for folder, symbol, kind in sorted(self._names()):
            venue = by_folder.get(folder, folder)
            stamps = self._load(venue, symbol, kind).ts_ms
            if len(stamps):
                last[f"{venue}/{symbol}-{kind}"] = int(stamps[-1])
        return last

    def notes(self, venue: str, symbol: str, kind: str, end_ms: int) -> tuple[str, ...]:
        """Return what cleaning left out of one series, of what was known by `end_ms`, in words.

        A bar is known when it closed, a bad one too.
        """
        series = self._load(venue, symbol, kind)
        return summary(f"{venue}/{symbol}-{kind}", series, end_ms - KINDS[kind].width_ms)

    def report(self, venue: str, symbol: str, kind: str, end_ms: int) -> CleaningReport:
        """Return what is odd in one series and what was done about it, as known by `end_ms`.

        Raises
        ------
        HistoryError
            When there is no such series, or its file cannot be read.
        """
        self._until(venue, symbol, kind, end_ms)
        series = self._load(venue, symbol, kind)
        name = f"{VENUE_ALIASES.get(venue, venue)}/{symbol}-{kind}"
        return report_of(name, kind, KINDS[kind].width_ms, series, end_ms)

    def reports(self, venue: str, symbol: str, end_ms: int) -> tuple[CleaningReport, ...]:
        """Return the reports of all series there are of one contract, by kind."""
        kinds = (kind for kind in sorted(KINDS) if self.has(venue, symbol, kind))
        return tuple(self.report(venue, symbol, kind, end_ms) for kind in kinds)

    def all_notes(self) -> tuple[str, ...]:
        """Return what cleaning left out of the series read so far, in words."""
        lines: list[str] = []
        for file, series in sorted(self._series.items()):
            lines += summary(f"{file.parent.name}/{file.stem}", series, FAR_FUTURE_MS)
        return tuple(lines)

    def append(self, series: BarSeries | FundingSeries) -> tuple[str, ...]:
        """Keep the observations that are new, write the file anew, and say what was left out.

        Raises
        ------
        HistoryError
            When the kind is unknown or the file cannot be written.
        """
        kind, columns, stamps = _columns_of(series)
        file = self._file(series.venue, series.venue_symbol, kind)
        name = f"{file.parent.name}/{file.stem}"
        incoming = clean(stamps, columns, KINDS[kind].width_ms)
        notes = summary(name, incoming, FAR_FUTURE_MS)
        kept = self._load(series.venue, series.venue_symbol, kind)
        fresh = ~np.isin(incoming.ts_ms, kept.ts_ms)
        if not fresh.any():
            return notes
        merged = merge(kept, incoming, fresh)
        self._write(file, kind, merged)
        self._series[file] = merged
        self._appended_ms.append(int(incoming.ts_ms[fresh].min()) + KINDS[kind].width_ms)
        return notes

    def _until(self, venue: str, symbol: str, kind: str, last_ms: int) -> tuple[IntArray, Table]:
        if not self.has(venue, symbol, kind):
            file = self._file(venue, symbol, kind)
            raise HistoryError(
                f"expected {file.name} in {file.parent}, was no such file; "
                "fetch or copy that history"
            )
        series = self._load(venue, symbol, kind)
        count = int(np.searchsorted(series.ts_ms, last_ms, side="right"))
        return series.ts_ms[:count], {n: column[:count] for n, column in series.table.items()}

    def _load(self, venue: str, symbol: str, kind: str) -> Cleaned:
        file = self._file(venue, symbol, kind)
        if file not in self._series:
            self._series[file] = _read(file, kind)
        return self._series[file]

    def _file(self, venue: str, symbol: str, kind: str) -> Path:
        named = (venue, symbol, kind)
        if named not in self._files:
            self._files[named] = self._path(*named)
        return self._files[named]

    def _path(self, venue: str, symbol: str, kind: str) -> Path:
        if kind not in KINDS:
            raise HistoryError(f"expected a kind of {', '.join(KINDS)}, was {kind!r}; name one")
        for name in (venue, symbol):
            if not _NAME.fullmatch(name):
                raise HistoryError(f"expected a plain name, was {name!r}; mend the instrument")
        return self._root / _folder(venue) / f"{symbol}-{kind}.parquet"

    def _names(self) -> set[tuple[str, str, str]]:
        files = set(self._series) | set(self._root.glob("*/*-*.parquet"))
        visible = [file for file in files if not file.name.startswith(".")]
        return {named for file in visible if (named := _series_of(file))}

    def _write(self, file: Path, kind: str, series: Cleaned) -> None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_columns(file, {"ts": series.ts_ms, **_stored(kind, series.table)})
        except (OSError, pa.ArrowException) as error:
            raise HistoryError(f"expected to write {file}: {error}; free the disk") from None


def _folder(venue: str) -> str:
    ccxt_id = VENUE_ALIASES.get(venue, venue)
    return HISTORY_FOLDERS.get(ccxt_id, ccxt_id)


def _series_of(file: Path) -> tuple[str, str, str] | None:
    # A venue's symbol may hold dashes itself, and `mark-1h` ends in `1h`: try the longest first.
    for kind in sorted((*KINDS, *OTHER_KINDS), key=len, reverse=True):
        symbol = file.stem.removesuffix(f"-{kind}")
        if symbol != file.stem and symbol.lower() != symbol:
            return (file.parent.name, symbol, kind) if kind in KINDS else None
    return None


def _read(file: Path, kind: str) -> Cleaned:
    columns, width = KINDS[kind]
    if not file.is_file():
        return Cleaned(np.empty(0, np.int64), {name: np.empty(0) for name in columns}, (), NONE)
    read = read_columns(file, ("ts", *columns))
    ts_ms = _stamps(file, read["ts"])
    found = {name: read[name].astype(np.float64) for name in columns}
    return clean(ts_ms, found, width)


def _stored(kind: str, table: Table) -> dict[str, Any]:
    names = KINDS[kind].columns
    return {
        name: table[name].astype(np.int16) if name == "interval_hours" else table[name]
        for name in names
    }


def _stamps(file: Path, found: FloatArray | IntArray) -> IntArray:
    # A hole reads as NaN, which the comparison refuses as well.
    wrong = np.count_nonzero(~((found >= 0) & (found <= LAST_STAMP_MS)))
    if wrong:
        raise HistoryError(
            f"expected a stamp from 1970 to 9999 in every row of {file}, was none in {wrong}; "
            "replace the file"
        )
    return found.astype(np.int64)


def _columns_of(series: BarSeries | FundingSeries) -> tuple[str, Table, IntArray]:
    rows: list[tuple[float, ...]]
    if isinstance(series, FundingSeries):
        rows = [(s.ts_ms, s.rate, s.interval_h) for s in series.settlements]
        kind, names = "funding", KINDS["funding"].columns
    else:
        kind = series.kind
        if kind == "mark-1h":
            rows, names = [(bar.ts_ms, bar.close) for bar in series.bars], ("mark_price",)
        elif kind in {"1h", "8h"}:
            rows = [(b.ts_ms, b.open, b.high, b.low, b.close, b.volume) for b in series.bars]
            names = OHLCV
        else:
            raise HistoryError(f"expected bars of 1h, 8h or mark-1h, was {kind!r}; name one")
    values = np.array([row[1:] for row in rows], dtype=np.float64).reshape(len(rows), len(names))
    columns = {name: values[:, i].copy() for i, name in enumerate(names)}
    return kind, columns, np.array([row[0] for row in rows], dtype=np.int64)
