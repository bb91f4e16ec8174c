"""What a what-if makes of the snapshot, the estimates and the rules before the program is posed.

Nothing is estimated anew here: a view takes the drift's place, a shock moves marks and what they
mean for accounts, a regime takes the label's place. Parameters that estimation itself reads are the
asker's to estimate again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np

from perptui.estimation.regime.exposure import exposure_scale
from perptui.model.account import Account, Position
from perptui.model.bent import bent_limits, bent_strategy
from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates, InstrumentForecast, RegimeForecast
from perptui.model.instrument import Instrument
from perptui.model.jobs import ProposeJob
from perptui.model.limit import Limits
from perptui.model.market import Quote
from perptui.model.money import ZERO
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import REGIMES, StrategyParameters
from perptui.model.whatif import EVERY, WhatIf
from perptui.optimization.inputs import ProgramInputs

DAYS_A_YEAR = 365.0


class Applied(NamedTuple):
    """What the program is posed from; `blended` as in `ProposeJob`."""

    snapshot: MarketSnapshot
    estimates: Estimates
    strategy: StrategyParameters
    limits: Limits
    blended: tuple[StrategyParameters, ...]


def applied(job: ProposeJob, estimates: Estimates) -> Applied:
    """Return everything with the job's what-if in it; the job's own where it bends nothing.

    Parameters
    ----------
    estimates : Estimates
        Of the job's snapshot, for the strategy with the what-if's parameters.

    Raises
    ------
    OptimizationError
        When the what-if names a contract or coin that is not there, or leaves no equity.
    """
    what_if = job.what_if
    strategy = bent_strategy(what_if, job.strategy)
    blended = tuple(bent_strategy(what_if, one) for one in job.blended)
    limits = bent_limits(what_if, job.limits)
    _refuse_unknown(job.snapshot, what_if)
    snapshot = _shocked(job.snapshot, what_if.shocks)
    _refuse_ruin(job.snapshot, snapshot, what_if.shocks)
    snapshot = _costly(_with_equity(snapshot, what_if.equity_usd), what_if.costs)
    return Applied(
        snapshot, _bent_estimates(estimates, what_if, snapshot, strategy), strategy, limits, blended
    )


def with_impact(inputs: ProgramInputs, costs: Mapping[str, float]) -> ProgramInputs:
    """Return posed inputs with the market impact that a what-if's factors on costs leave."""
    if not costs:
        return inputs
    factors = [_of(costs, one.id, one.instrument.coin, 1.0) for one in inputs.contracts]
    return replace(inputs, impact=inputs.impact * np.array(factors))


def _refuse_unknown(snapshot: MarketSnapshot, what_if: WhatIf) -> None:
    ids = {one.id for one in snapshot.instruments}
    coins = {one.coin for one in snapshot.instruments}
    for bent, known in (
        (what_if.views, ids | coins),
        (what_if.costs, ids | coins | {EVERY}),
        (what_if.shocks, coins | {EVERY}),
        ((key.partition(":")[2] or EVERY for key in what_if.stresses), coins | {EVERY}),
    ):
        unknown = sorted(set(bent) - known)
        if unknown:
            raise OptimizationError(
                f"expected a contract or coin of the desk, was {unknown[0]}; mend the what-if"
            )


def _of(bent: Mapping[str, float], identifier: str, coin: str, default: float) -> float:
    """Return what is bent for a contract: its own before its coin's, that before every one's."""
    for name in (identifier, coin, EVERY):
        if name in bent:
            return bent[name]
    return default


def _shocked(snapshot: MarketSnapshot, shocks: Mapping[str, float]) -> MarketSnapshot:
    """Return the snapshot after a move of prices: marks, and what they do to every account."""
    if not shocks:
        return snapshot
    instruments = {one.id: one for one in snapshot.instruments}
    moves = {
        one.id: Decimal(repr(_of(shocks, one.id, one.coin, 0.0))) for one in snapshot.instruments
    }
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    by_coin = {one.coin: moves[one.id] for one in snapshot.instruments}
    accounts = (
        _account_after(account, instruments, moves, marks, by_coin) for account in snapshot.accounts
    )
    return msgspec.structs.replace(
        snapshot,
        quotes=tuple(_moved(quote, moves[quote.id]) for quote in snapshot.quotes),
        accounts=tuple(accounts),
    )


def _refuse_ruin(
    before: MarketSnapshot, after: MarketSnapshot, shocks: Mapping[str, float]
) -> None:
    if before.equity_usd > 0 >= after.equity_usd:
        named = {"every coin" if coin == EVERY else coin: shocks[coin] for coin in sorted(shocks)}
        moves = ", ".join(f"{coin} {move:+.1%}" for coin, move in named.items())
        raise OptimizationError(
            f"expected a shock that leaves equity, was {moves}: it takes {before.equity_usd:.2f} "
            f"USD to {after.equity_usd:.2f}, every account is liquidated; bend a smaller one"
        )


def _moved(quote: Quote, move: Decimal) -> Quote:
    prices = {
        name: price * (1 + move)
        for name in ("mark", "index", "last", "bid", "ask")
        if (price := getattr(quote, name)) is not None
    }
    return msgspec.structs.replace(quote, **prices)


def _account_after(
    account: Account,
    instruments: Mapping[str, Instrument],
    moves: Mapping[str, Decimal],
    marks: Mapping[str, Decimal],
    by_coin: Mapping[str, Decimal],
) -> Account:
    """Return the account after the move: contracts and entries stay, equity takes the P&L.

    A linear position earns contracts·size·(P1 - P0). An inverse one earns Q·(1/P0 - 1/P1) coins
    (method §11), Q·move in USD at P1; collateral held in a coin moves with it.
    """
    held = by_coin.get(account.collateral, ZERO)
    earned, positions = ZERO, []
    for position in account.positions:
        one, mark, move = instruments[position.id], marks[position.id], moves[position.id]
        notional = position.contracts * one.contract_size * (mark if one.linear else 1)
        earned += notional * move
        positions.append(_position_after(position, mark * (1 + move), notional * move))
    return msgspec.structs.replace(
        account,
        wallet_usd=account.wallet_usd * (1 + held),
        equity_usd=account.equity_usd * (1 + held) + earned,
        positions=tuple(positions),
        available_usd=None,
        initial_margin_usd=None,
        maintenance_margin_usd=None,
    )


def _position_after(position: Position, mark: Decimal, earned: Decimal) -> Position:
    before = position.unrealised_usd
    return msgspec.structs.replace(
        position,
        mark_price=mark,
        unrealised_usd=None if before is None else before + earned,
    )


def _with_equity(snapshot: MarketSnapshot, equity_usd: Decimal | None) -> MarketSnapshot:
    """Return the snapshot with another total: accounts keep their shares and their positions."""
    if equity_usd is None:
        return snapshot
    total = snapshot.equity_usd
    if total <= 0:
        raise OptimizationError(
            f"expected a positive equity to scale, was {total}; fund an account first"
        )
    factor, peak = equity_usd / total, snapshot.peak_equity_usd
    return msgspec.structs.replace(
        snapshot,
        accounts=tuple(
            _funded(account, account.equity_usd * factor) for account in snapshot.accounts
        ),
        peak_equity_usd=None if peak is None else peak * factor,
    )


def _funded(account: Account, equity: Decimal) -> Account:
    unrealised = account.equity_usd - account.wallet_usd
    return msgspec.structs.replace(
        account,
        equity_usd=equity,
        wallet_usd=equity - unrealised,
        available_usd=None,
        initial_margin_usd=None,
        maintenance_margin_usd=None,
    )


def _costly(snapshot: MarketSnapshot, costs: Mapping[str, float]) -> MarketSnapshot:
    if not costs:
        return snapshot
    instruments = tuple(
        msgspec.structs.replace(
            one, taker_fee=one.taker_fee * Decimal(repr(_of(costs, one.id, one.coin, 1.0)))
        )
        for one in snapshot.instruments
    )
    return msgspec.structs.replace(snapshot, instruments=instruments)


def _bent_estimates(
    estimates: Estimates, what_if: WhatIf, snapshot: MarketSnapshot, strategy: StrategyParameters
) -> Estimates:
    if not (what_if.views or what_if.costs or what_if.shocks or what_if.regime):
        return estimates
    marks = {quote.id: float(quote.mark) for quote in snapshot.quotes}
    rows = (_row(row, what_if, marks, estimates.horizon_days) for row in estimates.instruments)
    regime = estimates.regime
    if what_if.regime:
        regime = _regime(estimates, what_if.regime, strategy)
    return msgspec.structs.replace(estimates, instruments=tuple(rows), regime=regime)


def _row(
    row: InstrumentForecast, what_if: WhatIf, marks: Mapping[str, float], horizon_days: float
) -> InstrumentForecast:
    """Return a forecast with the trader's drift, costs and the shocked mark.

    A view D a year becomes D·H/365 over the horizon, less the expected funding, which stays.
    """
    changed = msgspec.structs.replace(
        row,
        mark=marks.get(row.id, row.mark),
        half_spread=row.half_spread * _of(what_if.costs, row.id, row.coin, 1.0),
    )
    if row.id not in what_if.views and row.coin not in what_if.views:
        return changed
    view = _of(what_if.views, row.id, row.coin, 0.0)
    expected = view * horizon_days / DAYS_A_YEAR - row.funding.horizon_mean
    drift = msgspec.structs.replace(row.drift, blend=view / DAYS_A_YEAR)
    return msgspec.structs.replace(changed, expected_return=expected, drift=drift)


def _regime(estimates: Estimates, label: str, strategy: StrategyParameters) -> RegimeForecast:
    """Return the regime as if it were known to be `label`, its exposure not limited in its pace."""
    chances = (
        float(label == REGIMES[0]),
        float(label == REGIMES[1]),
        float(label == REGIMES[2]),
        float(label == REGIMES[3]),
    )
    exposure = strategy.exposure_by_regime[REGIMES.index(label)]
    if estimates.book_volatility is not None:
        exposure = exposure_scale(chances, estimates.book_volatility, strategy, None)
    return msgspec.structs.replace(
        estimates.regime,
        label=label,
        probabilities=chances,
        exposure=exposure,
        evidence=(f"{label}: supposed",),
    )
