"""Books whose risk is shown: the one that is held, and one equal part of each coin."""

from __future__ import annotations

import numpy as np

from perptui.estimation.recursion import FloatArray
from perptui.model.snapshot import MarketSnapshot
from perptui.quant.court import EQUAL, HELD
from perptui.quant.day import DayView


def books_of(snapshot: MarketSnapshot, day: DayView) -> dict[str, FloatArray]:
    """Return weights by book, (N,) each, multiples of equity; no held book where none is held.

    A position without estimates is in none of them; `unseen` names it.
    """
    held = held_weights(snapshot, day)
    equal = {EQUAL: equal_parts(day)}
    return {HELD: held, **equal} if held.any() else equal


def equal_parts(day: DayView) -> FloatArray:
    """Return one equal part of each coin, split among its contracts, (N,)."""
    contracts = np.bincount(day.owner)
    return np.asarray(1.0 / (len(contracts) * contracts[day.owner]), dtype=np.float64)


def held_weights(snapshot: MarketSnapshot, day: DayView) -> FloatArray:
    """Return signed notional over the equity of all accounts, (N,); 0 without equity."""
    equity = float(snapshot.equity_usd)
    place = {one.instrument.id: k for k, one in enumerate(day.gathered)}
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    sizes = {one.id: one for one in snapshot.instruments}
    weights = np.zeros(len(day.gathered))
    if equity <= 0.0:
        return weights
    for account in snapshot.accounts:
        for position in account.positions:
            if position.id in place:
                one = sizes[position.id]
                size = one.contract_size * (marks[position.id] if one.linear else 1)
                weights[place[position.id]] += float(position.contracts * size) / equity
    return weights


def unseen(snapshot: MarketSnapshot, day: DayView) -> tuple[str, ...]:
    """Return what of the accounts is in no book, in words."""
    known = {one.instrument.id for one in day.gathered}
    held = {place.id for account in snapshot.accounts for place in account.positions}
    lines = [f"{name}: held without estimates, in no book" for name in sorted(held - known)]
    if held & known and snapshot.equity_usd <= 0:
        lines.append(f"equity is {snapshot.equity_usd} USD: the held book has no weights")
    return tuple(lines)
