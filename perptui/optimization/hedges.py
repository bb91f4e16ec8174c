"""Which puts are bought, and why (method §6, §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from perptui.model.money import ZERO, to_cents
from perptui.model.proposal import HedgeRow
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import PutQuote
from perptui.optimization.hedge_shorts import hedging
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.solve import solve
from perptui.optimization.puts import PREMIUM_ROW, Puts, hedge_row, holding, with_puts
from perptui.risk.arrays import LimitArrays, book_shortfall, robust_risk

BASIS_POINT = 1e4
WANTED = 1e-9
"""Weight from which the program wants a put at all."""
RAISED_MIN = 1e-9
"""Risk over the horizon, fraction of equity, that is rounding."""


def bought(
    inputs: ProgramInputs, puts: Puts, equity: float
) -> tuple[ProgramInputs, tuple[HedgeRow, ...]]:
    """Return the perpetuals' program with the puts bought that the whole program chooses.

    Where perpetuals and puts together have no optimum, none is bought and it says so.
    """
    posed = with_puts(inputs, puts)
    solution = solve(posed)
    count = len(puts.quotes)
    if solution.status != "optimal":
        why = "none bought: with it the program has no optimum either"
        return inputs, tuple(
            hedge_row(quote, 0.0, float(delta), why)
            for quote, delta in zip(puts.quotes, puts.delta, strict=True)
        )
    quantities = puts.quantities(solution.weights[-count:], equity)
    rows = tuple(
        hedge_row(quote, float(coins), float(delta), why)
        for quote, coins, delta, why in zip(
            puts.quotes,
            quantities,
            puts.delta,
            _whys(posed, puts, solution, quantities),
            strict=True,
        )
    )
    if not quantities.any():
        return inputs, rows
    hedged = holding(inputs, puts, quantities * puts.spot / equity)
    return replace(hedged, unhedged=inputs), rows


def harm(weights: FloatArray, hedged: LimitArrays, bare: LimitArrays) -> str:
    """Return in words what puts would raise of a book's risk; "" where they raise nothing.

    Parameters
    ----------
    weights : (N,) array
        The perpetuals of the book that is proposed, which the puts were not chosen for.
    hedged, bare : LimitArrays
        With the puts in, and without.
    """
    books = weights[None, :]
    measures = {"robust risk": robust_risk}
    if bare.has_tail:
        measures["CVaR"] = book_shortfall
    raised = []
    for name, measure in measures.items():
        before, after = (float(measure(books, limits)[0]) for limits in (bare, hedged))
        if after > before + RAISED_MIN:
            raised.append(f"{name} of the blended book from {before:.2%} to {after:.2%}")
    return f"not bought: it would raise the {' and the '.join(raised)}" if raised else ""


def not_bought(rows: Sequence[HedgeRow], why: str) -> tuple[HedgeRow, ...]:
    """Return the rows with nothing bought, and why of those that were to be."""
    return tuple(
        msgspec.structs.replace(row, quantity=0.0, premium_usd=to_cents(ZERO), why=why)
        if row.quantity > 0.0
        else row
        for row in rows
    )


def spread_over(
    inputs: ProgramInputs,
    puts: Puts | None,
    rows: Sequence[HedgeRow],
    equity: float,
) -> ProgramInputs:
    """Return another program with what `rows` say was bought, priced by its own forecasts.

    Parameters
    ----------
    puts : Puts or None
        Offered to that program; a put whose horizon it outlasts is not among them, and left out.
    """
    if puts is None:
        return inputs
    coins = {row.name: row.quantity for row in rows}
    quantities = np.array([coins.get(quote.name, 0.0) for quote in puts.quotes])
    hedged = holding(inputs, puts, quantities * puts.spot / equity)
    return replace(hedged, unhedged=inputs)


def _whys(
    posed: ProgramInputs, puts: Puts, solution: Solution, quantities: FloatArray
) -> list[str]:
    """Return the reason of each put: what it takes off the risk, and what it costs, per notional.

    bp of the notional covered over the horizon, at the optimum.
    """
    count = len(puts.quotes)
    risk = -posed.risk_aversion * (posed.covariance @ solution.weights)[-count:]
    binding = [
        name
        for name in ("volatility", "cvar")
        if name in solution.prices and float(np.max(solution.prices[name], initial=0.0)) > 0.0
    ]
    budget = PREMIUM_ROW in solution.prices and float(np.max(solution.prices[PREMIUM_ROW])) > 0.0
    words = []
    for gain, cost, coins, weight in zip(
        risk, puts.excess, quantities, solution.weights[-count:], strict=True
    ):
        limits = f", eases {' and '.join(binding)}" if binding else ""
        both = (
            f"takes {_points(gain)} bp off the risk charge{limits}, costs {_points(cost)} bp above "
            "its value"
        )
        if coins > 0.0:
            cap = "; all premium allowed is spent" if budget else ""
            words.append(f"hedge, to buy by hand: {both}{cap}; no margin asset")
        elif weight > WANTED:
            words.append(f"not bought: less than one step of it is wanted; it {both}")
        else:
            words.append(f"not bought: it {both}")
    return words


def _points(share: float) -> str:
    """Return a share of the notional in basis points; next to nothing is 0.0 without a sign."""
    return f"{round(share * BASIS_POINT, 1) + 0.0:.1f}"


def withheld(quotes: Sequence[PutQuote], strategy: StrategyParameters, regime: str) -> str:
    """Return why no put may be bought in this regime; "" where some may."""
    if not quotes or hedging(strategy, regime):
        return ""
    if strategy.hedge_from == "never":
        return f"not bought: {strategy.name} never hedges; set hedge_from"
    return f"not bought: hedges are opened from {strategy.hedge_from} on, the regime is {regime}"


def withheld_rows(quotes: Sequence[PutQuote], why: str) -> tuple[HedgeRow, ...]:
    """Return a row for each put that is not even offered; what is held has one as such."""
    return tuple(hedge_row(quote, 0.0, 0.0, why) for quote in quotes if quote.held <= 0.0)


def held_rows(
    quotes: Sequence[PutQuote], offer: Puts | None, refused: Sequence[HedgeRow]
) -> tuple[HedgeRow, ...]:
    """Return a row for each put that the desk says it holds, and for each that is not counted."""
    counted = () if offer is None else zip(offer.quotes, offer.delta.tolist(), strict=True)
    deltas = {quote.name: delta for quote, delta in counted}
    why = {row.name: row.why.removeprefix("refused: ") for row in refused}
    return tuple(
        hedge_row(
            quote,
            0.0,
            deltas.get(quote.name, 0.0),
            f"held but not counted: {why[quote.name]}"
            if quote.name in why
            else f"held: {quote.held:g} {quote.coin} counted before and after, as config.toml says",
        )
        for quote in quotes
    )
