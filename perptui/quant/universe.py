"""The universe of a history: its most liquid contracts at a time, and why each is in or out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.universe import (
    REFUSALS,
    WEEK_MS,
    DailyLiquidity,
    Membership,
    UniverseRules,
    Weekly,
    decide,
    mondays,
    weekly,
)
from perptui.history.dataset import Bars, History
from perptui.model.clock import DAY_MS, HOUR_MS, iso
from perptui.model.errors import InputError
from perptui.model.instrument import VENUE_ALIASES, instrument_id
from perptui.risk.contract_rules import QUOTE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FUNDED_MS = DAY_MS + DAY_MS // 2
"""Funding that settled longer ago than this says that a contract is traded no more."""


@dataclass(frozen=True, slots=True)
class UniverseRow:
    """One contract on the last Monday.

    `rank` is None where it was refused, `depth_usd` where no depth is known; `since_ms` is the
    Monday from which it is a member without a break, None for others.
    """

    id: str
    rank: int | None
    volume_usd_day: float
    depth_usd: float | None
    age_days: float
    member: bool
    since_ms: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Universe:
    """What was decided on the last Monday up to the time asked, ranked rows first.

    `decided_ms` is that Monday, `next_ms` the one after it.
    """

    decided_ms: int
    next_ms: int
    rules: UniverseRules
    rows: tuple[UniverseRow, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """The members' ids, sorted."""
        return tuple(sorted(row.id for row in self.rows if row.member))


def select_universe(
    history: History, venues: Sequence[str], at_ms: int, rules: UniverseRules | None = None
) -> Universe:
    """Return the universe of the venues' contracts against USDT as known at `at_ms`.

    It was decided on the last Monday, 00:00 UTC, from days that had ended by then, and follows
    from every Monday before it: history cut at `at_ms` gives the same universe.

    Raises
    ------
    InputError
        When no contract has a whole week of bars by then, or the rules make no sense.
    HistoryError
        When a file cannot be read.
    """
    rules = rules or UniverseRules()
    if rules.size < 1 or rules.buffer < 1.0:
        raise InputError(
            f"expected a size of at least 1 and a buffer of at least 1, was {rules.size} and "
            f"{rules.buffer:g}; mend the rules of the universe"
        )
    last_ms = int(mondays(at_ms - WEEK_MS, at_ms)[-1])
    series = _series(history, venues, last_ms)
    first_ms = min((one.first_ms for one in series), default=last_ms)
    decided = mondays(first_ms, at_ms)
    if not len(decided):
        raise InputError(
            f"expected bars of {', '.join(venues) or 'a venue'} before Monday {iso(last_ms)}, "
            "found none; choose another --at, --venues or --data"
        )
    known = weekly(_daily(series, first_ms, last_ms), decided, rules)
    rows = _rows(series, known, decide(known, rules), rules)
    return Universe(last_ms, last_ms + WEEK_MS, rules, rows)


def chosen(
    history: History, venues: Sequence[str], at_ms: int, size: int | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return the members of a universe of `size`, and what to say of it; None: every contract.

    Raises
    ------
    InputError
        When there is none by then.
    HistoryError
        When a file cannot be read.
    """
    if size is None:
        return None, ()
    found = select_universe(history, venues, at_ms, UniverseRules(size=size))
    if not found.members:
        raise InputError(
            f"expected contracts liquid enough for a universe by {iso(found.decided_ms)}, found "
            "none; see `perptui universe` for the reasons"
        )
    said = (
        f"universe of {size}: {len(found.members)} of {len(found.rows)} contracts, decided "
        f"{iso(found.decided_ms)}; what is held besides stays in view"
    )
    return found.members, (said,)


@dataclass(frozen=True, slots=True)
class _Contract:
    """Bars of one contract by width, narrow ones first, and what else tells its liquidity."""

    id: str
    bars: tuple[Bars, ...]
    depth_ms: IntArray
    depth: FloatArray
    funding_ms: IntArray

    @property
    def first_ms(self) -> int:
        return min(int(bars.ts_ms[0]) for bars in self.bars)


def _series(history: History, venues: Sequence[str], last_ms: int) -> list[_Contract]:
    found = []
    for venue in sorted({VENUE_ALIASES.get(name, name) for name in venues}):
        for symbol in history.symbols(venue):
            if symbol.endswith(QUOTE) and symbol != QUOTE:
                one = _contract(history, venue, symbol, last_ms)
                if one is not None:
                    found.append(one)
    return sorted(found, key=lambda one: one.id)


def _contract(history: History, venue: str, symbol: str, last_ms: int) -> _Contract | None:
    kinds = [kind for kind in ("1h", "8h") if history.has(venue, symbol, kind)]
    read = [history.bars(venue, symbol, kind, last_ms) for kind in kinds]
    bars = tuple(one for one in read if len(one.ts_ms))
    if not bars:
        return None
    depth_ms, depth = np.empty(0, np.int64), np.empty(0)
    if history.has(venue, symbol, "depth1pct-8h"):
        book = history.depth(venue, symbol, last_ms)
        depth_ms, depth = book.ts_ms, (book.bid + book.ask) / 2.0
    funded = history.has(venue, symbol, "funding")
    settled = history.funding(venue, symbol, last_ms).ts_ms if funded else np.empty(0, np.int64)
    identifier = instrument_id(venue, f"{symbol.removesuffix(QUOTE)}/{QUOTE}:{QUOTE}")
    return _Contract(identifier, bars, depth_ms, depth, settled)


def _daily(series: Sequence[_Contract], first_ms: int, last_ms: int) -> DailyLiquidity:
    begin = first_ms // DAY_MS * DAY_MS
    days = (last_ms - begin) // DAY_MS
    end_ms = begin + DAY_MS * np.arange(1, days + 1, dtype=np.int64)
    shape = (days, len(series))
    volume, hours, depth = np.zeros(shape), np.zeros(shape), np.full(shape, np.nan)
    funded = np.zeros(shape, dtype=bool)
    for k, one in enumerate(series):
        volume[:, k], hours[:, k] = _traded(one.bars, begin, days)
        depth[:, k] = _depth(one, begin, days)
        funded[:, k] = _funded(one.funding_ms, end_ms)
    first = np.array([one.first_ms for one in series], dtype=np.int64)
    return DailyLiquidity(end_ms, volume, hours, depth, first, funded)


def _traded(bars: Sequence[Bars], begin: int, days: int) -> tuple[FloatArray, FloatArray]:
    """Return dollars traded and hours covered by day; wide bars where a day has no narrow ones."""
    volume, hours = np.zeros(days), np.zeros(days)
    for one in bars:
        day = (one.ts_ms - begin) // DAY_MS
        usd = np.bincount(day, weights=one.volume * one.close, minlength=days)
        covered = np.bincount(day, minlength=days) * (one.width_ms / HOUR_MS)
        fresh = hours == 0
        volume, hours = np.where(fresh, usd, volume), np.where(fresh, covered, hours)
    return volume, hours


def _depth(one: _Contract, begin: int, days: int) -> FloatArray:
    """Return each day's mean depth in dollars at the last close known at each of its stamps."""
    bars = one.bars[0]
    row = np.searchsorted(bars.close_ms, one.depth_ms, side="right") - 1
    known = (row >= 0) & (one.depth_ms >= begin) & (one.depth_ms < begin + days * DAY_MS)
    day = (one.depth_ms[known] - begin) // DAY_MS
    usd = one.depth[known] * bars.close[row[known]]
    count = np.bincount(day, minlength=days)
    mean = np.full(days, np.nan)
    np.divide(np.bincount(day, weights=usd, minlength=days), count, out=mean, where=count > 0)
    return mean


def _funded(settled_ms: IntArray, end_ms: IntArray) -> BoolArray:
    if not len(settled_ms):
        return np.zeros(len(end_ms), dtype=bool)
    row = np.searchsorted(settled_ms, end_ms, side="right") - 1
    recent: BoolArray = (row >= 0) & (end_ms - settled_ms[np.maximum(row, 0)] <= FUNDED_MS)
    return recent


def _rows(
    series: Sequence[_Contract], known: Weekly, decided: Membership, rules: UniverseRules
) -> tuple[UniverseRow, ...]:
    rows = []
    for k, one in enumerate(series):
        rank, member = int(decided.rank[-1, k]), bool(decided.member[-1, k])
        depth = float(known.depth_usd[-1, k])
        rows.append(
            UniverseRow(
                id=one.id,
                rank=rank or None,
                volume_usd_day=float(known.volume_usd[-1, k]),
                depth_usd=depth if np.isfinite(depth) else None,
                age_days=float(known.age_days[-1, k]),
                member=member,
                since_ms=int(known.at_ms[decided.since[-1, k]]) if member else None,
                reason=_reason(k, known, rank, member, rules),
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.rank is None, row.rank or 0, row.id)))


def _reason(k: int, known: Weekly, rank: int, member: bool, rules: UniverseRules) -> str:
    if not rank:
        said = REFUSALS[int(known.refused[-1, k])]
        figures = {
            1: f": {int(known.age_days[-1, k])} of {rules.least_age_days} days",
            3: f": {known.missing[-1, k]:.0%} of {rules.volume_days} days",
        }
        return said + figures.get(int(known.refused[-1, k]), "")
    if not member:
        return f"rank {rank}: enters within {rules.size}"
    if rank <= rules.size:
        return f"rank {rank}: within {rules.size}"
    return f"rank {rank}: kept within {rules.last_rank}"
