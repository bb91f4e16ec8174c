from dataclasses import replace

import numpy as np
import pytest

from perptui.model.errors import OptimizationError
from perptui.optimization.checks import checks_of, float_book
from perptui.optimization.explain.prices import limit_prices
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.solve import solve
from perptui.optimization.scenarios import HorizonScenarios, stress_moves
from perptui.risk.arrays import limit_excess
from perptui.risk.tail import shortfall
from tests.optimization.market import BALANCED, LIMITS
from tests.optimization.three_coins import BTC, ETH, FOUND, SNAP, SOL, without

RNG = np.random.default_rng(4)
CENTRED = RNG.normal(0.0, [0.02, 0.08, 0.05], (400, 3))
MADE = HorizonScenarios(
    ids=("v:A", "v:B", "w:A"),
    centred=CENTRED,
    coins=("A", "B"),
    coin_moves=CENTRED[:, :2],
)


def test_columns_follow_the_contracts_asked_for_and_carry_their_means() -> None:
    found = MADE.returns(("w:A", "v:A"), np.array([0.01, -0.02]), np.zeros(2))
    np.testing.assert_allclose(found, CENTRED[:, [2, 0]] + [0.01, -0.02], rtol=1e-15)
    # The kept ones stay as they are, so that the next what-if starts from the same.
    again = MADE.returns(("w:A", "v:A"), np.array([0.01, -0.02]), np.zeros(2))
    assert again.tobytes() == found.tobytes()
    assert MADE.notes(("w:A", "v:A")) == ()


def test_a_view_shifts_every_path_by_the_same() -> None:
    ids, position = MADE.ids, np.zeros(3)
    plain = MADE.returns(ids, np.zeros(3), position)
    bent = MADE.returns(ids, np.array([0.0, 0.03, 0.0]), position)
    np.testing.assert_allclose(bent - plain, np.tile([0.0, 0.03, 0.0], (400, 1)), atol=1e-15)


@pytest.mark.parametrize("held", [0.2, -0.2])
def test_a_contract_without_scenarios_loses_as_much_as_the_wildest_moves(held: float) -> None:
    ids = ("v:A", "v:NEW")
    found = MADE.returns(ids, np.array([0.0, 0.5]), np.array([0.1, held]))
    lost = -held * found[:, 1]
    # B varies most; the stranger never gains, on either side, and its mean is not believed.
    np.testing.assert_allclose(lost, abs(held) * np.abs(CENTRED[:, 1]), rtol=1e-12)
    (note,) = MADE.notes(ids)
    assert note.startswith("v:NEW has no scenarios: ")


def test_without_scenarios_there_are_no_rows_and_the_reason_is_told() -> None:
    silent = HorizonScenarios.none("expected 60 residuals, was 12")
    assert silent.returns(("v:A",), np.zeros(1), np.zeros(1)).shape == (0, 1)
    assert silent.notes(("v:A",)) == ("CVaR is not judged: expected 60 residuals, was 12",)
    assert HorizonScenarios.none().notes(("v:A",)) == ()


@pytest.mark.parametrize(
    ("expected", "position"),
    [
        (np.zeros(2), np.zeros(3)),
        (np.zeros(3), np.zeros(2)),
        (np.array([0.0, np.nan, 0.0]), np.zeros(3)),
        (np.zeros(3), np.array([0.0, np.inf, 0.0])),
    ],
)
def test_what_does_not_fit_is_refused(expected: np.ndarray, position: np.ndarray) -> None:
    with pytest.raises(OptimizationError, match="3 finite means and weights"):
        MADE.returns(MADE.ids, expected, position)


def test_moves_of_a_coin_are_its_own() -> None:
    np.testing.assert_array_equal(MADE.moves_of("B"), CENTRED[:, 1])
    with pytest.raises(OptimizationError, match="was C \\(there are A, B\\)"):
        MADE.moves_of("C")


def test_stresses_are_up_down_and_what_is_named() -> None:
    crash = {"crash": {"BTC": -0.3, "*": -0.5}, "squeeze": {"ETH": 0.4}}
    moves, names = stress_moves(["BTC", "ETH", "BTC", "SOL"], 0.2, crash)
    assert names == ("up", "down", "crash", "squeeze")
    np.testing.assert_array_equal(
        moves,
        [[0.2] * 4, [-0.2] * 4, [-0.3, -0.5, -0.3, -0.5], [0.0, 0.4, 0.0, 0.0]],
    )
    plain, few = stress_moves([], 0.2)
    assert plain.shape == (2, 0)
    assert few == ("up", "down")


@pytest.mark.parametrize(
    ("named", "match"),
    [({"up": {"*": 0.1}}, "new name"), ({"gone": {"BTC": -1.0}}, "above -1")],
)
def test_impossible_stresses_are_refused(named: dict[str, dict[str, float]], match: str) -> None:
    with pytest.raises(OptimizationError, match=match):
        stress_moves(["BTC"], 0.2, named)


@pytest.mark.parametrize(
    ("targets", "weight"), [({}, 0.06), ({SOL: 0.02}, 0.02), ({SOL: -0.1}, -0.1)]
)
def test_the_program_lets_no_unseen_contract_hedge(
    targets: dict[str, float], weight: float
) -> None:
    """Also where the trader fixes it on the other side of the position."""
    known = HorizonScenarios((BTC, ETH), CENTRED[:, :2], ("BTC", "ETH"), CENTRED[:, :2])
    inputs = program_inputs(SNAP, without(FOUND, SOL), BALANCED, LIMITS, targets, known)
    assert inputs.ids == (BTC, ETH, SOL)
    assert inputs.lower[2] == inputs.upper[2] == pytest.approx(weight)
    lost = -weight * inputs.limits.scenarios[:, 2]
    np.testing.assert_allclose(lost, abs(weight) * np.abs(CENTRED[:, 1]), rtol=1e-12)
    np.testing.assert_allclose(inputs.limits.scenarios[:, 0], CENTRED[:, 0] + 0.01, rtol=1e-12)
    assert any(note.startswith(f"{SOL} has no scenarios") for note in inputs.notes)


def test_named_stresses_are_among_the_paths_at_their_probability() -> None:
    """CVaR of one coin held long, by hand: 400 paths and 9 of each of two crashes."""
    coin_of = {"v:A": "A", "v:B": "B", "w:A": "A"}
    named = {"crash": {"A": -0.5, "*": -0.4}, "squeeze": {"B": 0.9}}
    found = MADE.with_stresses(coin_of, named, 9.0 / 418.0)
    assert found.paths == 418
    np.testing.assert_array_equal(found.centred[:400], CENTRED)
    np.testing.assert_array_equal(found.centred[400:409], np.tile([-0.5, -0.4, -0.5], (9, 1)))
    np.testing.assert_array_equal(found.centred[409:], np.tile([0.0, 0.9, 0.0], (9, 1)))
    assert found.moves_of("B")[[400, 410]].tolist() == [-0.4, 0.9]
    paths = found.returns(("v:A",), np.array([0.01]), np.zeros(1))[:, 0]
    # 5 % of 418 paths are 20.9: nine crashes, the eleven worst others, and .9 of the next.
    worst = np.sort(CENTRED[:, 0])[:12] + 0.01
    expected = -(9 * (-0.5 + 0.01) + worst[:11].sum() + 0.9 * worst[11]) / 20.9
    assert shortfall(paths[None, :], 0.05)[0] == pytest.approx(expected, rel=1e-12)
    rare = MADE.with_stresses(coin_of, named, 1e-9)
    assert rare.paths == 402
    assert MADE.with_stresses(coin_of, named, 0.0) is MADE
    assert MADE.with_stresses(coin_of, {}, 0.1) is MADE
    silent = HorizonScenarios.none("none")
    assert silent.with_stresses({}, named, 0.1) is silent
    with pytest.raises(OptimizationError, match=r"lower stress\.times_a_year"):
        MADE.with_stresses(coin_of, named, 0.5)


def test_margin_must_survive_named_stresses_at_the_tier_they_reach() -> None:
    """A short that doubles: its stressed margin by the exact check, on the tier it then is in."""
    plain = program_inputs(SNAP, FOUND, BALANCED, LIMITS, {})
    stresses = {"squeeze": {"BTC": 9.0}}
    posed = program_inputs(SNAP, FOUND, BALANCED, LIMITS, {}, stresses=stresses)
    assert posed.limits.stress_names == ("up", "down", "squeeze")
    assert len(plain.limits.tier_rates) < len(posed.limits.tier_rates)
    weights = np.zeros((1, len(posed.ids)))
    weights[0, posed.ids.index(BTC)] = -0.1
    excess = limit_excess(weights, posed.before, posed.limits)["stress_squeeze"][0]
    equity = float(posed.equity)
    tiers = next(one for one in posed.contracts if one.id == BTC).instrument.tiers
    margin = max(float(t.rate) * equity - float(t.deduction_usd) for t in tiers) / equity
    share = posed.limits.equity_share
    venue = list(posed.account_equity).index(
        next(one.account for one in posed.contracts if one.id == BTC)
    )
    expected = (1.0 + posed.limits.cushion) * margin + 0.9 - (1.0 - posed.limits.depeg) * share
    assert excess[venue] == pytest.approx(expected[venue], rel=1e-12)
    book = float_book(posed, weights[0])
    name = f"margin_stress_squeeze:{list(posed.account_equity)[venue]}"
    check = next(one for one in checks_of(posed, book) if one.name == name)
    assert check.value == pytest.approx(1.0 + expected[venue] / share[venue], rel=1e-12)


def test_the_row_of_a_named_stress_that_binds_is_the_one_that_is_charged() -> None:
    """A squeeze that binds: its own check stands at the limit, has the price, and no other does."""
    posed = program_inputs(SNAP, FOUND, BALANCED, LIMITS, {}, stresses={"squeeze": {"BTC": 9.0}})
    gain = np.where([name == BTC for name in posed.ids], -0.2, 0.0)
    posed = replace(posed, expected_return=gain, uncertainty=np.zeros_like(gain))
    found = solve(posed)
    assert found.status == "optimal", found.detail
    checks = checks_of(posed, float_book(posed, found.exact))
    prices = {one.name: one for one in limit_prices(posed, found, checks)}
    account = next(one.account for one in posed.contracts if one.id == BTC)
    binding = {check.name for check in checks if check.binding and "stress" in check.name}
    assert binding == {f"margin_stress_squeeze:{account}"}
    for name, one in prices.items():
        if name.startswith("margin_stress"):
            assert (one.price_usd_per_day > 0.0) == (name in binding), name
            assert one.setting == ("liquidation_distance_min" if "stress:" in name else "")
