"""Rounding under limits that truncation does not keep: tails, soft limits, smallest trades."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from perptui.model.explanation import COARSE
from perptui.optimization.checks import checks_of, exact_book, forbidding, given_way
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.judge import Judge
from perptui.optimization.lots import DUST, Lots, too_small
from perptui.optimization.orders import positions_after
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.optimum import optimum
from perptui.optimization.rebalance import REDUCED, rebalance
from perptui.optimization.rounding import hold_lots, round_to_lots, rounding
from perptui.optimization.scenarios import HorizonScenarios
from perptui.risk.arrays import book_shortfall
from perptui.risk.tail import worst_of
from tests.optimization.explain.random_books import RandomBook
from tests.optimization.market import BALANCED, WIDE, covariance, estimates, instrument, snapshot
from tests.optimization.random_markets import Market, inputs_of

pytestmark = pytest.mark.unmeasured

D = Decimal
A, B = "binanceusdm:BTC/USDT:USDT", "binanceusdm:ETH/USDT:USDT"


def pair(
    steps: tuple[str, str],
    *,
    held: dict[str, str] | None = None,
    scenarios: HorizonScenarios | None = None,
    expected: tuple[float, float] = (0.02, -0.02),
    **limits: object,
) -> ProgramInputs:
    """Two contracts at 100 USD on 10 000 of equity: a step of 1 is 1 % of it."""
    legs = [instrument("BTC", step=steps[0]), instrument("ETH", step=steps[1])]
    marks = {A: "100", B: "100"}
    snap = snapshot(legs, marks, {"binanceusdm": "10000"}, held)
    found = estimates(legs, marks, list(expected), covariance([0.5, 0.5], 0.6))
    rules = msgspec.structs.replace(WIDE, **limits)
    return program_inputs(snap, found, BALANCED, rules, {}, scenarios)


def failed(inputs: ProgramInputs, steps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[str]:
    book = exact_book(inputs, positions_after(inputs, steps))
    return [one.name for one in checks_of(inputs, book) if not one.ok]


@pytest.mark.parametrize("seed", range(8))
def test_no_contract_goes_beyond_the_lots_beside_its_target(seed: int) -> None:
    """Nothing is broken here that would have to be mended."""
    inputs = inputs_of(Market(seed, 2_990_077), limits=WIDE)
    answer = rebalance(inputs)
    assert answer.steps.any()
    far = np.abs(answer.rounded - answer.target) > Lots.of(inputs).unit * (1 + 1e-6)
    assert not (far & (answer.steps != 0)).any()


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 7, 8, 9, 10])
def test_mending_costs_a_fraction_of_a_basis_point(seed: int) -> None:
    """Where limits bind and lots are fine, little of the optimum is lost in lots."""
    inputs = inputs_of(Market(seed, 3_000_000))
    answer = rebalance(inputs)
    assert answer.solution.status == "optimal"
    best, found = inputs.objective(np.array([answer.target, answer.rounded]))
    assert 0.0 <= best - found + 1e-9 < 1e-5


@pytest.mark.parametrize("seed", range(20, 28))
def test_a_book_in_lots_is_never_worse_than_the_book_as_it_is(seed: int) -> None:
    """Lots of up to a fifth of equity: little near the optimum is left."""
    inputs = inputs_of(Market(seed, 30_000, coarse=10))
    hold = hold_lots(inputs)
    answer = rebalance(inputs)
    if hold.excess <= 0:
        found, now = inputs.objective(np.array([answer.rounded, hold.weights]))
        assert found >= now
    else:
        assert answer.solution.status == "infeasible" or failed(inputs, answer.steps) == []


@pytest.mark.parametrize("cap", [0.5, 0.8, 0.95])
def test_a_binding_tail_holds_on_every_path_after_rounding(cap: float) -> None:
    free = inputs_of(Market(3, 300_000), limits=WIDE, paths=2000)
    wild = float(book_shortfall(optimum(free).exact[None, :], free.limits)[0])
    limits = msgspec.structs.replace(WIDE, cvar_max=cap * wild)
    inputs = inputs_of(Market(3, 300_000), limits=limits, paths=2000)
    answer = rebalance(inputs)
    assert answer.solution.status == "optimal"
    of_target, of_lots = book_shortfall(np.array([answer.target, answer.rounded]), inputs.limits)
    assert of_target == pytest.approx(cap * wild, rel=1e-4)
    assert of_lots <= cap * wild
    # Lots of a few basis points of equity leave little of the tail unused.
    assert of_lots > 0.98 * cap * wild
    assert failed(inputs, answer.steps) == []


def tails_apart() -> HorizonScenarios:
    """A loses on some paths, B rises on others: what is worst depends on which is held."""
    moves = np.zeros((100, 2))
    moves[:5, 0] = -0.10
    moves[5:10] = (0.02, 0.30)
    return HorizonScenarios((A, B), moves, (), np.zeros((100, 0)))


def test_a_mended_book_is_held_against_other_paths_than_those_first_looked_at() -> None:
    """Net wants a short of B, of which the worst paths are none of the long's in A."""
    inputs = pair(
        ("1", "60"), scenarios=tails_apart(), net_min=-0.15, net_max=0.15, cvar_max=0.06
    )  # fmt: skip
    # A .5 and B -.5 is the target; a lot of B is .6, so truncation leaves A alone: net .5.
    # One lot of B mends that, gains, and adds nothing on the paths that are worst for A alone.
    target, mended = np.array([0.5, -0.5]), np.array([0.5, -0.6])
    first = worst_of(inputs.limits.scenarios @ np.array([0.5, 0.0]), 0.05, 3.0)
    assert not set(range(5, 10)) & set(first)
    assert book_shortfall(mended[None, :], inputs.limits)[0] > 0.14
    rounded = round_to_lots(target, inputs)
    assert rounded.excess <= 0
    assert failed(inputs, rounded.steps) == []
    assert rounded.weights[1] == 0.0
    assert abs(rounded.weights[0]) <= 0.15


def test_a_trade_smaller_than_what_is_worth_making_is_not_made_but_a_close_is() -> None:
    inputs = pair(("1", "1"), held={A: "30", B: "-2"}, trade_min_usd=D(500))
    target = np.array([0.33, 0.0])
    # 300 USD of A are too few; the close of 200 USD of B is let through.
    assert too_small(target, inputs).tolist() == [True, False]
    rounded = round_to_lots(target, inputs)
    assert rounded.steps.tolist()[0] == 0
    enough = np.array([0.36, 0.0])
    assert too_small(enough, inputs).tolist() == [False, False]
    assert Lots.of(inputs).least == pytest.approx([0.05, 0.05])
    assert Lots.of(inputs).smallest == pytest.approx([0.01, 0.01])


def test_the_second_pass_leaves_out_what_is_not_worth_trading() -> None:
    every = rebalance(pair(("0.01", "0.01"), held={A: "35", B: "-30"}))
    least = float(np.abs(every.rounded - [0.35, -0.30]).min()) * 1e4
    assert least > 10
    limited = pair(("0.01", "0.01"), held={A: "35", B: "-30"}, trade_min_usd=D(int(least) + 50))
    answer = rebalance(limited)
    trades = np.abs(answer.rounded - limited.before) * 1e4
    assert ((trades < 1e-6) | (trades >= least + 49)).all()
    # The one left out is at its position, and the other is the best beside it.
    left_out = int(np.abs(every.rounded - [0.35, -0.30]).argmin())
    assert answer.target[left_out] == pytest.approx(limited.before[left_out], abs=1e-9)


def soft(inputs: ProgramInputs, prices: dict[str, float]) -> ProgramInputs:
    return replace(inputs, soft_prices=prices)


def test_a_soft_limit_is_left_to_its_price_and_a_hard_one_is_not() -> None:
    hard = pair(("1", "1"), expected=(0.06, 0.05), beta_max=0.2)
    cheap = soft(hard, {"beta_up": 1e-4, "beta_down": 1e-4})
    strict, loose = rebalance(hard), rebalance(cheap)
    assert failed(hard, strict.steps) == []
    assert failed(cheap, loose.steps) == ["beta"]
    checks = checks_of(cheap, exact_book(cheap, positions_after(cheap, loose.steps)))
    assert forbidding(cheap, checks, (), reducing=False) == ()
    beta = next(check for check in checks if check.name == "beta")
    said = given_way(cheap, checks)[0]
    assert said.startswith(f"beta gives way by {beta.value - beta.limit:.2g}: {beta.value:.6g} ")
    assert [one.name for one in forbidding(hard, checks, (), reducing=False)] == ["beta"]
    dear = soft(hard, {"beta_up": 10.0, "beta_down": 10.0})
    assert failed(dear, rebalance(dear).steps) == []


@pytest.mark.parametrize("beta_max", [0.17, 0.2, 0.23])
def test_lots_keep_a_soft_limit_that_the_optimum_holds(beta_max: float) -> None:
    """A price above the dual holds the optimum at the limit: lots have no call to go beyond."""
    hard = pair(("1", "1"), expected=(0.06, 0.05), beta_max=beta_max)
    dual = float(rebalance(hard).solution.prices["beta_up"].max())
    assert dual > 0.0
    held = soft(hard, {"beta_up": 1.01 * dual, "beta_down": 1.01 * dual})
    answer = rebalance(held)
    assert answer.steps.any()
    assert failed(held, answer.steps) == []


def test_what_the_gate_holds_never_gives_way() -> None:
    hard = pair(("1", "1"), expected=(0.06, 0.05), net_max=0.1)
    cheap = soft(hard, {"net_min": 1e-4, "net_max": 1e-4})
    answer = rebalance(cheap)
    checks = checks_of(cheap, exact_book(cheap, positions_after(cheap, answer.steps)))
    assert [one.name for one in forbidding(cheap, checks, (), reducing=False)] == ["net_max"]
    assert given_way(cheap, checks) == ()


def test_a_soft_tail_is_priced_on_the_paths_looked_at() -> None:
    free = inputs_of(Market(3, 300_000), limits=WIDE, paths=2000)
    wild = float(book_shortfall(optimum(free).exact[None, :], free.limits)[0])
    limits = msgspec.structs.replace(WIDE, cvar_max=0.5 * wild)
    inputs = soft(inputs_of(Market(3, 300_000), limits=limits, paths=2000), {"cvar": 1e-3})
    answer = rebalance(inputs)
    assert answer.solution.status == "optimal"
    assert round_to_lots(answer.target, inputs).excess <= 0
    beyond = float(book_shortfall(answer.rounded[None, :], inputs.limits)[0])
    assert beyond > 0.5 * wild


def test_a_reduction_in_lots_goes_as_far_as_the_least_violation() -> None:
    """Each leg ends within lots of the target, or its smallest order where it cannot close."""
    reduced = 0
    for seed in (0, 2, 3, 4, 5, 6, 8, 21):
        book = RandomBook(seed, 6)
        book.targets = {}
        inputs = book.posed(reduce_only=True)
        answer = rebalance(inputs)
        if answer.solution.detail == REDUCED:
            lots = Lots.of(inputs)
            near = 2.0 * max(lots.unit.max(), lots.smallest.max(), DUST)
            assert np.abs(answer.rounded - answer.target).max() <= near
            reduced += 1
    assert reduced >= 3


def test_a_small_leg_is_closed_beside_large_ones_that_stay_beyond_their_limit() -> None:
    legs = [instrument(coin, step="0.001") for coin in ("BTC", "ETH", "SOL")]
    marks = {one.id: "100" for one in legs}
    held = {legs[0].id: "-60", legs[1].id: "40", legs[2].id: "-8"}
    snap = snapshot(legs, marks, {"binanceusdm": "10000"}, held)
    found = estimates(legs, marks, [0.0] * 3, covariance([0.5, 0.6, 0.9], 0.6))
    limits = msgspec.structs.replace(
        WIDE, venue_gross_max=0.3, order_notional_max_usd=D(1667), turnover_max=1.0
    )
    inputs = program_inputs(snap, found, BALANCED, limits, {}, reduce_only=True)
    answer = rebalance(inputs)
    assert answer.solution.detail == REDUCED
    # 1.08 of gross with .3 allowed: each leg goes as far as one order does, and SOL is closed.
    assert answer.rounded == pytest.approx([-0.4333, 0.2333, 0.0], abs=1e-4)


@pytest.mark.parametrize(
    ("steps", "held", "expected", "limits"),
    [
        (("0.37", "0.41"), ("-64.01", "129.97"), (0.08, -0.05),
         {"turnover_max": 0.3, "beta_max": 0.2, "gross_max": 0.3, "net_max": 0.02}),
        (("0.9", "1.3"), ("-65.7", "66.3"), (0.08, 0.05),
         {"turnover_max": 0.3, "beta_max": 0.05, "gross_max": 1.1, "net_max": 0.02,
          "net_min": -0.02}),
        (("1.7", "2.3"), ("-96.9", "96.6"), (0.08, -0.05),
         {"turnover_max": 0.3, "beta_max": 0.05, "gross_max": 0.3, "net_max": 0.02}),
    ],
)  # fmt: skip
def test_lots_go_farther_beyond_a_soft_limit_than_beyond_a_hard_one(
    steps: tuple[str, str],
    held: tuple[str, str],
    expected: tuple[float, float],
    limits: dict[str, Any],
) -> None:
    """Level by level: turnover is left by as little as can be, and lots leave it, not the others.

    Found by search: kept where the optimum left it, turnover made lots break gross, beta or net.
    """
    inputs = pair(steps, held=dict(zip((A, B), held, strict=True)), expected=expected, **limits)
    posed = replace(inputs, soft_levels=(("turnover",),))
    answer = rebalance(posed)
    assert answer.solution.status == "optimal"
    assert float(answer.solution.slacks["turnover"][0]) > 0.05
    assert failed(posed, answer.steps) == ["turnover"]
    # A few lots beyond what the optimum needed, and no farther.
    most = float(answer.solution.slacks["turnover"][0]) + inputs.limits.turnover_max
    traded = 0.5 * np.abs(answer.rounded - inputs.before).sum()
    assert traded <= most + 5.0 * Lots.of(inputs).unit.max()


def test_where_no_lots_come_within_the_limits_it_says_so_and_trades_nothing() -> None:
    """One lot of 30 % is held; net may be 27 % and turnover 5 %: .03 of a lot is what it takes."""
    inputs = pair(("30", "30"), held={A: "30"}, net_max=0.27, turnover_max=0.05)
    assert optimum(inputs).status == "optimal"
    answer = rebalance(inputs)
    assert (answer.solution.status, answer.solution.detail) == ("infeasible", COARSE)
    assert not answer.steps.any()


def test_where_no_lots_come_within_the_limits_a_reduction_goes_as_near_as_they_do() -> None:
    """Eight lots of 10 %: 55.5 % of net is allowed and orders of 25 %, and two lots are sold."""
    inputs = pair(
        ("10", "10"), held={A: "80"}, net_max=0.555, order_notional_max_usd=D(2500), restricted=(B,)
    )
    assert optimum(inputs).status == "optimal"
    answer = rebalance(inputs)
    assert (answer.solution.status, answer.solution.detail) == ("optimal", REDUCED)
    assert answer.steps.tolist() == [-2, 0]


@pytest.mark.parametrize("level_by_level", [False, True])
def test_a_reduction_keeps_what_the_gate_holds_though_it_is_soft(level_by_level: bool) -> None:
    """An order of 3000 USD leaves .5 with .2 of net allowed; a ticket holds 2050 USD."""
    inputs = pair(
        ("1", "1"), held={A: "80"}, net_max=0.2, restricted=(B,),
        order_notional_max_usd=D(3000), ticket_notional_max_usd=D(2050),
    )  # fmt: skip
    reducing = replace(inputs, upper=inputs.before, lower=0.0 * inputs.before, reduce_only=True)
    answer = rebalance(
        replace(reducing, soft_levels=(("turnover",),))
        if level_by_level
        else replace(reducing, soft_prices={"turnover": 1e-6})
    )
    assert answer.solution.detail == REDUCED
    assert answer.steps.tolist() == [-20, 0]


@pytest.mark.parametrize("cap", ["gross_max", "beta_max", "coin_net_max"])
def test_a_limit_of_nothing_is_kept_by_nothing(cap: str) -> None:
    """No room is asked for below nothing: the flat book keeps it, and so does closing."""
    nothing: dict[str, Any] = {cap: 0.0}
    inputs = pair(("1", "1"), held={A: "30", B: "-20"}, **nothing)
    flat = round_to_lots(np.zeros(2), inputs)
    assert flat.steps.tolist() == [-30, 20]
    assert flat.excess <= 0
    assert failed(inputs, flat.steps) == []


def test_a_sum_of_excesses_is_whole_wherever_it_is_below_what_is_asked() -> None:
    inputs = inputs_of(Market(3, 3_000_000))
    books = np.random.default_rng(3).normal(size=(60, len(inputs.ids))) * 0.2
    judge = Judge(inputs, inputs.before)
    whole = judge.total(books)
    below = float(np.median(whole))
    part = judge.total(books, below)
    assert (part[whole < below] == whole[whole < below]).all()
    assert (part[whole >= below] >= below).all()


def test_looking_for_two_moves_at_once_pauses_and_finds_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A net of .5 under a gross of .5 leaves no lot to move: some moves want a second beside."""
    limits = msgspec.structs.replace(WIDE, gross_max=0.5, net_min=0.5, net_max=0.5)
    inputs = inputs_of(Market(4, 300_000), limits=limits)
    contracts = len(inputs.ids)
    target = np.full(contracts, 0.5 / contracts)
    rarely = sum(1 for _ in rounding(target, inputs))
    assert sum(1 for _ in rounding(target, inputs, pairs=False)) < rarely
    found = round_to_lots(target, inputs)
    monkeypatch.setattr("perptui.optimization.rounding.NUMBERS_AT_ONCE", 100 * contracts)
    assert sum(1 for _ in rounding(target, inputs)) > rarely + 50
    assert round_to_lots(target, inputs).steps.tolist() == found.steps.tolist()
