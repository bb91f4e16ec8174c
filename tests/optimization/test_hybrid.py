"""The hybrid: shares, the tracking penalty, and what is done when the mixture breaks a limit."""

from dataclasses import replace

import cvxpy as cp
import msgspec
import numpy as np
import pytest

from perptui.model.forecast import RegimeForecast, RegimeVote
from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.optimization.hybrid import hybrid_rebalance, part_of, tactical_share, tracking
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.solve import solve
from perptui.risk.arrays import limit_excess
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    WIDE,
    covariance,
    estimates,
    instrument,
    snapshot,
)

COINS = ("BTC", "ETH", "SOL")
ONES = [instrument(coin) for coin in COINS]
MARKS = dict(zip([one.id for one in ONES], ("50000", "2500", "100"), strict=True))


def posed(
    expected: list[float],
    horizon: float = 10.0,
    limits: Limits = LIMITS,
    correlation: float = 0.6,
    strategy: StrategyParameters = BALANCED,
) -> ProgramInputs:
    """Return a program of three coins."""
    told = estimates(
        ONES,
        MARKS,
        expected,
        covariance([0.6, 0.7, 0.9], correlation, horizon),
        horizon_days=horizon,
        half_spread=0.0,
    )
    market = snapshot(ONES, MARKS, {"binanceusdm": "1000000"})
    posing = msgspec.structs.replace(strategy, horizon_days=horizon)
    return program_inputs(market, told, posing, limits, {})


def regime(*chances: float, models: tuple[float, ...] = ()) -> RegimeForecast:
    """Return a regime whose models say `models` of P(stress or crisis)."""
    votes = tuple(
        RegimeVote(f"model {k}", "", (1.0 - chance, 0.0, chance, 0.0))
        for k, chance in enumerate(models)
    )
    calm, normal, stress, crisis = chances
    return RegimeForecast("normal", (calm, normal, stress, crisis), 0, 1.0, (), votes)


@pytest.mark.parametrize(
    ("told", "share"),
    [
        (regime(0.6, 0.4, 0.0, 0.0), 0.0),
        (regime(0.0, 0.0, 0.3, 0.7), 1.0),
        (regime(0.1, 0.5, 0.3, 0.1), 0.4),
        (regime(0.1, 0.5, 0.3, 0.1, models=(0.4,)), 0.4),
        (regime(0.1, 0.5, 0.3, 0.1, models=(0.4, 0.4, 0.4)), 0.4),
        # Models half apart: confidence 1 - ½·½.
        (regime(0.1, 0.5, 0.3, 0.1, models=(0.2, 0.4, 0.7)), 0.4 * 0.75),
        (regime(0.1, 0.5, 0.3, 0.1, models=(0.0, 1.0)), 0.2),
    ],
)
def test_the_share_is_the_chance_of_stress_times_the_models_agreement(
    told: RegimeForecast, share: float
) -> None:
    assert tactical_share(told) == pytest.approx(share, abs=1e-12)


def test_the_share_rises_in_the_chance_and_in_the_agreement() -> None:
    for spread in (0.0, 0.2, 0.6):
        shares = [
            tactical_share(regime(1.0 - p, 0.0, p / 2, p / 2, models=(0.2, 0.2 + spread)))
            for p in np.linspace(0.0, 1.0, 11)
        ]
        assert (np.diff(shares) > 0).all()
    shares = [
        tactical_share(regime(0.5, 0.0, 0.5, 0.0, models=(0.2, 0.2 + spread)))
        for spread in np.linspace(0.8, 0.0, 9)
    ]
    assert (np.diff(shares) > 0).all()


def test_the_tracking_program_is_the_penalty_written_out() -> None:
    inputs = posed([0.03, 0.01, -0.02])
    mixture, eta = np.array([0.4, -0.2, 0.1]), 3.0
    tracked = tracking(inputs, mixture, eta)
    books = np.random.default_rng(3).normal(0.0, 0.5, (50, 3))
    away = books - mixture
    penalty = 0.5 * eta * np.einsum("mi,ij,mj->m", away, inputs.covariance, away)
    assert tracked.objective(books) == pytest.approx(inputs.objective(books) - penalty, abs=1e-12)
    assert tracking(inputs, mixture, 0.0) is inputs


def test_a_mixture_that_keeps_all_limits_is_proposed_as_it_is() -> None:
    core, tactical = posed([0.02, 0.01, -0.01]), posed([0.004, 0.006, -0.006], 2.0)
    own = posed([0.02, 0.01, -0.01])
    found = hybrid_rebalance(own, (core, tactical), 0.25, 4.0)
    wanted = 0.75 * solve(core).weights + 0.25 * solve(tactical).weights
    assert found.mixed
    assert found.answer.target == pytest.approx(wanted, abs=1e-9)
    assert found.answer.solution.status == "optimal"
    # Lots of a thousandth of a coin: the book in lots is the mixture to within four of them.
    unit = 0.001 * np.array([50000.0, 2500.0, 100.0]) / 1e6
    assert (np.abs(found.answer.rounded - wanted) <= 4 * 3 * unit + 1e-12).all()
    assert found.notes[0].startswith("25.0% tactical")
    whole = hybrid_rebalance(own, (core, tactical), 0.0, 4.0)
    assert whole.answer.target == pytest.approx(solve(core).weights, abs=1e-9)


def test_what_the_mixture_breaks_is_solved_again_near_it() -> None:
    """Parts that forecast half the risk hold what the hybrid's own forecast does not allow."""
    limits = msgspec.structs.replace(WIDE, volatility_max=0.25)
    own = posed([0.02, 0.01, 0.0], limits=limits)
    # Calmer covariances for the parts: what they hold is over the hybrid's own risk limit.
    calm = replace(own, limits=replace(own.limits, root=0.5 * own.limits.root))
    found = hybrid_rebalance(own, (calm, calm), 0.5, 50.0)
    assert not found.mixed
    assert "volatility" in found.notes[-1]
    assert found.answer.solution.status == "optimal"
    excess = limit_excess(found.answer.rounded[None, :], own.before, own.limits)
    assert max(float(part.max(initial=-1.0)) for part in excess.values()) <= 0.0
    # The heavier the penalty, the nearer to the mixture in units of risk.
    mixture = solve(calm).weights
    away = []
    for penalty in (0.0, 4.0, 50.0):
        target = hybrid_rebalance(own, (calm, calm), 0.5, penalty).answer.target
        away.append(float((target - mixture) @ own.covariance @ (target - mixture)))
    assert away[0] >= away[1] - 1e-10 >= away[2] - 2e-10


def test_without_an_optimum_of_a_part_the_hybrids_own_program_is_proposed() -> None:
    own = posed([0.02, 0.01, -0.01])
    impossible = replace(own, limits=replace(own.limits, net_min=0.5, net_max=-0.5))
    found = hybrid_rebalance(own, (own, impossible), 0.5, 4.0)
    assert not found.mixed
    assert not found.parts
    assert found.notes == ("the tactical part has no optimum: the hybrid's own is proposed",)
    assert found.answer.target == pytest.approx(solve(own).weights, abs=1e-9)


def test_trades_of_the_mixture_that_are_too_small_are_left_out() -> None:
    core = posed([0.02, 0.0, 0.0], correlation=0.0)
    tactical = posed([0.02, 0.004, 0.0], correlation=0.0)
    own = posed([0.02, 0.0, 0.0], correlation=0.0)
    share = 0.5 * 5.0 / 1e6 / float(solve(tactical).weights[1])
    found = hybrid_rebalance(own, (core, tactical), share, 4.0)
    assert found.mixed
    assert found.answer.target[1] == 0.0
    assert found.answer.target[0] > 0.0


ROBUST = msgspec.structs.replace(BALANCED, covariance_uncertainty=0.05)
DOUBTING = msgspec.structs.replace(BALANCED, covariance_uncertainty=0.2, risk_aversion=6.0)
TIGHT = msgspec.structs.replace(WIDE, volatility_max=0.08, standalone_risk_max=50.0)


def parts_of(own: ProgramInputs) -> tuple[ProgramInputs, ProgramInputs]:
    """Return a core and a tactical part of other horizons and covariances under `own`'s limits."""
    core = posed([0.03, -0.02, 0.01], 20.0, WIDE, 0.2, DOUBTING)
    tactical = posed([0.004, 0.006, -0.006], 2.0, WIDE, 0.9, ROBUST)
    return part_of(own, core), part_of(own, tactical)


def written_out(inputs: ProgramInputs) -> float:
    """Return the optimum's worth by cvxpy: a part's own risk and costs, the hybrid's risk limit."""
    limits, w, alone = inputs.limits, cp.Variable(3), cp.Variable()
    size, trade = cp.abs(w), cp.abs(w - inputs.before)
    charged = cp.quad_form(w, cp.psd_wrap(inputs.covariance))
    charged += inputs.charged_uncertainty * cp.power(inputs.charged_sigma @ size, 2)
    cost = inputs.linear_cost @ trade + inputs.impact @ cp.power(trade, 1.5)
    gain = inputs.expected_return @ w - inputs.uncertainty @ size - inputs.cost_aversion * cost
    stated = [
        np.sqrt(limits.covariance_uncertainty) * (limits.sigma @ size) <= alone,
        cp.norm(cp.hstack([limits.root @ w, alone])) <= limits.volatility_max,
        cp.sum(size) <= limits.gross_max,
        size <= limits.size_max,
        w >= inputs.lower,
        w <= inputs.upper,
    ]
    program = cp.Problem(cp.Maximize(gain - 0.5 * inputs.risk_aversion * charged), stated)
    program.solve(solver=cp.CLARABEL)  # type: ignore[no-untyped-call]
    return float(program.value)


def test_a_part_is_charged_by_its_own_risk_and_limited_by_the_hybrids() -> None:
    """Against the program written out in cvxpy, robust risk of two kinds in it."""
    own = posed([0.02, 0.01, 0.0], limits=TIGHT, strategy=ROBUST)
    for part in parts_of(own):
        found = solve(part)
        assert found.status == "optimal"
        assert float(found.prices["volatility"].sum()) > 0.0, "must bind, or this tests nothing"
        assert float(part.objective(found.exact)) == pytest.approx(written_out(part), abs=1e-8)


def test_a_parts_objective_is_restated_over_the_hybrids_horizon() -> None:
    own = posed([0.02, 0.01, 0.0], limits=TIGHT, strategy=ROBUST)
    tactical = posed([0.004, 0.006, -0.006], 2.0, TIGHT, 0.9, DOUBTING)
    books = np.random.default_rng(4).normal(0.0, 0.3, (20, 3))
    assert part_of(own, tactical).objective(books) == pytest.approx(
        5.0 * tactical.objective(books), rel=1e-12
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_the_mixture_of_parts_under_one_set_of_limits_keeps_them_at_exact_prices(
    share: float,
) -> None:
    """The price of the risk limit against finite differences of both optima together."""

    def mixed(limits: Limits) -> tuple[ProgramInputs, float, float]:
        own = posed([0.02, 0.01, 0.0], limits=limits, strategy=ROBUST)
        parts = parts_of(own)
        found = hybrid_rebalance(own, parts, share, 4.0)
        assert found.mixed
        shares = (1.0 - share, share)
        worth = sum(
            weight * float(part.objective(one.exact))
            for weight, part, one in zip(shares, parts, found.parts, strict=True)
        )
        return own, worth, float(found.answer.solution.prices["volatility"].sum())

    own, _, price = mixed(TIGHT)
    most = own.limits.volatility_max
    size = own.limits.size_max
    assert (size > 1.0).all(), "standalone risk, set by the same key, must not bind"
    step = 1e-4
    ends = [
        mixed(msgspec.structs.replace(TIGHT, volatility_max=0.08 * (1.0 + way * step)))[1]
        for way in (1.0, -1.0)
    ]
    assert price == pytest.approx((ends[0] - ends[1]) / (2.0 * step * most), rel=1e-3)
