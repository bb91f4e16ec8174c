"""The desk's limits held against a book: one function for proposals, the gate and rounding.

Standard library only, and generic: a book of floats is checked in floats, a book of Decimals in
Decimals; the two must not be mixed in one book. Every comparison is exact, without a tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import ge, le
from typing import Any

from perptui.model.limit import LimitCheck, Limits
from perptui.risk.book import Book, drawdown, turnover
from perptui.risk.liquidation import AccountShock, account_maintenance, after_moves
from perptui.risk.margin import Number

DAYS_A_YEAR = 365
BINDING = 1e-6
"""Share of a limit within which a value counts as standing at it."""
EXACTLY_KEPT = 4096
"""Floats whose decimal form is kept."""
LIQUIDATED = 1e9
"""Margin ratio written for an account with positions and no equity left."""
FARTHEST = 1.0
"""Liquidation distance written where no common move up to 100 % liquidates."""


def book_volatility(
    weights: Sequence[float], covariance: Sequence[Sequence[float]], horizon_days: float
) -> float:
    """Return sqrt(w'Sigma w · 365/H), annualised, of weights and a covariance over H days."""
    variance = math.fsum(
        left * entry * right
        for left, row in zip(weights, covariance, strict=True)
        for right, entry in zip(weights, row, strict=True)
    )
    return math.sqrt(max(variance, 0.0) * DAYS_A_YEAR / horizon_days)


def check_limits(book: Book[Number], limits: Limits) -> tuple[LimitCheck, ...]:
    """Hold every book limit against `book`; names and units as `LimitCheck` says.

    Participation is checked of traded contracts, coins and accounts of all contracts named.

    Raises
    ------
    ValueError
        When total equity is not positive, or a holding's account has no equity entry.
    """
    total = book.total
    zero: Number = total - total
    weights: list[Number] = [holding.notional / total for holding in book.holdings]
    net: Number = sum(weights, zero)
    checks = [
        ceiling("gross", sum((abs(weight) for weight in weights), zero), limits.gross_max),
        floor("net_min", net, limits.net_min),
        ceiling("net_max", net, limits.net_max),
        *_coin_checks(book, weights, zero, limits),
        *_account_checks(book, limits),
        ceiling("turnover", turnover(book), limits.turnover_max),
    ]
    if book.volatility is not None:
        checks.append(ceiling("volatility", book.volatility, limits.volatility_max))
    checks.extend(
        ceiling(
            f"participation:{holding.id}",
            abs(holding.notional - holding.before) / holding.volume_usd_day,
            limits.participation_max,
        )
        for holding in book.holdings
        if holding.volume_usd_day and holding.notional != holding.before
    )
    checks.append(ceiling("drawdown", drawdown(book), limits.drawdown_max))
    return tuple(checks)


def check_stress(
    book: Book[Number],
    move: float,
    cushion: float,
    depeg: float = 0.0,
    named: Mapping[str, Mapping[str, Number]] | None = None,
) -> tuple[LimitCheck, ...]:
    """Hold each account's stressed margin (method §6) against its equity, as share of it.

    The loss, the collateral's own `depeg` and (1 + `cushion`) times the maintenance margin of the
    moved book, over equity; the limit is 1. ``margin_stress:<account>`` is the worse of the common
    moves ±`move`, ``margin_stress_<name>:<account>`` each of the `named` ones. Coin that is
    collateral moves with its contracts.

    Parameters
    ----------
    named : mapping of str to mapping of str to number
        Further stresses: the move of each contract's price by instrument id; none stays.
    """
    checks = []
    for account, equity in book.equity.items():
        legs = book.legs[account]
        shock, extra, lost = (like(equity, value) for value in (move, cushion, depeg))
        coin, zero = book.collateral_beta(account) * equity, equity - equity
        cases = {"margin_stress": [([way] * len(legs), coin * way) for way in (shock, -shock)]}
        for name, moves in (named or {}).items():
            moved = [moves.get(leg.name, zero) for leg in legs]
            drift = book.collateral_move(account, moves) * equity
            cases[f"margin_stress_{name}"] = [(moved, drift)]
        for name, of_name in cases.items():
            worst = max(
                lost * equity + (1 + extra) * margin - (earned + drift)
                for moved, drift in of_name
                for earned, margin in (after_moves(legs, moved, zero),)
            )
            checks.append(ceiling(f"{name}:{account}", share_of(worst, equity), 1.0))
    return tuple(checks)


def check_clusters(
    book: Book[Number], clusters: Iterable[Sequence[str]], gross_max: float
) -> tuple[LimitCheck, ...]:
    """Hold sum|w| inside each cluster of instrument ids against `gross_max`.

    Named ``cluster:`` and the coins in it, joined by "+".
    """
    total = book.total
    zero = total - total
    checks = []
    for members in clusters:
        inside = [holding for holding in book.holdings if holding.id in members]
        gross = sum((abs(holding.notional) for holding in inside), zero) / total
        coins = "+".join(sorted({holding.coin for holding in inside}))
        checks.append(ceiling(f"cluster:{coins}", gross, gross_max))
    return tuple(checks)


def blocking(
    after: Iterable[LimitCheck], now: Iterable[LimitCheck], *, reducing: bool
) -> tuple[LimitCheck, ...]:
    """Return the checks that forbid a trade.

    Every limit that fails after it; but a trade that `only_reduces` is not stopped by the
    drawdown it is meant for, nor by a limit that failed before and fails by no more now.
    """
    failed = [check for check in after if not check.ok]
    if not reducing:
        return tuple(failed)
    before = {check.name: _excess(check) for check in now if not check.ok}
    return tuple(
        check
        for check in failed
        if check.name != "drawdown" and _excess(check) > before.get(check.name, -1.0)
    )


def _coin_checks(
    book: Book[Number], weights: Sequence[Number], zero: Number, limits: Limits
) -> list[LimitCheck]:
    net: list[LimitCheck] = []
    gross: list[LimitCheck] = []
    by_coin: dict[str, list[Number]] = {}
    for holding, weight in zip(book.holdings, weights, strict=True):
        by_coin.setdefault(holding.coin, []).append(weight)
    for coin, of_coin in sorted(by_coin.items()):
        size: Number = sum((abs(weight) for weight in of_coin), zero)
        signed: Number = sum(of_coin, zero)
        net.append(ceiling(f"coin_net:{coin}", max(signed, -signed), limits.coin_net_max))
        gross.append(ceiling(f"coin_gross:{coin}", size, limits.coin_gross_max))
    return [*net, *gross]


def _account_checks(book: Book[Number], limits: Limits) -> list[LimitCheck]:
    venue_gross: list[LimitCheck] = []
    margin: list[LimitCheck] = []
    liquidation: list[LimitCheck] = []
    for account, equity in book.equity.items():
        legs = book.legs[account]
        zero = equity - equity
        gross = sum((abs(leg.notional) for leg in legs), zero)
        needed = account_maintenance(legs, zero)
        venue_gross.append(
            ceiling(f"venue_gross:{account}", share_of(gross, equity), limits.venue_gross_max)
        )
        margin.append(
            ceiling(f"margin_ratio:{account}", share_of(needed, equity), limits.margin_ratio_max)
        )
        distance = nearest(book.shocks[account])
        liquidation.append(
            floor(f"liquidation:{account}", distance, limits.liquidation_distance_min)
        )
    return [*venue_gross, *margin, *liquidation]


def nearest(shock: AccountShock[Number]) -> Number | float:
    """Return the smaller of the two common moves that liquidate an account, at most 1."""
    moves = [abs(move) for move in (shock.down, shock.up) if move is not None]
    least = min(moves, default=None)
    return FARTHEST if least is None or least > 1 else least


def share_of(amount: Number, equity: Number) -> Number | float:
    """Return amount/equity; of an account without equity `LIQUIDATED`, or 0 where nothing is."""
    if equity > 0:
        return amount / equity
    return 0.0 if amount == 0 else LIQUIDATED


def like(number: Number, value: float) -> Number:
    """Return `value` as the kind of number that `number` is, by its shortest decimal form."""
    found: Number = _of_kind(type(number), value)
    return found


def _of_kind(kind: type, value: float) -> Any:
    if kind is float:
        return value
    # One zero equals the other, which has a sign: neither is kept for both.
    return _exactly(value) if value else kind(repr(value))


@lru_cache(maxsize=EXACTLY_KEPT, typed=True)
def _exactly(value: float) -> Decimal:
    """Return a number by its shortest decimal form: limits and rates are asked for again."""
    return Decimal(repr(value))


def _held(
    name: str,
    value: Number | float,
    limit: float,
    keeps: Callable[[Any, Any], bool],
    *,
    at_least: bool,
) -> LimitCheck:
    shown = float(value)
    stands = abs(shown - limit) <= BINDING * max(abs(limit), BINDING)
    ok = keeps(value, _of_kind(type(value), limit))
    return LimitCheck(name, shown, limit, ok, at_least, stands)


def ceiling(name: str, value: Number | float, limit: float) -> LimitCheck:
    """Return the check that `value` is at most `limit`, exactly."""
    return _held(name, value, limit, le, at_least=False)


def floor(name: str, value: Number | float, limit: float) -> LimitCheck:
    """Return the check that `value` is at least `limit`, exactly."""
    return _held(name, value, limit, ge, at_least=True)


def _excess(check: LimitCheck) -> float:
    return check.limit - check.value if check.at_least else check.value - check.limit
