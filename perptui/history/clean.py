"""What is wrong in a series, row by row, said in words; nothing is filled.

Each rule looks at one row, or at rows of one stamp, so that a series cut at a time is cleaned as
the whole one is: cleaning never looks ahead.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perptui.model.clock import HOUR_MS, MINUTE_MS, iso

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Table = dict[str, FloatArray]
"""Columns of a series by name, without its stamps."""

RATE_MAX = 0.1
"""Largest funding rate of one settlement, either way: venues cap theirs at a few percent."""


class Dropped(NamedTuple):
    """A row that was left out, and why."""

    ts_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many rows were left out for one reason, and their first and last stamp."""

    reason: str
    rows: int
    first_ms: int
    last_ms: int


class Cleaned(NamedTuple):
    """Rising, unique, finite rows and what was left out of them.

    `disordered` (K, 2) has a row for each one that came behind a later stamp: its own stamp and
    the earliest such later stamp, from which on the disorder can be known.
    """

    ts_ms: IntArray
    table: Table
    dropped: tuple[Dropped, ...]
    disordered: IntArray


def clean(ts_ms: IntArray, table: Mapping[str, FloatArray], width_ms: int) -> Cleaned:
    """Return the rows that can be used, rising in time.

    Parameters
    ----------
    ts_ms : (T,) array
        Stamps as found; a bar's is its opening, UTC ms. Venues stamp settlements some
        milliseconds off: the nearest whole minute is taken for them.
    table : mapping of str to (T,) array
        Columns as found.
    width_ms : int
        Width of a bar, which its stamp is a multiple of; 0 for series that are stamped at will.
    """
    if "funding_rate" in table:
        ts_ms = (ts_ms + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS
    reasons: list[tuple[str, BoolArray]] = [("a value that is not a number", _not_finite(table))]
    if width_ms:
        reasons.append(("a stamp between two bars", ts_ms % width_ms != 0))
    reasons.extend(_impossible(table))
    bad = np.zeros(len(ts_ms), dtype=bool)
    dropped: list[Dropped] = []
    for reason, rows in reasons:
        dropped += [Dropped(int(stamp), reason) for stamp in ts_ms[rows & ~bad]]
        bad |= rows
    good = np.flatnonzero(~bad)
    order = good[np.argsort(ts_ms[good], kind="stable")]
    stamps, sorted_table = ts_ms[order], {n: column[order] for n, column in table.items()}
    again, torn = _repeated(stamps, sorted_table)
    dropped += [Dropped(int(stamp), "a stamp that is there already") for stamp in stamps[again]]
    dropped += [
        Dropped(int(stamp), "a stamp of rows that differ, none of which is kept")
        for stamp in stamps[torn]
    ]
    keep = ~(again | torn)
    kept = {n: column[keep] for n, column in sorted_table.items()}
    return Cleaned(stamps[keep], kept, tuple(dropped), disorder(ts_ms))


def disorder(ts_ms: IntArray) -> IntArray:
    """Return the stamps that came behind later ones, (K, 2), as in `Cleaned`."""
    found: list[tuple[int, int]] = []
    if len(ts_ms) and bool((ts_ms[1:] < ts_ms[:-1]).any()):
        before: list[int] = []
        for stamp in ts_ms.tolist():
            place = bisect_right(before, stamp)
            if place < len(before):
                found.append((stamp, before[place]))
            insort(before, stamp)
    return np.array(found, dtype=np.int64).reshape(len(found), 2)


def merge(kept: Cleaned, incoming: Cleaned, fresh: BoolArray) -> Cleaned:
    """Return `kept` with the rows of `incoming` where `fresh` holds, rising in time."""
    ts_ms = np.concatenate([kept.ts_ms, incoming.ts_ms[fresh]])
    order = np.argsort(ts_ms, kind="stable")
    table = {
        name: np.concatenate([column, incoming.table[name][fresh]])[order]
        for name, column in kept.table.items()
    }
    late = np.concatenate([kept.disordered, incoming.disordered])
    return Cleaned(ts_ms[order], table, kept.dropped + incoming.dropped, late)


def _repeated(stamps: IntArray, table: Mapping[str, FloatArray]) -> tuple[BoolArray, BoolArray]:
    """Return which sorted rows say again what is there, and which contradict one another.

    Rows of one stamp that differ are all left out: which of them came first says nothing about
    which is right.
    """
    again = np.zeros(len(stamps), dtype=bool)
    again[1:] = np.diff(stamps) == 0
    differs = again.copy()
    differs[1:] &= np.logical_or.reduce([np.diff(column) != 0 for column in table.values()])
    torn: BoolArray = np.isin(stamps, stamps[differs])
    return again & ~torn, torn


def _not_finite(table: Mapping[str, FloatArray]) -> BoolArray:
    wrong: BoolArray = np.logical_or.reduce([~np.isfinite(column) for column in table.values()])
    return wrong


def _impossible(table: Mapping[str, FloatArray]) -> list[tuple[str, BoolArray]]:
    prices = [table[n] for n in ("open", "high", "low", "close", "mark_price") if n in table]
    found: list[tuple[str, BoolArray]] = []
    if prices:
        worthless = np.logical_or.reduce([price <= 0 for price in prices])
        found.append(("a price that is not positive", worthless))
    if "high" in table:
        low, high = table["low"], table["high"]
        ends = [table["open"], table["close"]]
        outside = np.logical_or.reduce([(end > high) | (end < low) for end in ends])
        found.append(("open or close outside of low and high", outside))
    found.extend(
        (f"a {name.replace('_', ' ')} below zero", table[name] < 0)
        for name in ("volume", "bid_depth", "ask_depth")
        if name in table
    )
    if "interval_hours" in table:
        hours = table["interval_hours"]
        found.append(("an interval that is no whole hour", (hours < 1) | (hours % 1 != 0)))
    if "funding_rate" in table:
        absurd = np.abs(table["funding_rate"]) > RATE_MAX
        found.append((f"a funding rate beyond {RATE_MAX:.0%} a settlement", absurd))
    return found


def summary(series: str, cleaned: Cleaned, end_ms: int) -> tuple[str, ...]:
    """Return one line for each thing done to the rows of `series` stamped up to `end_ms`."""
    lines = [
        f"{series}: {one.rows} row(s) left out for {one.reason}, first {iso(one.first_ms)}"
        for one in left_out(cleaned.dropped, end_ms)
    ]
    late = out_of_order(cleaned.disordered, end_ms)
    if late:
        lines.append(f"{series}: {late} row(s) came out of order and were sorted")
    return tuple(lines)


def left_out(dropped: tuple[Dropped, ...], end_ms: int) -> tuple[LeftOut, ...]:
    """Return what was left out of the rows stamped up to `end_ms`, by reason."""
    by_reason: dict[str, list[int]] = {}
    for row in dropped:
        if row.ts_ms <= end_ms:
            by_reason.setdefault(row.reason, []).append(row.ts_ms)
    return tuple(
        LeftOut(reason, len(stamps), min(stamps), max(stamps))
        for reason, stamps in sorted(by_reason.items())
    )


def out_of_order(disordered: IntArray, end_ms: int) -> int:
    """Return how many rows stamped up to `end_ms` came behind a later one up to `end_ms`."""
    return int(np.count_nonzero(disordered[:, 1] <= end_ms)) if len(disordered) else 0


def missing_hours(ts_ms: IntArray, width_ms: int, since_ms: int, end_ms: int) -> int:
    """Return how many hours of closed bars between `since_ms` and `end_ms` are not there."""
    first = max(since_ms, int(ts_ms[0])) if len(ts_ms) else since_ms
    expected = (end_ms - first) // width_ms
    have = int(np.diff(np.searchsorted(ts_ms, [first, end_ms - width_ms + 1]))[0])
    return max(0, expected - have) * width_ms // HOUR_MS
