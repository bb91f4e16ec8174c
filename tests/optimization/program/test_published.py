"""Closed forms, and numbers that other libraries' documentation prints."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.convex import solve_roughly
from tests.optimization.program.random_programs import Shape, random_program


def bare(mean: FloatArray, sigma: FloatArray) -> ProgramInputs:
    """Return a program of nothing but mean and covariance; nothing limits it."""
    count = len(mean)
    inputs = random_program(Shape(count), 1)
    root: FloatArray = np.array(np.linalg.cholesky(sigma).T)
    limits = replace(
        inputs.limits,
        root=root,
        root_offset=np.zeros(count),
        sigma=np.sqrt(np.diag(sigma)),
        rows=np.zeros((0, count)),
        row_max=np.zeros(0),
        row_names=(),
    )
    return replace(
        inputs,
        expected_return=mean,
        covariance=sigma,
        uncertainty=np.zeros(count),
        linear_cost=np.zeros(count),
        risk_aversion=1.0,
        limits=limits,
    )


MEAN = np.array([0.01, -0.02, 0.015, 0.005])
ROOT = np.random.default_rng(7).normal(0.0, 0.05, (8, 4))
SIGMA = ROOT.T @ ROOT


@pytest.mark.parametrize("target", [0.02, 0.1])
def test_the_risk_target_form(target: float) -> None:
    """w = s_t S^-1 mu / sqrt(mu'S^-1 mu) (method §6)."""
    inputs = replace(bare(MEAN, SIGMA), risk_aversion=0.0)
    found = solve_roughly(replace(inputs, limits=replace(inputs.limits, volatility_max=target)))
    best = np.linalg.solve(SIGMA, MEAN)
    ratio = float(np.sqrt(MEAN @ best))
    assert found.exact == pytest.approx(target * best / ratio, abs=1e-6)
    # One more unit of risk brings the Sharpe ratio.
    assert found.prices["volatility"][0] == pytest.approx(ratio, rel=1e-6)


@pytest.mark.parametrize("doubt", [0.0, 0.2, 0.6])
def test_an_ellipsoid_like_the_covariance_takes_off_the_sharpe_ratio(doubt: float) -> None:
    """With W'W = Sigma along d = S^-1 mu: max (SR - k)s - gamma s²/2, so s = (SR - k)+ / gamma."""
    root: FloatArray = np.array(np.linalg.cholesky(SIGMA).T)
    inputs = replace(bare(MEAN, SIGMA), risk_aversion=3.0, ellipsoid=doubt, omega_root=root)
    best = np.linalg.solve(SIGMA, MEAN)
    ratio = float(np.sqrt(MEAN @ best))
    risk = max(ratio - doubt, 0.0) / 3.0
    assert solve_roughly(inputs).exact == pytest.approx(risk * best / ratio, abs=1e-5)


def test_robust_risk_adds_the_squared_sum_of_sizes() -> None:
    """N = 1: w = (|mu| - 0)/(gamma s² (1 + rho_S)) with the sign of mu."""
    inputs = bare(np.array([-0.02]), np.array([[0.01]]))
    limits = replace(inputs.limits, covariance_uncertainty=0.25)
    found = solve_roughly(replace(inputs, limits=limits, risk_aversion=4.0))
    assert found.exact == pytest.approx([-0.02 / (4.0 * 0.01 * 1.25)], abs=1e-7)


# Portfolio.estimatePortSharpeRatio, MathWorks Financial Toolbox documentation: the least variance
# of four assets, long only and fully invested, at three target returns, as printed there.
TOOLBOX_MEAN = np.array([0.05, 0.1, 0.12, 0.18])
TOOLBOX_SIGMA = np.array(
    [
        [0.0064, 0.00408, 0.00192, 0.0],
        [0.00408, 0.0289, 0.0204, 0.0119],
        [0.00192, 0.0204, 0.0576, 0.0336],
        [0.0, 0.0119, 0.0336, 0.1225],
    ]
)
TOOLBOX_WEIGHTS = {
    0.06: (0.8772, 0.0434, 0.0416, 0.0378),
    0.09: (0.5032, 0.2488, 0.0780, 0.1700),
    0.12: (0.1293, 0.4541, 0.1143, 0.3022),
}


@pytest.mark.parametrize("target", TOOLBOX_WEIGHTS)
def test_the_efficient_frontier_of_another_library(target: float) -> None:
    inputs = bare(np.zeros(4), TOOLBOX_SIGMA)
    # The budget is a floor where less risk wants less invested, and a cap where the return wants
    # more; the target return is a linear row.
    limits = replace(
        inputs.limits,
        net_min=1.0 if target < 0.07 else 0.0,
        net_max=1.0 + 1.0 * (target < 0.07),
        rows=-TOOLBOX_MEAN[None, :],
        row_max=np.array([-target]),
        row_names=("target",),
    )
    found = solve_roughly(replace(inputs, limits=limits, lower=np.zeros(4)))
    assert found.exact.sum() == pytest.approx(1.0, abs=1e-7)
    assert found.exact == pytest.approx(TOOLBOX_WEIGHTS[target], abs=5.1e-5)
