"""The program's data as frozen arrays, and the contracts behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from perptui.model.forecast import InstrumentForecast
from perptui.model.instrument import Instrument
from perptui.optimization.costs import trade_costs
from perptui.optimization.strategies import InForce
from perptui.risk.arrays import LimitArrays

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contract:
    """One contract of the program: what rounding, orders and checks need of it.

    Attributes
    ----------
    account : str
        Key of its margin account.
    mark, position : Decimal
        Mark price, USD; signed contracts before the trade.
    forecast : InstrumentForecast or None
        None: held without estimates, kept as it is unless the trader fixes a target.
    leverage : Decimal or None
        As the venue states it for the position.
    """

    instrument: Instrument
    account: str
    mark: Decimal
    position: Decimal
    forecast: InstrumentForecast | None
    leverage: Decimal | None = None

    @property
    def id(self) -> str:
        """Instrument id."""
        return self.instrument.id

    @property
    def usd_per_contract(self) -> Decimal:
        """Notional of one contract at the mark, USD."""
        size = self.instrument.contract_size
        return size * self.mark if self.instrument.linear else size

    @property
    def notional(self) -> Decimal:
        """Signed notional before the trade, USD."""
        return self.position * self.usd_per_contract


@dataclass(frozen=True, eq=False)
class ProgramInputs:
    """Everything the program, the rounding and the proposal rest on; N contracts sorted by id.

    Attributes
    ----------
    expected_return, uncertainty : (N,) arrays
        mu over the horizon, funding included, per unit long; z_c·sqrt(Omega_ii).
    covariance : (N, N) array
        Of returns over the horizon.
    before : (N,) array
        Weights before the trade.
    linear_cost, impact : (N,) arrays
        See `costs.trade_costs`.
    lower, upper : (N,) arrays
        Finite bounds on w: equal where a target is fixed, one-sided where only reducing is allowed.
    clusters : tuple of tuples of str
        Instrument ids of each correlation cluster of two or more.
    fixed : frozenset of str
        Ids whose target is not the program's choice.
    edited : mapping of str to float
        Targets that the trader fixed.
    pull : (N,) array, optional
        What a unit long gains in the objective beside its expected return: the risk that it takes
        off puts held, or the way to a book that is tracked.
    """

    contracts: tuple[Contract, ...]
    equity: Decimal
    account_equity: Mapping[str, Decimal]
    peak_equity: Decimal | None
    horizon_days: float
    expected_return: FloatArray
    uncertainty: FloatArray
    covariance: FloatArray
    before: FloatArray
    linear_cost: FloatArray
    impact: FloatArray
    lower: FloatArray
    upper: FloatArray
    risk_aversion: float
    cost_aversion: float
    limits: LimitArrays
    in_force: InForce
    cluster_max: float
    clusters: tuple[tuple[str, ...], ...]
    fixed: frozenset[str]
    edited: Mapping[str, float]
    reduce_only: bool
    notes: tuple[str, ...]
    pull: FloatArray | None = None

    @property
    def gain(self) -> FloatArray:
        """The objective's linear term in w, (N,): expected return and `pull`."""
        return self.expected_return if self.pull is None else self.expected_return + self.pull

    @property
    def ids(self) -> tuple[str, ...]:
        """Instrument ids, in the order of every array."""
        return tuple(contract.id for contract in self.contracts)

    def objective(self, weights: FloatArray) -> FloatArray:
        """Return the program's objective of books (..., N): fraction of equity over the horizon."""
        costs = trade_costs(weights - self.before, self.linear_cost, self.impact)
        risk = np.einsum("...i,ij,...j->...", weights, self.covariance, weights)
        return np.asarray(
            weights @ self.gain
            - np.abs(weights) @ self.uncertainty
            - self.cost_aversion * costs.sum(axis=-1)
            - 0.5 * self.risk_aversion * risk
        )
