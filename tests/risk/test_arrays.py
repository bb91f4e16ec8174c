"""Every limit as arrays against plain sums, one book and one limit at a time."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.risk.arrays import (
    LimitArrays,
    cheap_excess,
    limit_excess,
    robust_risk,
)
from perptui.risk.tail import FloatArray, shortfall
from tests.risk.test_limits import arrays

GENERATOR = np.random.default_rng(8)
BEFORE = np.array([0.2, -0.1, 0.0, 0.3])
BOOKS = GENERATOR.normal(0.0, 0.6, (30, 4))


def full() -> LimitArrays:
    """Every limit on: inverse leg, depeg, named stress, rows, tail, correlation, offsets."""
    plain = arrays(0.5)
    root = plain.root
    market = root.T @ root[:, 0] / np.linalg.norm(root[:, 0])
    return replace(
        plain,
        linear=np.array([1.0, 1.0, 0.0, 1.0]),
        collateral_beta=np.array([0.0, 1.0]),
        depeg=0.03,
        stress=np.array([[0.2] * 4, [-0.2] * 4, [-0.3, -0.1, -0.3, 0.0]]),
        stress_names=("up", "down", "crash"),
        size_max=np.array([0.5, 0.6, 0.7, 0.8]),
        initial_rate=np.array([0.05, 0.1, 0.02, 0.2]),
        free_collateral_min=0.4,
        stablecoin_min=0.7,
        covariance_uncertainty=0.02,
        root_offset=np.array([0.01, 0.0, -0.02, 0.0]),
        rows=np.array([[1.0, 1.2, 1.0, 1.5], [-1.0, -1.2, -1.0, -1.5]]),
        row_max=np.array([0.4, 0.5]),
        row_names=("beta_up", "beta_down"),
        scenarios=GENERATOR.standard_t(4, (90, 4)) * 0.05,
        scenario_offset=GENERATOR.normal(0.0, 0.01, 90),
        tail=0.07,
        cvar_max=0.1,
        market=market,
        market_offset=-0.004,
        market_correlation_max=0.6,
    )


def stressed(w: FloatArray, limits: LimitArrays, row: int, account: int) -> float:
    """Method §6: loss, depeg and cushioned margin of the moved book, less equity."""
    needed = earned = 0.0
    for i in range(4):
        if not limits.account[account, i]:
            continue
        move = limits.stress[row, i]
        size = abs(w[i]) * (1.0 + move * limits.linear[i])
        needed += max(limits.tier_rates[:, i] * size - limits.tier_deductions[:, i])
        earned += w[i] * move
    share = limits.equity_share[account]
    coin = 0.0 if limits.collateral_beta is None else limits.collateral_beta[account]
    # The coin is that of the inverse leg, which falls by 30 % in the named stress.
    moved = (0.2, -0.2, -0.3)[row]
    return float(1.5 * needed - earned - share * (1.0 - 0.03 + coin * moved))


def test_each_limit_is_its_own_sum() -> None:
    limits = full()
    excess = limit_excess(BOOKS, BEFORE, limits)
    assert set(excess) == {
        "gross", "net_min", "net_max", "coin_net", "coin_gross", "turnover", "volatility",
        "participation", "cluster", "standalone_risk", "stablecoin", "beta_up", "beta_down",
        "venue_gross", "margin_ratio", "free_collateral", "stress_up", "stress_down",
        "stress_crash", "market_correlation", "cvar",
    }  # fmt: skip
    sigma = limits.root.T @ limits.root
    for row, w in enumerate(BOOKS):
        risk = np.linalg.norm(limits.root @ w + limits.root_offset)
        alone = sum(abs(w[i]) * sigma[i, i] ** 0.5 for i in range(4))
        expected = {
            "volatility": [(risk**2 + 0.02 * alone**2) ** 0.5 - limits.volatility_max],
            "standalone_risk": abs(w) - [0.5, 0.6, 0.7, 0.8],
            "stablecoin": [abs(w) @ [0.05, 0.1, 0.02, 0.2] - 0.3],
            "beta_up": [w @ [1.0, 1.2, 1.0, 1.5] - 0.4],
            "beta_down": [-w @ [1.0, 1.2, 1.0, 1.5] - 0.5],
            "free_collateral": [
                abs(w[0]) * 0.05 + abs(w[1]) * 0.1 - 0.6 * 0.75,
                abs(w[2]) * 0.02 + abs(w[3]) * 0.2 - 0.6 * 0.25,
            ],
            "market_correlation": [abs(w @ limits.market - 0.004) - 0.6 * risk],
            "cvar": shortfall((limits.scenarios @ w + limits.scenario_offset)[None, :], 0.07) - 0.1,
            **{
                f"stress_{name}": [stressed(w, limits, place, a) for a in range(2)]
                for place, name in enumerate(("up", "down", "crash"))
            },
        }
        for name, values in expected.items():
            assert excess[name][row] == pytest.approx(values, abs=1e-12), name
    assert robust_risk(BOOKS, limits) == pytest.approx(
        excess["volatility"][:, 0] + limits.volatility_max
    )


def test_what_is_off_has_no_name() -> None:
    plain = arrays(0.5)
    assert not {"cvar", "market_correlation"} & set(limit_excess(BOOKS, BEFORE, plain))
    assert set(limit_excess(BOOKS, BEFORE, full())) - set(cheap_excess(BOOKS, BEFORE, full())) == {
        "cvar"
    }


def test_a_book_without_risk_is_like_nothing() -> None:
    limits = replace(full(), root_offset=np.zeros(4), market_offset=0.0)
    assert limit_excess(np.zeros((1, 4)), BEFORE, limits)["market_correlation"][0, 0] < 0.0


def test_rows_are_found_by_name() -> None:
    limits = full()
    assert limits.row("beta_down").tolist() == [-1.0, -1.2, -1.0, -1.5]
    assert limits.row_bound("beta_down") == 0.5
    with pytest.raises(ValueError, match="not in tuple"):
        limits.row("gamma")
