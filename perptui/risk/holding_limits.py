"""Limits that need more of a contract than its notional: beta, own risk, initial margin.

Standard library only, and generic, as `perptui.risk.limits`; every comparison is exact.
"""

from __future__ import annotations

from collections.abc import Mapping

from perptui.model.limit import LimitCheck
from perptui.risk.book import Book, Holding
from perptui.risk.limits import ceiling, floor, like, share_of
from perptui.risk.margin import Number, initial_margin, leverage_allowed

BOUND_DECIMALS = 12
"""Decimals of a bound that is worked out of others, as of the figures that are held against it."""


def check_beta(
    book: Book[Number], betas: Mapping[str, Number], beta_max: float, others: float = 0.0
) -> tuple[LimitCheck, ...]:
    """Hold |sum beta_i w_i + others| against `beta_max`; named ``beta``.

    Parameters
    ----------
    betas : mapping of str to number
        Beta to the market by instrument id; of every holding.
    others : float
        Beta of what is held beside the book, over its equity.

    Raises
    ------
    ValueError
        When a holding has no beta, or as `check_limits` does.
    """
    total = book.total
    _refuse_unknown(book, betas, "beta")
    pull = sum((betas[one.id] * one.notional for one in book.holdings), total - total)
    return (ceiling("beta", abs(pull / total + like(total, others)), beta_max),)


def check_standalone_risk(
    book: Book[Number],
    volatilities: Mapping[str, Number],
    share_max: float,
    volatility_max: float,
) -> tuple[LimitCheck, ...]:
    """Hold |w_i|·sigma_i, annualised, against `share_max` of the risk budget `volatility_max`.

    Named ``standalone_risk:<id>``, of contracts that are held or were. The value is no share of the
    budget, which shrinks with drawdown: now and after could not be held beside each other.

    Parameters
    ----------
    volatilities : mapping of str to number
        Annualised, by instrument id; of every holding.
    volatility_max : float
        The risk budget, annualised.

    Raises
    ------
    ValueError
        When a holding has no volatility, or as `check_limits` does.
    """
    total = book.total
    _refuse_unknown(book, volatilities, "volatility")
    most = share_of_budget(share_max, volatility_max)
    return tuple(
        ceiling(
            f"standalone_risk:{one.id}",
            abs(one.notional) * volatilities[one.id] / total,
            most,
        )
        for one in book.holdings
        if one.notional != 0 or one.before != 0
    )


def share_of_budget(share_max: float, volatility_max: float) -> float:
    """Return a share of the risk budget as annualised volatility, to `BOUND_DECIMALS`.

    Unrounded, .75 of .6 is .44999999999999996, and a book at .45 would break it.
    """
    return round(share_max * volatility_max, BOUND_DECIMALS)


def check_collateral(
    book: Book[Number], free_collateral_min: float, stablecoin_min: float = 0.0
) -> tuple[LimitCheck, ...]:
    """Hold the equity that no initial margin binds against its floors.

    ``free_collateral:<account>`` is its share of each account's equity, ``stablecoin`` that of
    total equity (only where `stablecoin_min` is above 0).

    Raises
    ------
    ValueError
        When a position has no margin tiers, or as `check_limits` does.
    """
    total = book.total
    zero = total - total
    bound = {
        account: sum(
            (
                bound_margin(one)
                for one in book.holdings
                if one.account == account and one.notional != 0
            ),
            zero,
        )
        for account in book.equity
    }
    checks = [
        floor(
            f"free_collateral:{account}",
            1 - share_of(bound[account], equity),
            free_collateral_min,
        )
        for account, equity in book.equity.items()
    ]
    if stablecoin_min > 0.0:
        free = 1 - sum(bound.values(), zero) / total
        checks.append(floor("stablecoin", free, stablecoin_min))
    return tuple(checks)


def bound_margin(one: Holding[Number]) -> Number:
    """Return the initial margin of a position, at its leverage or the highest its size allows, USD.

    Raises
    ------
    ValueError
        When it has no margin tiers.
    """
    if not one.tiers:
        raise ValueError(f"expected margin tiers of {one.id}, was none; read the venue's tiers")
    leverage = leverage_allowed(one.notional, one.tiers) if one.leverage is None else one.leverage
    return initial_margin(one.notional, leverage)


def _refuse_unknown(book: Book[Number], known: Mapping[str, Number], what: str) -> None:
    unknown = sorted({one.id for one in book.holdings} - set(known))
    if unknown:
        raise ValueError(f"expected the {what} of every holding, was none of {unknown[0]}")
