"""An order book around the last price, from spread and recorded or usual depth.

Depth within 1 % of the mid is what the history recorded; it thins toward the touch. What a taker
takes is gone and comes back with a half-life, so slices do not fill for free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from perptui.model.money import ZERO, ceil_to_tick, floor_to_tick
from perptui.model.order import Side
from perptui.risk.contract_rules import ContractRules
from perptui.simulator.market import Market
from perptui.simulator.path import Floats, seed_of

LEVELS = 250
LEVELS_IN_ONE_PERCENT = 50
RECOVERY_HALF_LIFE_MS = 10_000
FLICKER_MS = 1_000

_RAMP = np.minimum(np.arange(1, LEVELS + 1), LEVELS_IN_ONE_PERCENT).astype(np.float64)
_SHARES = _RAMP / _RAMP[:LEVELS_IN_ONE_PERCENT].sum()


class Books:
    """The books of all contracts of a market."""

    def __init__(self, market: Market, rules: dict[str, ContractRules]) -> None:
        self._market = market
        self._rules = rules
        self._taken: dict[tuple[str, Side], tuple[float, int]] = {}
        self._sizes: dict[tuple[str, Side], tuple[int, Floats]] = {}

    def touch(self, symbol: str, side: Side, utc_ms: int) -> Decimal:
        """Return the best price a taker of `side` meets: the ask for BUY, the bid for SELL.

        In a book that was taken whole it is the price where the book ended.
        """
        best = next(self.levels(symbol, side, utc_ms), None)
        if best is not None:
            return best[0]
        rules = self._rules[symbol]
        last = Decimal(repr(self._market.last(symbol, utc_ms)))
        away = rules.band if side is Side.BUY else -rules.band
        return floor_to_tick(last * (1 + away), rules.tick)

    def levels(self, symbol: str, side: Side, utc_ms: int) -> Iterator[tuple[Decimal, Decimal]]:
        """Yield (price, quantity) of the book that a taker of `side` meets, best first."""
        rules = self._rules[symbol]
        mid = Decimal(repr(self._market.last(symbol, utc_ms)))
        half = max(mid * rules.half_spread, rules.tick / 2)
        gap = max(rules.tick, floor_to_tick(mid / (100 * LEVELS_IN_ONE_PERCENT), rules.tick))
        buying = side is Side.BUY
        first = (
            ceil_to_tick(mid + half, rules.tick)
            if buying
            else floor_to_tick(mid - half, rules.tick)
        )
        step = float(rules.step)
        taken = self._outstanding(symbol, side, utc_ms)
        for index, size in enumerate(self._level_sizes(symbol, side, utc_ms)):
            left = float(size) - taken
            taken = max(0.0, -left)
            lots = math.floor(left / step)
            price = first + gap * index if buying else first - gap * index
            if lots > 0 and price > 0:
                yield price, lots * rules.step

    def take(self, symbol: str, side: Side, quantity: Decimal, utc_ms: int) -> None:
        """Remove what a taker of `side` has taken."""
        outstanding = self._outstanding(symbol, side, utc_ms)
        self._taken[symbol, side] = (outstanding + float(quantity), utc_ms)

    def available(self, symbol: str, side: Side, limit: Decimal, utc_ms: int) -> Decimal:
        """Return the quantity a taker of `side` can have at `limit` or better."""
        total = ZERO
        for price, quantity in self.levels(symbol, side, utc_ms):
            if not within(side, price, limit):
                break
            total += quantity
        return total

    def _outstanding(self, symbol: str, side: Side, utc_ms: int) -> float:
        amount, at_ms = self._taken.get((symbol, side), (0.0, utc_ms))
        return amount * math.exp2(-(utc_ms - at_ms) / RECOVERY_HALF_LIFE_MS)

    def _level_sizes(self, symbol: str, side: Side, utc_ms: int) -> Floats:
        moment = utc_ms // FLICKER_MS
        cached = self._sizes.get((symbol, side))
        if cached is None or cached[0] != moment:
            bid, ask = self._market.depth(symbol, utc_ms)
            rng = np.random.default_rng(seed_of(symbol, side, moment))
            flicker = rng.uniform(0.5, 1.5, LEVELS)
            cached = (moment, _SHARES * (ask if side is Side.BUY else bid) * flicker)
            self._sizes[symbol, side] = cached
        return cached[1]


def within(side: Side, price: Decimal, limit: Decimal) -> bool:
    """Say whether `price` is acceptable to a taker of `side` with that limit."""
    return price <= limit if side is Side.BUY else price >= limit
