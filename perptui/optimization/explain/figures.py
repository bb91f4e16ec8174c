"""What a whole book risks and earns, before or after: the figures beside the limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from perptui.model.explanation import AccountRisk
from perptui.model.limit import LimitCheck
from perptui.model.money import ZERO
from perptui.model.proposal import BookRisk, PositionRisk
from perptui.optimization.checks import (
    KEPT_DECIMALS,
    annual_volatility,
    carries_usd_day,
    rough_book,
    stresses_of,
    weights_of,
)
from perptui.optimization.inputs import Contract, FloatArray, ProgramInputs
from perptui.optimization.kept import Kept
from perptui.risk.accounts import MarginRules, account_risks
from perptui.risk.arrays import book_shortfall, plain_risk, robust_risk
from perptui.risk.book import Book
from perptui.risk.positions import liquidation_moves

DAYS_A_YEAR = 365.0
POSITIONS_KEPT = 4
"""Books whose open positions are kept: the present one and the newest after it."""


def book_risk(
    inputs: ProgramInputs, book: Book[Decimal], checks: Sequence[LimitCheck] = ()
) -> BookRisk:
    """Return the risk figures of an exact book.

    The worst account is the one a common move liquidates first; where none does, the one that
    uses the largest share of its equity as margin.

    Parameters
    ----------
    checks : sequence of LimitCheck
        Of the same book, where they are at hand: CVaR on every path is not worked out again.
    """
    weights, arrays = weights_of(book), inputs.limits
    accounts = account_risks(book, _margin_rules(inputs))
    worst = min(accounts, key=lambda one: (_distance(one), -one.margin_ratio))
    carry = carries_usd_day(inputs, (one.notional for one in book.holdings))
    books = weights[None, :]
    beta = arrays.row("beta_up") @ weights
    others = inputs.in_force.limits.beta_max - arrays.row_bound("beta_up")
    risk = float(plain_risk(books, arrays)[0])
    shared = float(weights @ arrays.market) + arrays.market_offset
    # With what puts held beside the book take off it; without any, of the book alone.
    year = math.sqrt(DAYS_A_YEAR / inputs.horizon_days)
    hedged = risk * year
    return BookRisk(
        volatility_annual=_kept(hedged)
        if arrays.root_offset.any()
        else annual_volatility(inputs, weights),
        gross=math.fsum(np.abs(weights).tolist()),
        net=math.fsum(weights.tolist()),
        margin_ratio=max(one.margin_ratio for one in accounts),
        carry_usd_day=sum(carry, ZERO),
        worst_account=worst.name,
        liquidation_down=worst.liquidation_down,
        liquidation_up=worst.liquidation_up,
        liquidation_down_leg=worst.liquidation_down_leg,
        liquidation_up_leg=worst.liquidation_up_leg,
        cvar=_shortfall(inputs, books, checks),
        correlation=_kept(shared / risk) if risk > 0.0 else None,
        beta=_kept(float(beta) + others),
        expected_return_annual=_kept(robust_return(inputs, weights)),
        accounts=accounts,
        robust_volatility_annual=_kept(float(robust_risk(books, arrays)[0]) * year),
        positions=_positions(inputs, book),
    )


def _shortfall(
    inputs: ProgramInputs, books: FloatArray, checks: Sequence[LimitCheck]
) -> float | None:
    """Return CVaR of one book (1, N); None without scenarios."""
    if not inputs.limits.has_tail:
        return None
    known = next((check.value for check in checks if check.name == "cvar"), None)
    return _kept(float(book_shortfall(books, inputs.limits)[0])) if known is None else known


def _positions(inputs: ProgramInputs, book: Book[Decimal]) -> tuple[PositionRisk, ...]:
    """Return every open position; what the venue says of it only while it is as it is held.

    No limit is in them: those of the present book are kept while caps are bent.
    """
    notionals = tuple(one.notional for one in book.holdings)
    same = (inputs.contracts, inputs.account_equity)
    return _POSITIONS.of(same, (notionals,), lambda: _found_positions(inputs, book))


_POSITIONS: Kept[tuple[PositionRisk, ...]] = Kept(POSITIONS_KEPT)


def _found_positions(inputs: ProgramInputs, book: Book[Decimal]) -> tuple[PositionRisk, ...]:
    moves, found = liquidation_moves(rough_book(inputs, book)), []
    for contract, one in zip(inputs.contracts, book.holdings, strict=True):
        if not one.notional:
            continue
        move, held = moves[one.id], one.notional == contract.notional
        price = None if move is None else float(contract.mark) * (1.0 + move)
        found.append(
            PositionRisk(
                id=one.id,
                account=one.account,
                contracts=contract.position if held else _contracts(contract, one.notional),
                mark=contract.mark,
                liquidation_move=None if move is None else _kept(move),
                liquidation_price=None if price is None else _kept(price),
                venue_liquidation_price=contract.venue_liquidation if held else None,
            )
        )
    return tuple(found)


def _contracts(contract: Contract, notional: Decimal) -> Decimal:
    """Return whole steps of a contract: a quotient of Decimals may have a dust of digits."""
    step = contract.instrument.step
    steps = notional / contract.usd_per_contract / step
    return steps.to_integral_value(rounding=ROUND_HALF_EVEN) * step


def _distance(account: AccountRisk) -> float:
    moves = (account.liquidation_down, account.liquidation_up)
    return min((abs(move) for move in moves if move is not None), default=math.inf)


def _margin_rules(inputs: ProgramInputs) -> MarginRules:
    rules, limits = inputs.in_force, inputs.in_force.limits
    return MarginRules(
        margin_ratio_max=limits.margin_ratio_max,
        free_collateral_min=limits.free_collateral_min,
        venue_gross_max=limits.venue_gross_max,
        stress_move=limits.liquidation_distance_min,
        cushion=rules.cushion,
        depeg=rules.depeg,
        named=stresses_of(inputs, float),
    )


def robust_return(inputs: ProgramInputs, weights: FloatArray) -> float:
    """Return mu'w - rho'|w| - k|W w|, annualised."""
    worst = float(weights @ inputs.expected_return - np.abs(weights) @ inputs.uncertainty)
    if inputs.omega_root is not None:
        worst -= inputs.ellipsoid * float(np.linalg.norm(inputs.omega_root @ weights))
    return worst * DAYS_A_YEAR / inputs.horizon_days


def _kept(value: float) -> float:
    return round(value, KEPT_DECIMALS)
