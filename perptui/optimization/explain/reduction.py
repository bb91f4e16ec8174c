"""Reducing a book that no trade of one proposal brings within its limits.

The plain reduction of every position is offered in words; the least violation that one proposal's
trades can reach is a target of its own, for proposals that only reduce.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from perptui.optimization.explain.feasibility import Feasibility, correlation_of
from perptui.optimization.explain.found import TOLERANCE
from perptui.optimization.explain.limit_rows import CORRELATION
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import HEADROOM
from perptui.optimization.search import Search
from perptui.risk.arrays import cheap_excess, limit_excess, plain_risk
from perptui.risk.tail import shortfall

PATH = 1001
"""Books between today's and the most reduced that are tried."""
TRADE_LIMITS = frozenset({"turnover", "participation"})


def reduce_only_share(inputs: ProgramInputs) -> float | None:
    """Return the largest share of every position that keeps all limits but those on trading.

    Positions that may not be traded stay whole. None where no share keeps them.
    """
    shares = np.linspace(0.0, 1.0, PATH)
    excess = cheap_excess(_books(shares, inputs), inputs.before, inputs.limits)
    kept = np.ones(PATH, dtype=bool)
    for name, part in excess.items():
        if name not in TRADE_LIMITS and part.shape[1]:
            kept &= part.max(axis=1) <= 0
    if inputs.limits.has_tail:
        within = _within_tail(shares, inputs)
        kept[: within.start] = kept[within.stop :] = False
    return float(shares[kept].max()) if kept.any() else None


def _within_tail(shares: FloatArray, inputs: ProgramInputs) -> range:
    """Return which of the books keep the CVaR cap: a stretch, since CVaR is convex along them."""
    limits = inputs.limits
    none, whole = _books(np.array([0.0, 1.0]), inputs)
    start = limits.scenarios @ none + limits.scenario_offset
    slope = limits.scenarios @ (whole - none)

    def over(at: int) -> float:
        returns = start + shares[at] * slope
        return float(shortfall(returns[None, :], limits.tail)[0]) - limits.cvar_max

    least = _first(lambda at: over(at + 1) >= over(at), 0, len(shares) - 1)
    if over(least) > 0.0:
        return range(0)
    begin = _first(lambda at: over(at) <= 0.0, 0, least)
    return range(begin, _first(lambda at: over(at) > 0.0, least, len(shares)))


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first place from `low` on at which something holds from there on, else `high`."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _books(shares: FloatArray, inputs: ProgramInputs) -> FloatArray:
    kept = inputs.lower == inputs.upper
    whole = np.where(kept, inputs.before, 0.0)
    return np.asarray(shares[:, None] * (inputs.before - whole) + whole)


def share_book(inputs: ProgramInputs, share: float) -> FloatArray:
    """Return the book (N,) with every position that may be traded cut to a share of its size."""
    return np.asarray(_books(np.array([share]), inputs)[0])


def reduction_offer(inputs: ProgramInputs, share: float | None) -> str:
    """Return in words how far a plain reduction of every position mends the book.

    Parameters
    ----------
    share : float, optional
        As `reduce_only_share` gives it.
    """
    if share is None:
        return "reduce-only: no plain reduction keeps every limit on positions; it goes nearer"
    if share == 1.0:
        return "reduce-only: not needed, the book as it is keeps every limit on positions"
    trade = np.abs(share_book(inputs, share) - inputs.before)
    turnover = 0.5 * float(trade.sum())
    most = inputs.limits.turnover_max
    reach = "" if turnover <= most else f", more than the {most:.1%} of one proposal: repeat it"
    if not reach and (trade > inputs.limits.trade_max).any():
        reach = ", in larger trades than one proposal's: repeat it"
    return (
        f"reduce-only: every position cut to {share:.1%} of its size keeps every limit on "
        f"positions, with turnover {turnover:.1%}{reach}"
    )


def least_violation(inputs: ProgramInputs) -> Search[FloatArray | None]:
    """Return the book (N,) that exceeds the limits least, none by more than the book as it is.

    None where even that is out of reach: a bound or a fixed target is in the way.
    """
    limits = Feasibility(inputs)
    now = limit_excess(inputs.before[None, :], inputs.before, inputs.limits)
    most = {
        key: float(now[key[0]][0][key[1]]) + TOLERANCE
        for key in limits.keys
        if key[0] in now and float(now[key[0]][0][key[1]]) > 0.0 and key != CORRELATION
    }
    found = (yield from limits.least_violation(most)) if most else None
    return found.weights if found is not None and found.status == "solved" else None


def eased(inputs: ProgramInputs, book: FloatArray) -> ProgramInputs:
    """Return the inputs with limits that give way as far as `book` exceeds them.

    None gives way by more than the book as it is exceeds it: what a trade that only reduces may
    leave behind.

    Parameters
    ----------
    book : (N,) array
        In lots, near the least violation.
    """
    now = limit_excess(inputs.before[None, :], inputs.before, inputs.limits)
    then = limit_excess(book[None, :], inputs.before, inputs.limits)
    room = {name: _as_far(then[name][0], part[0]) for name, part in now.items()}
    limits = inputs.limits
    shortfall = float(room.pop("cvar", np.zeros(1))[0])
    room.pop("market_correlation", None)
    alike = min(correlation_of(book, limits), correlation_of(inputs.before, limits))
    alike += HEADROOM / max(float(plain_risk(book[None, :], limits)[0]), HEADROOM)
    arrays = replace(
        limits,
        room=room,
        cvar_max=limits.cvar_max + shortfall,
        market_correlation_max=max(limits.market_correlation_max, min(alike, 1.0)),
    )
    return replace(inputs, limits=arrays)


def _as_far(then: FloatArray, now: FloatArray) -> FloatArray:
    """Return by how much limits give way, (k,): rounding keeps `HEADROOM` below each of them."""
    room = np.clip(then, 0.0, np.maximum(now, 0.0))
    return np.where(room > 0.0, room + 2.0 * HEADROOM, 0.0)
