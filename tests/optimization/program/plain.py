"""The program written down a second time, plainly, from method §6, and solved at 1e-12.

Every number is a parameter, so that one shape is compiled once for many random programs; the
formulation shares nothing with that of the product.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs

ATTEMPTS = tuple(
    (scale, tolerance) for tolerance in (1e-12, 1e-11, 1e-10) for scale in (1e4, 1e3, 1e2, 1e5)
)
"""Objective units per unit of equity, and tolerance: in turn until one is optimal."""


@dataclass(frozen=True)
class Kind:
    """What one compiled reference is for."""

    contracts: int
    account: tuple[tuple[float, ...], ...]
    coins: int
    clusters: int
    tiers: int
    root: int
    rows: tuple[str, ...]
    stresses: tuple[str, ...]
    soft: frozenset[str]
    impact: bool
    ellipsoid: bool
    robust: bool

    @classmethod
    def of(cls, inputs: ProgramInputs) -> Kind:
        """Return the kind of a program."""
        limits = inputs.limits
        return cls(
            contracts=len(inputs.before),
            account=tuple(map(tuple, limits.account.tolist())),
            coins=len(limits.coin),
            clusters=len(limits.cluster),
            tiers=len(limits.tier_rates),
            root=len(limits.root),
            rows=limits.row_names,
            stresses=limits.stress_names,
            soft=frozenset(inputs.soft_prices),
            impact=bool(inputs.impact.any()),
            ellipsoid=inputs.ellipsoid > 0,
            robust=limits.covariance_uncertainty > 0,
        )


class Plain:
    """The reference for one kind of program."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self._parameters = kind, {}  # type: tuple[Kind, dict[str, Any]]
        self._w = cp.Variable(kind.contracts)
        self._constraints = [self._w >= self._of("lower"), self._w <= self._of("upper")]
        self._z = cp.Variable(kind.contracts)
        self._constraints.append(self._z == self._w - self._of("before"))
        objective = self._objective()
        for name, over in self._excesses().items():
            if name in kind.soft:
                objective = objective - self._of(f"price_{name}", ()) * cp.sum(
                    self._stand_in(cp.maximum(over, 0.0), over.shape)
                )
            else:
                self._constraints.append(over <= 0)
        self._problem = cp.Problem(cp.Maximize(objective), self._constraints)
        assert self._problem.is_dpp()

    def _of(self, name: str, shape: tuple[int, ...] | None = None) -> Any:
        if name not in self._parameters:
            size = (self.kind.contracts,) if shape is None else shape
            nonneg = name.startswith(("price", "cost", "rate"))
            self._parameters[name] = cp.Parameter(size, nonneg=nonneg)
        return self._parameters[name]

    def _stand_in(self, expression: Any, shape: tuple[int, ...]) -> Any:
        """Return a variable that is at least a convex expression: parameters must not multiply."""
        variable = cp.Variable(shape)
        self._constraints.append(expression <= variable)
        return variable

    def _objective(self) -> Any:
        kind, w, n = self.kind, self._w, self.kind.contracts
        total = (
            self._of("mean") @ w
            - self._of("cost_size") @ cp.abs(w)
            - self._of("cost_trade") @ cp.abs(self._z)
        )
        spread = cp.Variable(n)
        self._constraints.append(spread == self._of("half", (n, n)) @ w)
        total = total - cp.sum_squares(spread)
        if kind.robust:
            total = total - cp.sum_squares(self._stand_in(self._of("cost_robust") @ cp.abs(w), ()))
        if kind.ellipsoid:
            total = total - cp.norm(self._of("omega", (n, n)) @ w, 2)
        if kind.impact:
            total = total - self._of("cost_impact") @ cp.power(cp.abs(self._z), 1.5, approx=False)
        return total

    def _excesses(self) -> dict[str, Any]:
        kind, w, n, a = self.kind, self._w, self.kind.contracts, len(self.kind.account)
        size, z = cp.abs(w), self._z
        account, coin = np.array(kind.account), self._of("rate_coin", (kind.coins, n))
        scalar: tuple[int, ...] = ()
        spread = self._of("root", (kind.root, n)) @ w + self._of("offset", (kind.root,))
        if kind.robust:
            alone = cp.Variable()
            spread = cp.hstack([spread, alone])
        over = {
            "gross": cp.sum(size) - self._of("gross", scalar),
            "net_min": self._of("net_min", scalar) - cp.sum(w),
            "net_max": cp.sum(w) - self._of("net_max", scalar),
            "coin_net": cp.abs(coin @ w) - self._of("coin_net", scalar),
            "coin_gross": coin @ size - self._of("coin_gross", scalar),
            "venue_gross": account @ size - self._of("venue_gross", (a,)),
            "turnover": 0.5 * cp.norm1(z) - self._of("turnover", scalar),
            "volatility": cp.norm(spread, 2) - self._of("volatility", scalar),
            "participation": cp.abs(z) - self._of("participation"),
            "standalone_risk": size - self._of("standalone_risk"),
            "stablecoin": self._of("rate_initial") @ size - self._of("stablecoin", scalar),
            "free_collateral": self._of("rate_account_initial", (a, n)) @ size
            - self._of("free_collateral", (a,)),
            "margin_ratio": account @ self._margin("") - self._of("margin_ratio", (a,)),
        }
        if kind.robust:
            over["robust"] = self._of("cost_alone") @ size - alone
        if kind.clusters:
            over["cluster"] = self._of("rate_cluster", (kind.clusters, n)) @ size - self._of(
                "cluster", scalar
            )
        for name in kind.stresses:
            # (1 + cushion) stands in the rates and deductions already.
            needed = account @ self._margin(name)
            gained = self._of(f"gain_{name}", (a, n)) @ w
            over[f"stress_{name}"] = needed - gained - self._of(f"left_{name}", (a,))
        for name in kind.rows:
            over[name] = self._of(f"row_{name}") @ w - self._of(f"most_{name}", scalar)
        return over

    def _margin(self, stress: str) -> Any:
        n, size = self.kind.contracts, cp.abs(self._w)
        tiers = [
            cp.multiply(self._of(f"rate_{tier}_{stress}"), size)
            - self._of(f"deduction_{tier}_{stress}")
            for tier in range(self.kind.tiers)
        ]
        return cp.maximum(*tiers) if len(tiers) > 1 else tiers[0] + np.zeros(n)

    def weights(self, inputs: ProgramInputs) -> tuple[FloatArray, float]:
        """Return the optimal weights, and the tolerance that the solver came to."""
        status = ""
        for scale, tolerance in ATTEMPTS:
            for name, value in values(inputs, scale).items():
                if name in self._parameters:
                    self._parameters[name].value = value
            settings = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)
            try:
                with warnings.catch_warnings():
                    # An inaccurate answer is refused by its status.
                    warnings.simplefilter("ignore", UserWarning)
                    self._problem.solve(  # type: ignore[no-untyped-call]
                        cp.CLARABEL, warm_start=False, **settings
                    )
            except cp.SolverError:
                status = "an error"
                continue
            status = self._problem.status
            if status == "optimal":
                return np.asarray(self._w.value), tolerance
        raise AssertionError(f"the reference ended with {status}")


def values(inputs: ProgramInputs, scale: float) -> dict[str, Any]:
    """Return the value of every parameter, the objective's times `scale`."""
    limits, share = inputs.limits, inputs.limits.equity_share
    eigenvalues, vectors = np.linalg.eigh(inputs.covariance)
    half = np.sqrt(np.maximum(0.5 * scale * inputs.risk_aversion * eigenvalues, 0.0))
    holding = 0.0 if inputs.holding_cost is None else inputs.holding_cost
    robust = np.sqrt(limits.covariance_uncertainty)
    found: dict[str, Any] = {
        "before": inputs.before,
        "lower": inputs.lower,
        "upper": inputs.upper,
        "mean": scale * inputs.expected_return,
        "cost_size": scale
        * (inputs.uncertainty + holding + inputs.stablecoin_yield * limits.initial_rate),
        "cost_trade": scale * inputs.cost_aversion * inputs.linear_cost,
        "cost_impact": scale * inputs.cost_aversion * inputs.impact,
        "half": half[:, None] * vectors.T,
        "cost_robust": np.sqrt(0.5 * scale * inputs.risk_aversion) * robust * limits.sigma,
        "cost_alone": robust * limits.sigma,
        "root": limits.root,
        "offset": limits.root_offset,
        "rate_account_initial": limits.account * limits.initial_rate,
        "rate_coin": limits.coin,
        "rate_cluster": limits.cluster,
        "rate_initial": limits.initial_rate,
        "gross": limits.gross_max,
        "net_min": limits.net_min,
        "net_max": limits.net_max,
        "coin_net": limits.coin_net_max,
        "coin_gross": limits.coin_gross_max,
        "venue_gross": limits.venue_gross_max * share,
        "turnover": limits.turnover_max,
        "volatility": limits.volatility_max,
        "participation": limits.trade_max,
        "standalone_risk": limits.size_max,
        "stablecoin": 1.0 - limits.stablecoin_min,
        "free_collateral": (1.0 - limits.free_collateral_min) * share,
        "margin_ratio": limits.margin_ratio_max * share,
        "cluster": limits.cluster_max,
    }
    if inputs.omega_root is not None:
        found["omega"] = scale * inputs.ellipsoid * inputs.omega_root
    for name, price in inputs.soft_prices.items():
        found[f"price_{name}"] = scale * price
    for name, row, most in zip(limits.row_names, limits.rows, limits.row_max, strict=True):
        found |= {f"row_{name}": row, f"most_{name}": most}
    return found | _margins(inputs)


def _margins(inputs: ProgramInputs) -> dict[str, Any]:
    limits, found = inputs.limits, {}
    still = np.zeros(len(inputs.before))
    names, moves = ("", *limits.stress_names), (still, *limits.stress)
    for name, move in zip(names, moves, strict=True):
        more = 1.0 + limits.cushion if name else 1.0
        for tier, rates in enumerate(limits.tier_rates):
            found[f"rate_{tier}_{name}"] = more * rates * (1.0 + move * limits.linear)
            found[f"deduction_{tier}_{name}"] = more * limits.tier_deductions[tier]
        found[f"gain_{name}"] = limits.account * move
        found[f"left_{name}"] = (1.0 - limits.depeg) * limits.equity_share
    return found
