"""Puts as columns of the program: their value, delta and payoff on each path (method §6).

A put is bought for what it takes off the risk and off the worst scenarios, never for a gain: where
it costs less than it is worth at the forecast volatility, the difference is not counted. No venue
that perptui reaches lists it: it is no margin asset, in no account, and bought by hand. Until the
desk says that it holds one, limits must hold without it too (`ProgramInputs.unhedged`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perptui.model.forecast import InstrumentForecast
from perptui.model.money import decimal_of, to_cents
from perptui.model.proposal import HedgeRow
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import PutQuote
from perptui.optimization.forecasts import DAYS_A_YEAR
from perptui.optimization.inputs import Contract, FloatArray, ProgramInputs
from perptui.optimization.put_quotes import Market, put_value, refusal, requoted
from perptui.optimization.scenarios import HorizonScenarios
from perptui.risk.arrays import LimitArrays

PREMIUM_ROW = "put_premium"
KEPT_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class Puts:
    """K puts that the program may choose from, per unit of weight.

    A put's weight is the notional of the coins it covers, at the mark, over total equity.

    Attributes
    ----------
    spot : (K,) array
        Mark of the coin's most liquid contract, USD.
    reference : (K,) integer array
        Column of that contract: the put's delta moves with it.
    delta : (K,) array
        Of Black and Scholes, in [-1, 0].
    premium, excess : (K,) arrays
        Premium over spot, and by how much it is above the value at the forecast volatility (>= 0).
    gains : (S, K) array
        Value at the horizon's end less the premium, over spot, on each path.
    premium_max : float
        Bound on the premium of all together, fraction of equity.
    """

    quotes: tuple[PutQuote, ...]
    spot: FloatArray
    reference: FloatArray
    delta: FloatArray
    premium: FloatArray
    excess: FloatArray
    gains: FloatArray
    premium_max: float

    def quantities(self, weights: FloatArray, equity: float) -> FloatArray:
        """Return weights (K,) as whole steps of coins, (K,), truncated."""
        steps = np.array([quote.step for quote in self.quotes])
        coins = weights * equity / self.spot
        return np.asarray(np.floor(coins / steps * (1.0 + 1e-9)) * steps)


def put_offer(
    inputs: ProgramInputs,
    quotes: Sequence[PutQuote],
    strategy: StrategyParameters,
    scenarios: HorizonScenarios,
    as_of_ms: int,
    quoted_at: Mapping[str, float] | None = None,
) -> tuple[Puts | None, tuple[HedgeRow, ...]]:
    """Return the puts to choose from, None where there are none, and the rows of those refused.

    Parameters
    ----------
    inputs : ProgramInputs
        Of the program without puts.
    scenarios : HorizonScenarios
        Those of `inputs`, for the coins' prices.
    quoted_at : mapping of str to float, optional
        Marks by instrument id at which the premiums were asked, where a shock moves them: the
        volatility that a premium implies there stays, its price goes along.
    """
    usable, refused = [], []
    for quote in quotes:
        column = _reference(inputs.contracts, quote.coin)
        known = None if column is None else inputs.contracts[column]
        market = _market_of(known, strategy, as_of_ms, quoted_at or {})
        why = refusal(quote, market, as_of_ms, inputs.horizon_days)
        if not why and scenarios.paths and quote.coin not in scenarios.coins:
            why = f"expected scenarios of {quote.coin}, was none; wait for its history"
        if column is None or known is None or market is None or why:
            refused.append(hedge_row(quote, 0.0, 0.0, f"refused: {why}"))
        else:
            moved = replace(market, spot=float(known.mark))
            usable.append((requoted(quote, market, moved), column, moved))
    if not usable:
        return None, tuple(refused)
    columns = np.array([column for _, column, _ in usable])
    drifts = [_price_drift(inputs, column) for column in columns.tolist()]
    priced = [
        _priced(quote, market, drift, inputs.horizon_days, scenarios)
        for (quote, _, market), drift in zip(usable, drifts, strict=True)
    ]
    value, delta = (np.array([one[place] for one in priced]) for place in (0, 1))
    spots = np.array([market.spot for *_, market in usable])
    premium = np.array([quote.premium_usd for quote, *_ in usable])
    puts = Puts(
        quotes=tuple(quote for quote, *_ in usable),
        spot=spots,
        reference=columns,
        delta=delta,
        premium=premium / spots,
        excess=np.maximum(premium - value, 0.0) / spots,
        gains=(np.column_stack([one[2] for one in priced]) - premium) / spots,
        premium_max=strategy.put_premium_max,
    )
    return puts, tuple(refused)


def _market_of(
    contract: Contract | None,
    strategy: StrategyParameters,
    as_of_ms: int,
    quoted_at: Mapping[str, float],
) -> Market | None:
    if contract is None or contract.forecast is None:
        return None
    spot = quoted_at.get(contract.id, float(contract.mark))
    return Market(spot, _volatility(contract.forecast, strategy), as_of_ms)


def _price_drift(inputs: ProgramInputs, column: int) -> float:
    """Return the move of the price in a contract's expected return, its funding left out."""
    forecast = inputs.contracts[column].forecast
    paid = 0.0 if forecast is None else forecast.funding.horizon_mean
    return float(inputs.expected_return[column]) + paid


def _reference(contracts: Sequence[Contract], coin: str) -> int | None:
    """Return the column of the coin's most liquid contract with estimates."""
    known = [
        (-contract.forecast.volume_usd_day, index)
        for index, contract in enumerate(contracts)
        if contract.forecast is not None and contract.instrument.coin == coin
    ]
    return min(known)[1] if known else None


def _priced(
    quote: PutQuote,
    market: Market,
    drift: float,
    horizon_days: float,
    scenarios: HorizonScenarios,
) -> tuple[float, float, FloatArray]:
    """Return value and delta now, and the value at the horizon's end on each path, per coin.

    Paths drift as the perpetual's own do, so that a view means the same to both.
    """
    spot, years = market.spot, market.years_to(quote)
    left = max(years - horizon_days / DAYS_A_YEAR, 0.0)
    value, delta = put_value(np.array([spot]), quote.strike, market.volatility, years)
    moves = scenarios.moves_of(quote.coin) if scenarios.paths else np.zeros(0)
    ahead = np.maximum(spot * (1.0 + moves + drift), 1e-9 * spot)
    ends = put_value(ahead, quote.strike, market.volatility, left)[0]
    return float(value[0]), float(delta[0]), ends


def _volatility(forecast: InstrumentForecast, strategy: StrategyParameters) -> float:
    row = forecast.volatility
    return row.combined if strategy.combined_volatility else row.ewma


class _Columns:
    """Columns of puts beside those of perpetuals."""

    def __init__(self, puts: Puts) -> None:
        self._puts = puts
        self.most = puts.premium_max / puts.premium
        self.none = np.zeros(len(puts.quotes))

    def moved(self, array: FloatArray) -> FloatArray:
        """Return an array (..., N) with what each put's delta moves of it, (..., N + K)."""
        more = array[..., self._puts.reference] * self._puts.delta
        return np.concatenate([array, more], axis=-1)

    def padded(self, array: FloatArray, value: FloatArray | None = None) -> FloatArray:
        """Return an array (..., N) with `value` (K,) after it, by default 0."""
        value = self.none if value is None else value
        filling = np.broadcast_to(value, (*array.shape[:-1], len(value)))
        return np.concatenate([array, filling], axis=-1)


def with_puts(inputs: ProgramInputs, puts: Puts) -> ProgramInputs:
    """Return the program's data with K more columns, in no coin, account or cluster.

    Of a perpetual's columns a put has what its delta moves: risk, and the covariance with the
    market; and its own value on every path. Its premium is a row. Beta and the first component are
    limits on what is held at venues, and leave it out.
    """
    columns = _Columns(puts)
    moved, padded = columns.moved, columns.padded
    limits = _limits_with(inputs.limits, puts, columns)
    return replace(
        inputs,
        expected_return=padded(inputs.expected_return, -puts.excess),
        uncertainty=padded(inputs.uncertainty),
        covariance=limits.root.T @ limits.root,
        before=padded(inputs.before),
        linear_cost=padded(inputs.linear_cost),
        impact=padded(inputs.impact),
        lower=padded(inputs.lower),
        upper=padded(inputs.upper, columns.most),
        # All that is pulled so far is by puts held: a put's price moves by its delta.
        pull=None if inputs.pull is None else moved(inputs.pull),
        holding_cost=None if inputs.holding_cost is None else padded(inputs.holding_cost),
        omega_root=None if inputs.omega_root is None else padded(inputs.omega_root),
        factors=None,
        specific=None,
        limits=limits,
    )


def _limits_with(limits: LimitArrays, puts: Puts, columns: _Columns) -> LimitArrays:
    """Return the limits with the columns of puts, and their premium in a row."""
    moved, padded = columns.moved, columns.padded
    premium = np.concatenate([np.zeros(limits.root.shape[1]), puts.premium])
    return replace(
        limits,
        coin=padded(limits.coin),
        account=padded(limits.account),
        cluster=padded(limits.cluster),
        tier_rates=padded(limits.tier_rates),
        tier_deductions=padded(limits.tier_deductions),
        linear=padded(limits.linear, columns.none + 1.0),
        root=moved(limits.root),
        sigma=padded(limits.sigma),
        trade_max=padded(limits.trade_max, columns.most),
        trade_min=padded(limits.trade_min),
        size_max=padded(limits.size_max, columns.most),
        initial_rate=padded(limits.initial_rate),
        stress=padded(limits.stress),
        rows=np.vstack([padded(limits.rows), premium]),
        row_max=np.append(limits.row_max, puts.premium_max),
        row_names=(*limits.row_names, PREMIUM_ROW),
        scenarios=np.hstack([limits.scenarios, puts.gains[: len(limits.scenarios)]]),
        market=moved(limits.market),
    )


def holding(inputs: ProgramInputs, puts: Puts, weights: FloatArray) -> ProgramInputs:
    """Return the program of perpetuals alone, with puts of `weights` (K,) held beside them.

    Its objective is that of both together: the puts' price above their value, and their own risk,
    are in its constant.
    """
    limits = inputs.limits
    moved = puts.delta * weights
    by_contract = np.bincount(puts.reference, weights=moved, minlength=len(inputs.before))
    offset = limits.root @ by_contract
    arrays = replace(
        limits,
        root_offset=limits.root_offset + offset,
        scenario_offset=limits.scenario_offset + puts.gains[: len(limits.scenarios)] @ weights,
        market_offset=limits.market_offset + float(limits.market @ by_contract),
    )
    before = np.zeros(len(inputs.before)) if inputs.pull is None else inputs.pull
    pull = before - inputs.risk_aversion * (limits.root.T @ offset)
    risk = offset @ (offset + 2.0 * limits.root_offset)
    charge = float(puts.excess @ weights) + 0.5 * inputs.risk_aversion * float(risk)
    return replace(inputs, limits=arrays, pull=pull, constant=inputs.constant - charge)


def held_already(inputs: ProgramInputs, puts: Puts) -> ProgramInputs:
    """Return the program with what the desk says it holds: paid for, before and after a trade."""
    coins = np.array([quote.held for quote in puts.quotes])
    paid = replace(puts, excess=np.zeros_like(puts.excess))
    return holding(inputs, paid, coins * puts.spot / float(inputs.equity))


def hedge_row(quote: PutQuote, coins: float, delta: float, why: str) -> HedgeRow:
    """Return the record of a put of which `coins` are bought."""
    premium = decimal_of(max(quote.premium_usd, 0.0), "premium") * decimal_of(coins, "quantity")
    return HedgeRow(
        name=quote.name,
        coin=quote.coin,
        strike=quote.strike,
        expiry_ms=quote.expiry_ms,
        quantity=round(coins, KEPT_DECIMALS),
        premium_usd=to_cents(premium),
        delta=round(delta, KEPT_DECIMALS),
        why=why,
        held=quote.held,
    )
