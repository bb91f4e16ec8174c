"""The book before the trade: its contracts, what is forecast of it, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.model.money import ZERO
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.optimization.bounds import TAIL, trade_caps, turnover_cap
from perptui.optimization.contracts import contracts_of
from perptui.optimization.forecasts import DAYS_A_YEAR, ForecastArrays
from perptui.optimization.inputs import Contract, FloatArray
from perptui.optimization.scenarios import HorizonScenarios
from perptui.optimization.strategies import REACH, Standing
from perptui.risk.tail import shortfall


@dataclass(frozen=True, eq=False)
class BookBefore:
    """The book before the trade, and what is forecast of it.

    Attributes
    ----------
    before : (N,) array
        Weights.
    returns : (S, N) array
        Returns over the horizon on each path; S is 0 without scenarios.
    """

    contracts: tuple[Contract, ...]
    account_equity: Mapping[str, Decimal]
    before: FloatArray
    forecasts: ForecastArrays
    returns: FloatArray
    drawdown: float

    def returns_with(self, targets: Mapping[str, float]) -> FloatArray:
        """Return the paths (S, N) for fixed targets, by instrument id.

        A contract without scenarios never gains on any (`HorizonScenarios.returns`): where its
        target is on the other side of its position, its path is turned.
        """
        fixed = np.array([targets.get(one.id, 0.0) for one in self.contracts])
        unseen = np.array([one.forecast is None for one in self.contracts])
        turned = unseen & (fixed * self.before < 0.0)
        return self.returns * np.where(turned, -1.0, 1.0) if turned.any() else self.returns


def book_before(
    snapshot: MarketSnapshot,
    estimates: Estimates,
    strategy: StrategyParameters,
    scenarios: HorizonScenarios | None,
) -> BookBefore:
    """Return the book of a snapshot with its forecasts.

    Parameters
    ----------
    scenarios : HorizonScenarios, optional
        Of the same estimates.

    Raises
    ------
    OptimizationError
        When there is nothing to optimise, equity is not positive, or the estimates are of another
        time or horizon.
    """
    _refuse_mismatch(snapshot, estimates, strategy)
    equity = snapshot.equity_usd
    contracts = contracts_of(snapshot, estimates)
    forecasts = ForecastArrays.of(contracts, estimates, strategy)
    before = np.array([float(contract.notional / equity) for contract in contracts])
    ids = [contract.id for contract in contracts]
    return BookBefore(
        contracts,
        {account.key: account.equity_usd for account in snapshot.accounts},
        before,
        forecasts,
        np.zeros((0, len(ids)))
        if scenarios is None
        else scenarios.returns(ids, forecasts.expected_return, before),
        _drawdown(snapshot, equity),
    )


def _refuse_mismatch(
    snapshot: MarketSnapshot, estimates: Estimates, strategy: StrategyParameters
) -> None:
    equity = snapshot.equity_usd
    if equity <= 0:
        raise OptimizationError(f"expected a positive equity, was {equity}; fund an account first")
    if estimates.as_of_ms > snapshot.as_of_ms:
        raise OptimizationError("expected estimates no younger than the snapshot; estimate again")
    if estimates.horizon_days != strategy.horizon_days:
        raise OptimizationError(
            f"expected estimates over {strategy.horizon_days:g} d, was "
            f"{estimates.horizon_days:g} d; estimate again for this strategy"
        )


def standing_of(book: BookBefore, strategy: StrategyParameters, limits: Limits) -> Standing:
    """Return where the book stands before the trade."""
    size, covariance = np.abs(book.before), book.forecasts.covariance
    variance = float(book.before @ covariance @ book.before)
    alone = float(size @ np.sqrt(np.diag(covariance)))
    robust = variance + strategy.covariance_uncertainty * alone**2
    year = DAYS_A_YEAR / strategy.horizon_days
    paths = book.returns @ book.before
    return Standing(
        gross=float(size.sum()),
        volatility=float(np.sqrt(max(robust, 0.0) * year)),
        shortfall=float(shortfall(paths[None, :], TAIL)[0]) if len(paths) else None,
        drawdown=book.drawdown,
        reach=_reach(book, limits),
    )


def _reach(book: BookBefore, limits: Limits) -> float:
    """Return the share by which one proposal could cut every position at once."""
    size = np.abs(book.before)
    if not size.any():
        return 1.0
    equity = float(sum(book.account_equity.values(), ZERO))
    trade_max = trade_caps(book.contracts, limits, book.forecasts.volume, equity)
    held = size > 0
    stuck = [one.forecast is None or not one.instrument.active for one in book.contracts]
    stuck_too = [one.id in limits.restricted for one in book.contracts]
    if (held & (np.array(stuck) | np.array(stuck_too))).any():
        return 0.0
    by_turnover = 2.0 * turnover_cap(limits, equity) * REACH / float(size.sum())
    return float(min(1.0, by_turnover, *(REACH * trade_max[held] / size[held])))


def _drawdown(snapshot: MarketSnapshot, equity: Decimal) -> float:
    peak = snapshot.peak_equity_usd
    return 0.0 if peak is None or peak <= equity else float(1 - equity / peak)
