"""The program's data as frozen arrays, and the contracts behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import numpy as np
import numpy.typing as npt

from perptui.model.forecast import InstrumentForecast
from perptui.model.instrument import Instrument
from perptui.optimization.costs import trade_costs
from perptui.optimization.strategies import InForce
from perptui.optimization.tail_rows import TailRows
from perptui.risk.arrays import LimitArrays, limit_excess

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
    venue_liquidation : Decimal or None
        Liquidation price of the position as the venue states it, USD.
    """

    instrument: Instrument
    account: str
    mark: Decimal
    position: Decimal
    forecast: InstrumentForecast | None
    leverage: Decimal | None = None
    venue_liquidation: Decimal | None = None

    @property
    def id(self) -> str:
        """Instrument id."""
        return self.instrument.id

    @cached_property
    def usd_per_contract(self) -> Decimal:
        """Notional of one contract at the mark, USD."""
        size = self.instrument.contract_size
        return size * self.mark if self.instrument.linear else size

    @cached_property
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
    holding_cost : (N,) array, optional
        Venue and borrow cost of a unit held over the horizon, either side.
    ellipsoid, omega_root : float, (R, N) array, optional
        k and W, with W'W = Omega, of the worst case k·|W w| of the mean. A box has `uncertainty`.
    stablecoin_yield : float
        What equity that no initial margin binds earns over the horizon, fraction.
    soft_prices : mapping of str to float
        What a weight unit beyond each soft limit costs, by its name in `limit_excess`.
    soft_levels : tuple of tuples of str
        Names of soft limits level by level, the most important first: the least violation of each
        in turn. Empty: at their prices.
    tail_rows : TailRows, optional
        One split of the scenarios, for a program in the search for the CVaR cap's optimum.
    factors, specific : (R, N), (N,) arrays, optional
        Sigma = factors'factors + diag(specific), where that is how it was estimated; its root in
        `limits` is then the factors above diag(sqrt(specific)).
    constant : float
        What puts add to the objective whatever is traded: less what they cost above their value
        and their own risk.
    unhedged : ProgramInputs, optional
        The same program without puts that are still to be bought; None: there are none.
    sigma, covariance_uncertainty : (N,) array, float, optional
        Those of the objective's robust risk where another's limits hold (a hybrid's parts), with
        the covariance that `limits` has not either; None: those of the limits.
    funding : (N,) array, optional
        Expected funding over the horizon where the contracts' own forecasts are another's.
    left_out : mapping of str to float
        Trades too small to be made, weight, by id: their contracts stay as they are.
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
    holding_cost: FloatArray | None = None
    ellipsoid: float = 0.0
    omega_root: FloatArray | None = None
    stablecoin_yield: float = 0.0
    soft_prices: Mapping[str, float] = field(default_factory=dict)
    soft_levels: tuple[tuple[str, ...], ...] = ()
    tail_rows: TailRows | None = None
    factors: FloatArray | None = None
    specific: FloatArray | None = None
    constant: float = 0.0
    unhedged: ProgramInputs | None = None
    sigma: FloatArray | None = None
    covariance_uncertainty: float | None = None
    funding: FloatArray | None = None
    left_out: Mapping[str, float] = field(default_factory=dict)

    @property
    def charged_sigma(self) -> FloatArray:
        """Standalone deviations that the objective's robust risk is charged by, (N,)."""
        return self.limits.sigma if self.sigma is None else self.sigma

    @property
    def charged_uncertainty(self) -> float:
        """rho_S of the objective's robust risk."""
        own = self.covariance_uncertainty
        return self.limits.covariance_uncertainty if own is None else own

    @cached_property
    def limited_covariance(self) -> FloatArray:
        """Sigma of the risk limit, (N, N): the objective's unless another's limits hold."""
        if self.sigma is None:
            return self.covariance
        return np.asarray(self.limits.root.T @ self.limits.root)

    @property
    def gain(self) -> FloatArray:
        """The objective's linear term in w, (N,): expected return and `pull`."""
        return self.expected_return if self.pull is None else self.expected_return + self.pull

    @property
    def size_cost(self) -> FloatArray:
        """What a unit of |w| costs, (N,): the box of the mean, holding, yield forgone on margin."""
        holding = 0.0 if self.holding_cost is None else self.holding_cost
        forgone = self.stablecoin_yield * self.limits.initial_rate
        return np.asarray(self.uncertainty + holding + forgone)

    @property
    def trade_cost(self) -> FloatArray:
        """What a unit of |z| costs, (N,), impact left out, at the cost aversion."""
        return np.asarray(self.cost_aversion * self.linear_cost)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Instrument ids, in the order of every array."""
        return tuple(contract.id for contract in self.contracts)

    def objective(self, weights: FloatArray) -> FloatArray:
        """Return the program's objective of books (..., N): fraction of equity over the horizon.

        gain'w - k|W w| - c'|w| + y - lam_c·cost(z) - ½ gamma [w'Sigma w + rho_S (sigma'|w|)²]
        - sum_p W_p·pos(excess_p) + constant, with y the yield of all equity in stablecoins.
        """
        costs = trade_costs(weights - self.before, self.linear_cost, self.impact)
        size = np.abs(weights)
        risk = np.einsum("...i,ij,...j->...", weights, self.covariance, weights)
        risk = risk + self.charged_uncertainty * (size @ self.charged_sigma) ** 2
        return np.asarray(
            weights @ self.gain
            - size @ self.size_cost
            - self._doubt(weights)
            + self.stablecoin_yield
            + self.constant
            - self.cost_aversion * costs.sum(axis=-1)
            - 0.5 * self.risk_aversion * risk
            - self._penalty(weights)
        )

    def _doubt(self, weights: FloatArray) -> FloatArray | float:
        if self.omega_root is None or self.ellipsoid == 0.0:
            return 0.0
        return np.asarray(self.ellipsoid * np.linalg.norm(weights @ self.omega_root.T, axis=-1))

    def _penalty(self, weights: FloatArray) -> FloatArray | float:
        if not self.soft_prices:
            return 0.0
        excess = limit_excess(np.atleast_2d(weights), self.before, self.limits)
        charge = np.zeros(len(np.atleast_2d(weights)))
        for name, price in self.soft_prices.items():
            if name in excess:
                charge += price * np.maximum(excess[name], 0.0).sum(axis=1)
        return charge.reshape(weights.shape[:-1])
