"""What was found in a series and done about it, as a record and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perptui.history.clean import (
    Cleaned,
    FloatArray,
    IntArray,
    LeftOut,
    left_out,
    out_of_order,
)
from perptui.history.prints import bad_prints, excursions
from perptui.history.suspicion import STAMP_TOLERANCE_H, Run, idle, runs_of, scales, spacing, stuck
from perptui.model.clock import HOUR_MS, iso

DEPTH_EVERY_H = 8.0
MOST_LISTED = 3


@dataclass(frozen=True, slots=True)
class Gap:
    """A time that no row speaks for; nothing is filled in."""

    from_ms: int
    to_ms: int
    hours: float


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A stretch that looks wrong, kept as it is: `what` is stuck, idle, scale or interval."""

    what: str
    first_ms: int
    last_ms: int
    rows: int
    text: str


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """One series as known at a time: what came, what was left out, what is missing or odd.

    Attributes
    ----------
    series, kind : str
        ``venue/VENUE_SYMBOL-kind`` and the kind alone.
    rows, kept : int
        As found, and those that can be used.
    first_ms, last_ms : int, optional
        Stamps of the first and last kept row; None without any.
    left_out : tuple of LeftOut
        Rows refused, by reason.
    out_of_order : int
        Rows that came behind a later one; they were sorted.
    gaps : tuple of Gap
        Times without a row, the one up to the time asked included. Nothing is filled.
    bad_prints : tuple of int
        Stamps of closes that left and came back at once; estimators leave them out.
    suspicions : tuple of Suspicion
        What looks wrong and is kept.
    """

    series: str
    kind: str
    rows: int
    kept: int
    first_ms: int | None
    last_ms: int | None
    left_out: tuple[LeftOut, ...]
    out_of_order: int
    gaps: tuple[Gap, ...]
    bad_prints: tuple[int, ...]
    suspicions: tuple[Suspicion, ...]

    @property
    def missing_hours(self) -> float:
        """Hours in all gaps together."""
        return sum(gap.hours for gap in self.gaps)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was left out, sorted, missing or suspected."""
        return not self.lines()

    def lines(self) -> tuple[str, ...]:
        """Return the findings in words, one line each; the longest gaps by name."""
        found = [
            f"{one.rows} row(s) left out for {one.reason}, first {iso(one.first_ms)}"
            for one in self.left_out
        ]
        if self.out_of_order:
            found.append(f"{self.out_of_order} row(s) came out of order and were sorted")
        if self.gaps:
            found.append(f"{self.missing_hours:g} h missing in {_listed_gaps(self.gaps)}")
        if self.bad_prints:
            first = iso(self.bad_prints[0])
            found.append(f"{len(self.bad_prints)} bad print(s) left out of prices, first {first}")
        found.extend(one.text for one in self.suspicions)
        return tuple(f"{self.series}: {text}" for text in found)


def _listed_gaps(gaps: Sequence[Gap]) -> str:
    longest = sorted(gaps, key=lambda gap: (-gap.hours, gap.from_ms))[:MOST_LISTED]
    named = ", ".join(f"{iso(gap.from_ms)} to {iso(gap.to_ms)}" for gap in longest)
    more = f" and {len(gaps) - len(longest)} shorter" if len(gaps) > len(longest) else ""
    return f"{len(gaps)} gap(s): {named}{more}"


def report_of(
    series: str, kind: str, width_ms: int, cleaned: Cleaned, end_ms: int
) -> CleaningReport:
    """Return the report of one series as known at `end_ms`: bars closed, funding settled by then.

    A series whose file is cut at `end_ms` has the same report: nothing younger is looked at.
    """
    last_ms = end_ms - width_ms
    count = int(np.searchsorted(cleaned.ts_ms, last_ms, side="right"))
    ts_ms = cleaned.ts_ms[:count]
    table = {name: column[:count] for name, column in cleaned.table.items()}
    refused = left_out(cleaned.dropped, last_ms)
    prices = table.get("close", table.get("mark_price"))
    bad = np.zeros(count, dtype=bool) if prices is None else bad_prints(prices)
    suspicions: list[Suspicion] = []
    if prices is not None:
        suspicions += _price_suspicions(ts_ms[~bad], prices[~bad], width_ms)
    if "volume" in table:
        suspicions += [_idle(ts_ms, run, width_ms) for run in idle(table["volume"])]
    if "interval_hours" in table:
        suspicions += _interval_suspicions(ts_ms, table["interval_hours"])
        gaps = _settlement_gaps(ts_ms, table["interval_hours"], end_ms)
    elif width_ms:
        gaps = _bar_gaps(ts_ms, width_ms, end_ms)
    else:
        gaps = _settlement_gaps(ts_ms, np.full(count, DEPTH_EVERY_H), end_ms)
    return CleaningReport(
        series=series,
        kind=kind,
        rows=count + sum(one.rows for one in refused),
        kept=count,
        first_ms=int(ts_ms[0]) if count else None,
        last_ms=int(ts_ms[-1]) if count else None,
        left_out=refused,
        out_of_order=out_of_order(cleaned.disordered, last_ms),
        gaps=gaps,
        bad_prints=tuple(ts_ms[bad].tolist()),
        suspicions=tuple(sorted(suspicions, key=lambda one: (one.first_ms, one.what))),
    )


def _bar_gaps(ts_ms: IntArray, width_ms: int, end_ms: int) -> tuple[Gap, ...]:
    if not len(ts_ms):
        return ()
    opened = np.append(ts_ms, end_ms // width_ms * width_ms)
    closed = ts_ms + width_ms
    holes = np.flatnonzero(opened[1:] > closed)
    return tuple(_gap(int(closed[k]), int(opened[k + 1])) for k in holes)


def _settlement_gaps(ts_ms: IntArray, interval_h: FloatArray, end_ms: int) -> tuple[Gap, ...]:
    """Return the times of settlements lost; a stretch of odd intervals is no gap."""
    if not len(ts_ms):
        return ()
    width = np.rint(interval_h * HOUR_MS).astype(np.int64)
    lost = np.flatnonzero(spacing(ts_ms, interval_h).lost)
    gaps = [_gap(int(ts_ms[k]), int(ts_ms[k + 1] - width[k + 1])) for k in lost]
    late = round(STAMP_TOLERANCE_H * HOUR_MS)
    overdue = (end_ms - late - int(ts_ms[-1])) // int(width[-1])
    if overdue > 0:
        gaps.append(_gap(int(ts_ms[-1]), int(ts_ms[-1] + overdue * width[-1])))
    return tuple(gaps)


def _gap(from_ms: int, to_ms: int) -> Gap:
    return Gap(from_ms, to_ms, (to_ms - from_ms) / HOUR_MS)


def _price_suspicions(ts_ms: IntArray, price: FloatArray, width_ms: int) -> list[Suspicion]:
    found = [
        _stretch("stuck", ts_ms, run, f"close unchanged for {run.rows} bars", width_ms)
        for run in stuck(price)
    ]
    level = scales(price)
    for power in sorted(set(level.tolist()) - {0}):
        way = "higher" if power > 0 else "lower"
        text = f"prices 1e{abs(power)} times {way} than before"
        found.extend(
            _stretch("scale", ts_ms, run, text, width_ms) for run in runs_of(level == power, 1)
        )
    for away in excursions(price / 10.0**level, width_ms) if width_ms else ():
        text = f"prices x{away.factor:.3g} for {away.rows * width_ms // HOUR_MS} h"
        found.append(_stretch("scale", ts_ms, Run(away.first, away.last), text, width_ms))
    return found


def _idle(ts_ms: IntArray, run: Run, width_ms: int) -> Suspicion:
    return _stretch("idle", ts_ms, run, f"no volume in {run.rows} bars", width_ms)


def _stretch(what: str, ts_ms: IntArray, run: Run, text: str, width_ms: int) -> Suspicion:
    first, last = int(ts_ms[run.first]), int(ts_ms[run.last])
    words = f"{text}, {iso(first)} to {iso(last + width_ms)}"
    return Suspicion(what, first, last, run.rows, words)


def _interval_suspicions(ts_ms: IntArray, interval_h: FloatArray) -> list[Suspicion]:
    found = []
    spaced = spacing(ts_ms, interval_h)
    said = np.rint(spaced.hours * 10.0) * 1000.0 + interval_h[1:]
    for key in np.unique(said[spaced.odd]).tolist():
        for run in runs_of(spaced.odd & (said == key), 1):
            stated, apart = interval_h[run.first + 1], spaced.hours[run.first]
            text = f"interval says {stated:g} h, stamps are {apart:.3g} h apart"
            rows = Run(run.first + 1, run.last + 1)
            words = f"{text}, {rows.rows} time(s)"
            found.append(_stretch("interval", ts_ms, rows, words, 0))
    return found
