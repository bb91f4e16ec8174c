"""Puts as columns of the program: their value, delta and payoff on each path (method §6).

A put is bought for what it takes off the risk and off the worst scenarios, never for a gain: where
it costs less than it is worth at the forecast volatility, the difference is not counted. No venue
that perptui reaches lists it: it is no margin asset, in no account, and bought by hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perptui.model.clock import DAY_MS, iso
from perptui.model.forecast import InstrumentForecast
from perptui.model.money import decimal_of, to_cents
from perptui.model.proposal import HedgeRow
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import PutQuote
from perptui.optimization.forecasts import DAYS_A_YEAR
from perptui.optimization.inputs import Contract, FloatArray, ProgramInputs
from perptui.optimization.scenarios import HorizonScenarios

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


def put_value(
    spot: FloatArray, strike: float, volatility: float, years: float
) -> tuple[FloatArray, FloatArray]:
    """Return value and delta of a European put at zero interest (Black and Scholes 1973), per coin.

    P = K N(-d2) - S N(-d1), delta = -N(-d1), d1 = (ln(S/K) + s²T/2)/(s sqrt T), d2 = d1 - s sqrt T;
    at expiry max(K - S, 0), and -1 or 0.

    Parameters
    ----------
    spot : array
        Prices of the coin, positive, USD.
    volatility, years : float
        Annualised; time to expiry, at least 0.
    """
    from scipy.special import ndtr

    deviation = volatility * math.sqrt(years)
    if deviation <= 0.0:
        return np.maximum(strike - spot, 0.0), -(spot < strike).astype(float)
    d1 = np.log(spot / strike) / deviation + 0.5 * deviation
    value = strike * ndtr(deviation - d1) - spot * ndtr(-d1)
    return np.maximum(value, 0.0), -ndtr(-d1)


def refusal(quote: PutQuote, spot: float | None, as_of_ms: int, horizon_days: float) -> str:
    """Return why a quote cannot be used, with the cure; "" where it can.

    Parameters
    ----------
    spot : float or None
        Price of its coin; None: the program has no contract of it with estimates.
    """
    if min(quote.strike, quote.premium_usd, quote.step) <= 0.0:
        return (
            f"expected a positive strike, premium and step, was {quote.strike:g}, "
            f"{quote.premium_usd:g} and {quote.step:g}; mend the quote"
        )
    if quote.expiry_ms <= as_of_ms:
        return f"expected an expiry ahead, was {iso(quote.expiry_ms)}; take the quote out"
    if quote.expiry_ms < as_of_ms + horizon_days * DAY_MS:
        return (
            f"expected an expiry at the horizon of {horizon_days:g} d or later, was "
            f"{iso(quote.expiry_ms)}; quote a later one, or shorten the horizon"
        )
    if spot is None:
        return f"expected a contract of {quote.coin} with estimates, was none; add one"
    if quote.premium_usd < quote.strike - spot:
        return (
            f"expected a premium of at least {quote.strike - spot:.6g} USD, what the put is worth "
            f"at once, was {quote.premium_usd:g}; ask for a fresh quote"
        )
    return ""


def put_offer(
    inputs: ProgramInputs,
    quotes: Sequence[PutQuote],
    strategy: StrategyParameters,
    scenarios: HorizonScenarios,
    as_of_ms: int,
) -> tuple[Puts | None, tuple[HedgeRow, ...]]:
    """Return the puts to choose from, None where there are none, and the rows of those refused.

    Parameters
    ----------
    inputs : ProgramInputs
        Of the program without puts.
    scenarios : HorizonScenarios
        Those of `inputs`, for the coins' prices.
    """
    usable, refused = [], []
    for quote in quotes:
        column = _reference(inputs.contracts, quote.coin)
        forecast = None if column is None else inputs.contracts[column].forecast
        spot = None if column is None else float(inputs.contracts[column].mark)
        why = refusal(quote, spot, as_of_ms, inputs.horizon_days)
        if not why and scenarios.paths and quote.coin not in scenarios.coins:
            why = f"expected scenarios of {quote.coin}, was none; wait for its history"
        if column is None or forecast is None or spot is None or why:
            refused.append(hedge_row(quote, 0.0, 0.0, f"refused: {why}"))
        else:
            usable.append((quote, column, spot, forecast))
    if not usable:
        return None, tuple(refused)
    priced = [
        _priced(quote, spot, forecast, inputs.horizon_days, strategy, scenarios, as_of_ms)
        for quote, _, spot, forecast in usable
    ]
    value, delta = (np.array([one[place] for one in priced]) for place in (0, 1))
    spots = np.array([spot for _, _, spot, _ in usable])
    premium = np.array([quote.premium_usd for quote, *_ in usable])
    puts = Puts(
        quotes=tuple(quote for quote, *_ in usable),
        spot=spots,
        reference=np.array([column for _, column, *_ in usable], dtype=np.int64),
        delta=delta,
        premium=premium / spots,
        excess=np.maximum(premium - value, 0.0) / spots,
        gains=(np.column_stack([one[2] for one in priced]) - premium) / spots,
        premium_max=strategy.put_premium_max,
    )
    return puts, tuple(refused)


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
    spot: float,
    forecast: InstrumentForecast,
    horizon_days: float,
    strategy: StrategyParameters,
    scenarios: HorizonScenarios,
    as_of_ms: int,
) -> tuple[float, float, FloatArray]:
    """Return value and delta now, and the value at the horizon's end on each path, per coin."""
    volatility = _volatility(forecast, strategy)
    years = (quote.expiry_ms - as_of_ms) / DAY_MS / DAYS_A_YEAR
    left = max(years - horizon_days / DAYS_A_YEAR, 0.0)
    value, delta = put_value(np.array([spot]), quote.strike, volatility, years)
    moves = scenarios.moves_of(quote.coin) if scenarios.paths else np.zeros(0)
    drift = math.expm1(horizon_days * forecast.drift.blend)
    ahead = np.maximum(spot * (1.0 + moves + drift), 1e-9 * spot)
    return float(value[0]), float(delta[0]), put_value(ahead, quote.strike, volatility, left)[0]


def _volatility(forecast: InstrumentForecast, strategy: StrategyParameters) -> float:
    row = forecast.volatility
    return row.combined if strategy.combined_volatility else row.ewma


def with_puts(inputs: ProgramInputs, puts: Puts) -> ProgramInputs:
    """Return the program's data with K more columns, in no coin, account or cluster.

    Of a perpetual's columns a put has what its delta moves: risk, and the covariance with the
    market; and its own value on every path. Its premium is a row. Beta and the first component are
    limits on what is held at venues, and leave it out.
    """
    count = len(puts.quotes)
    limits = inputs.limits
    most = puts.premium_max / puts.premium
    none = np.zeros(count)

    def moved(array: FloatArray) -> FloatArray:
        return np.concatenate([array, array[..., puts.reference] * puts.delta], axis=-1)

    def padded(array: FloatArray, value: FloatArray) -> FloatArray:
        filling = np.broadcast_to(value, (*array.shape[:-1], count))
        return np.concatenate([array, filling], axis=-1)

    root = moved(limits.root)
    premium = np.concatenate([np.zeros(len(inputs.before)), puts.premium])
    arrays = replace(
        limits,
        coin=padded(limits.coin, none),
        account=padded(limits.account, none),
        cluster=padded(limits.cluster, none),
        tier_rates=padded(limits.tier_rates, none),
        tier_deductions=padded(limits.tier_deductions, none),
        linear=padded(limits.linear, none + 1.0),
        root=root,
        sigma=padded(limits.sigma, none),
        trade_max=padded(limits.trade_max, most),
        trade_min=padded(limits.trade_min, none),
        size_max=padded(limits.size_max, most),
        initial_rate=padded(limits.initial_rate, none),
        stress=padded(limits.stress, none),
        rows=np.vstack([padded(limits.rows, none), premium]),
        row_max=np.append(limits.row_max, puts.premium_max),
        row_names=(*limits.row_names, PREMIUM_ROW),
        scenarios=np.hstack([limits.scenarios, puts.gains[: len(limits.scenarios)]]),
        market=moved(limits.market),
    )
    return replace(
        inputs,
        expected_return=padded(inputs.expected_return, -puts.excess),
        uncertainty=padded(inputs.uncertainty, none),
        covariance=root.T @ root,
        before=padded(inputs.before, none),
        linear_cost=padded(inputs.linear_cost, none),
        impact=padded(inputs.impact, none),
        lower=padded(inputs.lower, none),
        upper=padded(inputs.upper, most),
        pull=None if inputs.pull is None else padded(inputs.pull, none),
        holding_cost=None if inputs.holding_cost is None else padded(inputs.holding_cost, none),
        omega_root=None if inputs.omega_root is None else padded(inputs.omega_root, none),
        factors=None,
        specific=None,
        limits=arrays,
    )


def holding(inputs: ProgramInputs, puts: Puts, weights: FloatArray) -> ProgramInputs:
    """Return the program of perpetuals alone, with puts of `weights` (K,) held beside them."""
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
    return replace(inputs, limits=arrays, pull=pull)


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
    )
