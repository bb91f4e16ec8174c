from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.optimization.explain.reasons import DRIVERS, WORDS, gains_of, reasons_of, word_of
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.solve import solve
from perptui.optimization.rebalance import rebalance
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

LEGS = [instrument("BTC"), instrument("ETH"), instrument("SOL"), instrument("XRP", step="1")]
BTC, ETH, SOL, XRP = (one.id for one in LEGS)
MARKS = {BTC: "60000", ETH: "3000", SOL: "150", XRP: "0.5"}
SIGMA = covariance([0.5, 0.6, 0.7, 0.8], 0.0)
FREE = msgspec.structs.replace(
    BALANCED, cost_aversion=0.0, uncertainty=0.0, cluster_correlation=1.0
)
# E[F] of the horizon in these markets: with it as mu a long has neither drift nor loss.
FUNDING = 0.003


def posed(
    expected: Sequence[float],
    positions: Mapping[str, str] | None = None,
    *,
    limits: Limits = WIDE,
    strategy: StrategyParameters = FREE,
    overrides: Mapping[str, float] | None = None,
    sigma: Sequence[Sequence[float]] = SIGMA,
    equity: str = "100000",
    deviation: Sequence[float] | None = None,
) -> ProgramInputs:
    snap = snapshot(LEGS, MARKS, {"binanceusdm": equity}, positions)
    found = estimates(LEGS, MARKS, expected, sigma, deviation=deviation)
    return program_inputs(snap, found, strategy, limits, overrides or {})


def why(inputs: ProgramInputs) -> dict[str, str]:
    return dict(zip(inputs.ids, reasons_of(inputs, rebalance(inputs)), strict=True))


def without_funding(inputs: ProgramInputs) -> ProgramInputs:
    """Return the program of contracts whose funding is expected to be nothing."""
    contracts = []
    for one in inputs.contracts:
        assert one.forecast
        funding = msgspec.structs.replace(one.forecast.funding, horizon_mean=0.0)
        forecast = msgspec.structs.replace(one.forecast, funding=funding)
        contracts.append(replace(one, forecast=forecast))
    return replace(inputs, contracts=tuple(contracts))


def test_pure_carry_is_carry() -> None:
    assert why(posed([-FUNDING] * 4)) == dict.fromkeys((BTC, ETH, SOL, XRP), "carry")


def test_pure_drift_is_drift_on_both_sides() -> None:
    words = why(without_funding(posed([0.02, -0.02, 0.0, 0.0])))
    assert words == {BTC: "drift", ETH: "drift", SOL: "", XRP: ""}


def test_pure_risk_closes_the_book_for_risk() -> None:
    inputs = without_funding(posed([0.0] * 4, {BTC: "1", ETH: "-20", XRP: "-100000"}))
    assert why(inputs) == {BTC: "risk", ETH: "risk", SOL: "", XRP: "risk"}


def test_a_mean_nobody_is_sure_of_closes_for_uncertainty() -> None:
    unsure = msgspec.structs.replace(FREE, uncertainty=1.0, risk_aversion=1e-3)
    inputs = posed([0.001] * 4, {SOL: "100"}, strategy=unsure, deviation=[0.02, 0.02, 0.02, 0.02])
    assert why(without_funding(inputs))[SOL] == "uncertainty"


def test_only_the_coin_at_its_cap_says_coin_limit() -> None:
    # The XRP short is closed for its own risk; BTC alone is over its coin's cap.
    capped = msgspec.structs.replace(WIDE, coin_net_max=0.5)
    inputs = posed([0.05, 0.01, 0.0, 0.0], {BTC: "2", XRP: "-80000"}, limits=capped)
    words = why(without_funding(inputs))
    assert words == {BTC: "coin limit", ETH: "drift", SOL: "", XRP: "risk"}


def test_gross_drives_both_sides_where_it_binds() -> None:
    narrow = msgspec.structs.replace(WIDE, gross_max=0.6)
    inputs = posed([0.03, -0.03, 0.0, 0.0], {BTC: "1", ETH: "-20"}, limits=narrow)
    words = why(without_funding(inputs))
    assert (words[BTC], words[ETH]) == ("gross", "gross")


def test_net_drives_the_legs_that_relieve_it_and_no_other() -> None:
    # Long 1.2 net of 0.2: BTC is sold and SOL shorted for net; ETH is bought for its drift.
    narrow = msgspec.structs.replace(WIDE, net_max=0.2)
    inputs = posed([0.05, 0.09, 0.0, 0.0], {BTC: "2"}, limits=narrow)
    words = why(without_funding(inputs))
    assert words == {BTC: "net", ETH: "drift", SOL: "net", XRP: "net"}
    mirrored = posed(
        [-0.05, -0.09, 0.0, 0.0],
        {BTC: "-2"},
        limits=msgspec.structs.replace(WIDE, net_min=-0.2),
    )
    assert why(without_funding(mirrored)) == words


@pytest.mark.parametrize(
    ("changes", "leg", "word"),
    [
        ({"venue_gross_max": 0.4}, BTC, "venue limit"),
        ({"margin_ratio_max": 0.001}, BTC, "margin"),
        # BTC grows for its drift; ETH is shorted so that the account outlives the fall.
        ({"liquidation_distance_min": 0.95}, ETH, "margin"),
        ({"volatility_max": 0.1}, BTC, "risk"),
        ({"coin_gross_max": 0.3}, BTC, "coin limit"),
    ],
)
def test_each_limit_has_its_word(changes: dict[str, float], leg: str, word: str) -> None:
    inputs = posed(
        [0.05, 0.0, 0.0, 0.0], {BTC: "2"}, limits=msgspec.structs.replace(WIDE, **changes)
    )
    assert why(without_funding(inputs))[leg] == word


def test_a_cluster_has_its_word() -> None:
    clustered = msgspec.structs.replace(FREE, cluster_correlation=0.6, cluster_gross_max=0.4)
    sigma = covariance([0.5, 0.6, 0.7, 0.8], 0.7)
    inputs = posed([0.05, 0.05, 0.0, 0.0], {BTC: "1", ETH: "20"}, strategy=clustered, sigma=sigma)
    words = why(without_funding(inputs))
    assert (words[BTC], words[ETH]) == ("cluster", "cluster")


def test_turnover_is_named_only_where_it_stops_the_trade_short() -> None:
    # .4 of turnover between two trades: what is left undone of each is most of it.
    book = {BTC: "1", ETH: "20"}
    tight = msgspec.structs.replace(WIDE, turnover_max=0.02)
    assert why(without_funding(posed([0.0] * 4, book, limits=tight)))[ETH] == "risk, turnover"
    roomy = msgspec.structs.replace(WIDE, turnover_max=0.55)
    assert why(without_funding(posed([0.0] * 4, book, limits=roomy)))[ETH] == "risk"
    # A day's volume of 1e9 makes 1e-6 of it 1 % of equity.
    thin = msgspec.structs.replace(WIDE, participation_max=1e-6)
    assert why(without_funding(posed([0.0] * 4, book, limits=thin)))[BTC] == "risk, participation"


def test_a_fixed_target_says_edited_and_rounding_says_lots() -> None:
    edited = posed([0.0] * 4, overrides={ETH: 0.3})
    assert why(without_funding(edited))[ETH] == "edited"
    inputs = without_funding(posed([0.02, 0.0, 0.0, 0.0]))
    answer = rebalance(inputs)
    moved = answer.steps.copy()
    moved[inputs.ids.index(SOL)] = 1
    words = dict(zip(inputs.ids, reasons_of(inputs, replace(answer, steps=moved)), strict=True))
    assert (words[BTC], words[SOL]) == ("drift", "lots")


def test_a_trade_that_no_term_gains_from_says_limits() -> None:
    inputs = without_funding(posed([0.02, 0.0, 0.0, 0.0]))
    answer = rebalance(inputs)
    target = inputs.before + 1e-8 * np.sign(answer.steps)
    bare = replace(answer, target=target, solution=replace(answer.solution, exact=target))
    assert reasons_of(inputs, bare)[inputs.ids.index(BTC)] == "limits"


def test_the_ledger_adds_up_to_the_gain_and_the_relief_of_each_limit() -> None:
    positions = {BTC: "1.5", ETH: "-10", SOL: "300", XRP: "-120000"}
    tight = msgspec.structs.replace(
        LIMITS, gross_max=1.2, net_max=0.3, coin_net_max=0.5, turnover_max=0.6, volatility_max=0.2
    )
    sigma = covariance([0.5, 0.6, 0.7, 0.8], 0.7)
    strategy = msgspec.structs.replace(BALANCED, cluster_correlation=0.6, cluster_gross_max=1.1)
    inputs = posed(
        [0.03, 0.02, -0.02, 0.01], positions, limits=tight, strategy=strategy, sigma=sigma,
        deviation=[0.002] * 4,
    )  # fmt: skip
    found = solve(inputs)
    assert found.status == "optimal"
    total = sum(float(gains.sum()) for gains in gains_of(inputs, found).values())
    books = np.array([inputs.before, found.exact])
    gain = float(np.diff(inputs.objective(books))[0])
    excess = limit_excess(books, np.array(inputs.before), inputs.limits)
    relief = {
        name: float(found.prices[name] @ (rows[0] - rows[1]))
        for name, rows in excess.items()
        if name in found.prices
    }
    assert sum(value > 1e-6 for value in map(abs, relief.values())) >= 2, relief
    assert total == pytest.approx(gain + sum(relief.values()), abs=1e-12)


def test_a_price_is_the_gain_per_unit_of_relaxation() -> None:
    def best(gross: float) -> tuple[float, float]:
        limits = msgspec.structs.replace(WIDE, gross_max=gross)
        inputs = posed([0.03, -0.03, 0.02, 0.0], limits=limits)
        found = solve(inputs)
        return float(inputs.objective(found.weights)), float(found.prices["gross"][0])

    step = 1e-3
    slope = (best(0.8 + step)[0] - best(0.8 - step)[0]) / (2 * step)
    assert best(0.8)[1] == pytest.approx(slope, rel=1e-4)
    assert best(0.8)[1] > 0.001
    assert best(40.0)[1] == pytest.approx(0.0, abs=1e-8)


def test_every_limit_has_a_word_that_is_known() -> None:
    inputs = posed([0.01] * 4)
    gains = gains_of(inputs, solve(inputs))
    names = limit_excess(inputs.before[None, :], inputs.before, inputs.limits)
    assert {word_of(name) for name in names} <= set(gains)
    assert set(WORDS.values()) <= set(gains)
    assert set(DRIVERS) <= set(gains)
