"""The optimiser's peers: one line of JSON in, a problem; one out, seconds and weights by peer.

Run in the environment of `optimiser.txt`; imports nothing of the project. Every peer gets the same
numbers and, where its class allows it, states the same problem:

    maximise  mu'w - c'|w - w0| - gamma/2 w'Sigma w - k|W w|
    with      |w|_1 <= gross, net_min <= 1'w <= net_max, |w_i| <= bound_i,
              sum_i max_k(r_ki |w_i| - d_ki) <= margin,  S given as factors F'F + diag(D) or dense.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import riskfolio
from pypfopt import EfficientFrontier
from pypfopt.exceptions import OptimizationError
from skfolio.moments import BaseCovariance, BaseMu
from skfolio.optimization import MeanRisk, ObjectiveFunction
from skfolio.prior import EmpiricalPrior
from skfolio.uncertainty_set import BaseMuUncertaintySet, UncertaintySet

warnings.filterwarnings("ignore")
TOLERANCES = ("tol_gap_abs", "tol_gap_rel", "tol_feas")
TIGHT = (1e-12, 1e-11, 1e-10)
FAILURES = (ValueError, RuntimeError, OptimizationError, cp.error.SolverError)
Array = np.ndarray


class GivenMu(BaseMu):
    """Expected returns that were given."""

    def __init__(self, given: Array | None = None) -> None:
        self.given = given

    def fit(self, X: Array, y: None = None) -> Any:
        """Take what was given."""
        self.n_features_in_ = X.shape[1]
        self.mu_ = self.given
        return self


class GivenCovariance(BaseCovariance):
    """A covariance that was given."""

    def __init__(self, given: Array | None = None) -> None:
        super().__init__()
        self.given = given

    def fit(self, X: Array, y: None = None) -> Any:
        """Take what was given."""
        self.n_features_in_ = X.shape[1]
        self.covariance_ = self.given
        return self


class GivenEllipsoid(BaseMuUncertaintySet):
    """An ellipsoid of expected returns that was given: radius k, root W'."""

    def __init__(
        self, prior_estimator: Any = None, radius: float = 0.0, root: Array | None = None
    ) -> None:
        super().__init__(prior_estimator)
        self.radius = radius
        self.root = root

    def fit(self, X: Array, y: None = None, **fit_params: Any) -> Any:
        """Take what was given."""
        self.uncertainty_set_ = UncertaintySet(radius=self.radius, geometry=self.root.T, norm=2.0)
        return self


class Given:
    """One problem's numbers as arrays."""

    def __init__(self, line: str) -> None:
        told = json.loads(line)
        self.kind = told["kind"]
        arrays = ("mu", "sigma", "cost", "before", "bound", "rates", "deductions", "root")
        for name in arrays:
            setattr(self, name, None if told.get(name) is None else np.array(told[name]))
        for name in ("gamma", "gross", "net_min", "net_max", "margin", "radius"):
            setattr(self, name, told.get(name, 0.0))
        self.n = len(self.mu)


def tiers(w: Any, given: Given) -> Any:
    """Return the maintenance margin of a book as an expression."""
    size = cp.abs(w)
    pieces = [cp.multiply(r, size) - d for r, d in zip(given.rates, given.deductions, strict=True)]
    return cp.sum(cp.max(cp.vstack(pieces), axis=0))


def limits(w: Any, given: Given) -> list[Any]:
    """Return the limits that are no attribute of a peer."""
    found = [cp.norm1(w) <= given.gross]
    if given.rates is not None:
        found.append(tiers(w, given) <= given.margin)
    return found


def loss(w: Any, given: Given) -> Any:
    """Return the objective, to be minimised."""
    found = (
        -given.mu @ w
        + given.cost @ cp.abs(w - given.before)
        + 0.5 * given.gamma * cp.quad_form(w, cp.psd_wrap(given.sigma))
    )
    if given.radius:
        found += given.radius * cp.norm(given.root @ w, 2)
    return found


def by_cvxpy(given: Given, options: dict[str, float]) -> Array:
    """Return the weights of a problem stated afresh, by Clarabel."""
    w = cp.Variable(given.n)
    net = cp.sum(w)
    rows = [*limits(w, given), net >= given.net_min, net <= given.net_max]
    rows += [w <= given.bound, w >= -given.bound]
    problem = cp.Problem(cp.Minimize(1e4 * loss(w, given)), rows)
    problem.solve(solver="CLARABEL", **options)
    if problem.status != "optimal":
        raise ValueError(f"cvxpy ended with {problem.status}")
    return w.value


def reference(given: Given) -> Array:
    """Return the weights at the tightest tolerance that Clarabel reaches."""
    for tolerance in TIGHT:
        try:
            return by_cvxpy(given, dict.fromkeys(TOLERANCES, tolerance))
        except ValueError:
            continue
    raise ValueError("no reference")


def by_pypfopt(given: Given) -> Array:
    """Return PyPortfolioOpt's weights: a custom objective, so the same problem."""
    peer = EfficientFrontier(
        given.mu,
        given.sigma,
        weight_bounds=list(zip(-given.bound, given.bound, strict=True)),
        solver="CLARABEL",
    )
    for row in (
        lambda w: cp.norm1(w) <= given.gross,
        lambda w: cp.sum(w) >= given.net_min,
        lambda w: cp.sum(w) <= given.net_max,
        lambda w: tiers(w, given) <= given.margin,
    ):
        peer.add_constraint(row)
    peer.convex_objective(lambda w: 1e4 * loss(w, given), weights_sum_to_one=False)
    return peer.weights


def by_skfolio(given: Given) -> Array:
    """Return skfolio's weights: its own costs, bounds and ellipsoid, the rest as constraints."""
    prior = EmpiricalPrior(
        mu_estimator=GivenMu(given.mu), covariance_estimator=GivenCovariance(given.sigma)
    )
    ellipsoid = GivenEllipsoid(radius=given.radius, root=given.root) if given.radius else None
    peer = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_aversion=0.5 * given.gamma,
        prior_estimator=prior,
        min_weights=-given.bound,
        max_weights=given.bound,
        budget=None,
        min_budget=given.net_min,
        max_budget=given.net_max,
        transaction_costs=given.cost,
        previous_weights=given.before,
        mu_uncertainty_set_estimator=ellipsoid,
        add_constraints=lambda w: limits(w, given),
    )
    returns = np.zeros((3, given.n))
    returns[0], returns[1] = 1e-3, -1e-3
    return peer.fit(returns).weights_


def by_riskfolio(given: Given, covariance_set: str | None) -> Array | None:
    """Return Riskfolio's weights of the nearest problem that its class has.

    1'w is an equality (0 here), gross is a cap on each side's sum, costs and margin tiers are not
    known to it; the ellipsoid of the mean is. `covariance_set` None or "box".
    """
    rng = np.random.default_rng(1)
    names = [f"a{k}" for k in range(given.n)]
    returns = pd.DataFrame(rng.normal(0, 0.01, (given.n + 10, given.n)), columns=names)
    peer = riskfolio.Portfolio(returns=returns)
    peer.mu = pd.DataFrame(given.mu[None, :], columns=names)
    peer.cov = pd.DataFrame(given.sigma, columns=names, index=names)
    spread = 0.02 * np.outer(*(2 * [np.sqrt(np.diag(given.sigma))]))
    peer.cov_l = peer.cov - spread
    peer.cov_u = peer.cov + spread
    peer.cov_mu = pd.DataFrame(given.root.T @ given.root, columns=names, index=names)
    peer.cov_sigma = pd.DataFrame(np.eye(1))
    peer.d_mu = pd.DataFrame(np.zeros((1, given.n)), columns=names)
    peer.k_mu, peer.k_sigma = given.radius, 0.0
    peer.sht, peer.budget, peer.budgetsht = True, 0.0, 0.5 * given.gross
    peer.uppersht = peer.upperlng = float(given.bound.max())
    peer.solvers = ["CLARABEL"]
    aversion = 0.5 * given.gamma
    found = peer.wc_optimization(obj="Utility", l=aversion, Umu="ellip", Ucov=covariance_set)
    return None if found is None else found.to_numpy().ravel()


def timed(call: Callable[[], Array | None]) -> list[Any]:
    """Return the CPU seconds of one call and its weights as a list, None where it failed."""
    begin = time.process_time()
    try:
        weights = call()
    except FAILURES as error:
        return [time.process_time() - begin, None, f"{type(error).__name__}: {error}"[:200]]
    seconds = time.process_time() - begin
    return [seconds, None if weights is None else np.asarray(weights).tolist(), ""]


def answers(given: Given) -> dict[str, list[Any]]:
    """Return every peer's answer to one problem, and the reference at 1e-12."""
    calls = {
        "cvxpy": lambda: by_cvxpy(given, {}),
        "skfolio": lambda: by_skfolio(given),
    }
    if given.kind == "what-if":
        calls["PyPortfolioOpt"] = lambda: by_pypfopt(given)
    if given.kind == "robust":
        calls["Riskfolio"] = lambda: by_riskfolio(given, None)
        calls["Riskfolio, box"] = lambda: by_riskfolio(given, "box")
    found = {name: timed(call) for name, call in calls.items()}
    found["reference"] = timed(lambda: reference(given))
    return found


def main() -> None:
    """Answer each line of standard input."""
    for line in sys.stdin:
        print(json.dumps(answers(Given(line))), flush=True)


if __name__ == "__main__":
    main()
