"""Puts: value, quotes that are refused, what they add to the program; shorts that only hedge."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from perptui.model.clock import DAY_MS
from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import PutQuote
from perptui.optimization.hedge_shorts import hedging, short_bounds
from perptui.optimization.hedges import bought, harm, not_bought, withheld
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.solve import solve
from perptui.optimization.put_quotes import implied_volatility, put_value
from perptui.optimization.puts import Puts, held_already, holding, put_offer, with_puts
from perptui.optimization.scenarios import HorizonScenarios
from perptui.risk.arrays import book_shortfall, limit_excess, plain_risk
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    NOW_MS,
    covariance,
    estimates,
    instrument,
    snapshot,
)

COINS = ("BTC", "ETH")
ONES = [instrument(coin) for coin in COINS]
IDS = tuple(one.id for one in ONES)
MARKS = dict(zip(IDS, ("50000", "2500"), strict=True))
EQUITY = 1e6
MONTH = NOW_MS + 30 * DAY_MS
QUOTE = PutQuote("BTC", 48000.0, MONTH, 2300.0)
HEDGED = msgspec.structs.replace(BALANCED, hedge_from="calm", put_premium_max=0.01)
PATHS = 2000
UNMOVED = (
    "gross", "net_max", "net_min", "turnover", "coin_net", "coin_gross", "venue_gross",
    "margin_ratio", "stress_up", "stress_down", "free_collateral", "stablecoin",
)  # fmt: skip


def drawn(horizon_days: float = 10.0) -> HorizonScenarios:
    """Return centred paths with the covariance of `posed` and the tails of Student's t with 4."""
    rng = np.random.default_rng(11)
    root = np.linalg.cholesky(np.array(covariance([0.6, 0.8], 0.7, horizon_days)))
    normal = rng.standard_normal((PATHS, 2)) @ root.T
    moves = normal * np.sqrt(2.0 / rng.chisquare(4, (PATHS, 1)))
    moves = np.clip(moves - moves.mean(axis=0), -0.9, 3.0)
    return HorizonScenarios(IDS, moves, COINS, moves)


def posed(
    expected: tuple[float, float] = (0.03, 0.02),
    limits: Limits = LIMITS,
    scenarios: HorizonScenarios | None = None,
    strategy: StrategyParameters = HEDGED,
) -> ProgramInputs:
    told = estimates(ONES, MARKS, expected, covariance([0.6, 0.8], 0.7))
    market = snapshot(ONES, MARKS, {"binanceusdm": "1000000"})
    return program_inputs(market, told, strategy, limits, {}, scenarios)


@pytest.mark.parametrize("strike", [30000.0, 48000.0, 50000.0, 70000.0])
@pytest.mark.parametrize(("volatility", "years"), [(0.6, 0.1), (1.5, 0.02), (0.2, 2.0)])
def test_a_put_is_worth_its_expected_payoff_and_moves_by_its_delta(
    strike: float, volatility: float, years: float
) -> None:
    """E max(K - S, 0) under a driftless lognormal price, by quadrature; delta by difference."""
    deviation = volatility * np.sqrt(years)

    def paid(z: float) -> float:
        price = 50000.0 * np.exp(deviation * z - 0.5 * deviation**2)
        return float(max(strike - price, 0.0) * norm.pdf(z))

    edge = float((np.log(strike / 50000.0) + 0.5 * deviation**2) / deviation)
    expected = quad(paid, min(edge, 0.0) - 12.0, edge, epsabs=1e-9, limit=200)[0]
    value, delta = put_value(np.array([50000.0]), strike, volatility, years)
    assert value[0] == pytest.approx(expected, rel=1e-7, abs=1e-6)
    up, down = (
        put_value(np.array([50000.0 + h]), strike, volatility, years)[0][0] for h in (5, -5)
    )
    assert delta[0] == pytest.approx((up - down) / 10.0, abs=1e-5)


def test_at_expiry_a_put_is_its_payoff() -> None:
    value, delta = put_value(np.array([90.0, 100.0, 110.0]), 100.0, 0.6, 0.0)
    assert value.tolist() == [10.0, 0.0, 0.0]
    assert delta.tolist() == [-1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("quote", "why"),
    [
        (msgspec.structs.replace(QUOTE, premium_usd=0.0), "expected a positive strike, premium"),
        (msgspec.structs.replace(QUOTE, strike=-1.0), "mend the quote"),
        (msgspec.structs.replace(QUOTE, step=0.0), "mend the quote"),
        (msgspec.structs.replace(QUOTE, expiry_ms=NOW_MS), "expected an expiry ahead"),
        (msgspec.structs.replace(QUOTE, expiry_ms=NOW_MS + 9 * DAY_MS), "quote a later one"),
        (msgspec.structs.replace(QUOTE, coin="SOL"), "expected a contract of SOL"),
        (
            msgspec.structs.replace(QUOTE, strike=60000.0, premium_usd=9999.0),
            "expected a premium of at least 10000 USD",
        ),
        (msgspec.structs.replace(QUOTE, premium_usd=1.0), "the put's value at a volatility of 20%"),
        (msgspec.structs.replace(QUOTE, premium_usd=48000.0), "which no put is worth"),
        (
            msgspec.structs.replace(QUOTE, strike=500000.0, premium_usd=460000.0),
            "expected a strike from 10000 to 100000, BTC is at 50000",
        ),
        (msgspec.structs.replace(QUOTE, strike=480.0), "expected a strike from 10000"),
        (msgspec.structs.replace(QUOTE, held=-1.0), "(-1 held); mend the quote"),
    ],
)
def test_a_quote_that_cannot_be_is_refused_with_the_cure(quote: PutQuote, why: str) -> None:
    offer, rows = put_offer(posed(), (quote,), HEDGED, HorizonScenarios.none(""), NOW_MS)
    assert offer is None
    assert [row.quantity for row in rows] == [0.0]
    assert rows[0].why.startswith("refused: expected")
    assert why in rows[0].why


def ending_with_the_horizon(inputs: ProgramInputs, scenarios: HorizonScenarios) -> Puts:
    """Return the put of QUOTE that expires with the horizon, for 1,500 a coin."""
    quote = msgspec.structs.replace(QUOTE, expiry_ms=NOW_MS + 10 * DAY_MS, premium_usd=1500.0)
    offer, rows = put_offer(inputs, (quote,), HEDGED, scenarios, NOW_MS)
    assert offer is not None
    assert rows == ()
    return offer


def test_a_put_that_ends_with_the_horizon_is_taken_at_its_payoff() -> None:
    scenarios = drawn()
    offer = ending_with_the_horizon(posed(scenarios=scenarios), scenarios)
    ahead = 50000.0 * (1.0 + scenarios.moves_of("BTC") + 0.033)
    payoff = (np.maximum(48000.0 - ahead, 0.0) - 1500.0) / 50000.0
    assert offer.gains[:, 0] == pytest.approx(payoff, abs=1e-12)


def test_puts_add_their_delta_and_their_payoff_and_nothing_else() -> None:
    scenarios = drawn()
    inputs = posed(scenarios=scenarios)
    offer, _ = put_offer(inputs, (QUOTE,), HEDGED, scenarios, NOW_MS)
    assert offer is not None
    joint = with_puts(inputs, offer)
    rng = np.random.default_rng(5)
    perps = rng.normal(0.0, 0.3, (20, 2))
    puts = rng.uniform(0.0, 0.2, (20, 1))
    books = np.hstack([perps, puts])
    alone = limit_excess(perps, inputs.before, inputs.limits)
    both = limit_excess(books, joint.before, joint.limits)
    for name in UNMOVED:
        assert both[name] == pytest.approx(alone[name], abs=1e-14), name
    moved = perps + np.hstack([puts * offer.delta, np.zeros((20, 1))])
    assert plain_risk(books, joint.limits) == pytest.approx(plain_risk(moved, inputs.limits))
    paths = perps @ inputs.limits.scenarios.T + puts @ offer.gains.T
    worst = np.sort(paths, axis=1)[:, : PATHS // 20].mean(axis=1)
    assert book_shortfall(books, joint.limits) == pytest.approx(-worst, abs=1e-12)
    spent = puts[:, 0] * 2300.0 / 50000.0 - 0.01
    assert both["put_premium"][:, 0] == pytest.approx(spent, abs=1e-15)
    # Held beside the perpetuals instead of chosen: the same risk and tail; a constant less to gain.
    held = holding(inputs, offer, puts[0])
    assert plain_risk(perps, held.limits) == pytest.approx(
        plain_risk(np.hstack([perps, np.repeat(puts[:1], 20, 0)]), joint.limits)
    )
    assert book_shortfall(perps, held.limits) == pytest.approx(
        book_shortfall(np.hstack([perps, np.repeat(puts[:1], 20, 0)]), joint.limits), abs=1e-14
    )
    together = joint.objective(np.hstack([perps, np.repeat(puts[:1], 20, 0)]))
    assert held.objective(perps) == pytest.approx(together, abs=1e-14)
    # Of puts that are held in two parts the second is added to the first.
    twice = holding(holding(inputs, offer, 0.4 * puts[0]), offer, 0.6 * puts[0])
    assert twice.objective(perps) == pytest.approx(together, abs=1e-14)
    part = with_puts(holding(inputs, offer, 0.4 * puts[0]), offer)
    more = np.hstack([perps, np.repeat(0.6 * puts[:1], 20, 0)])
    assert part.objective(more) == pytest.approx(together, abs=1e-14)


def test_what_the_desk_holds_is_paid_for() -> None:
    """Held puts count in risk and tail; nothing of their price is charged again."""
    scenarios = drawn()
    inputs = posed(scenarios=scenarios)
    quote = msgspec.structs.replace(QUOTE, premium_usd=3000.0, held=2.0)
    offer, _ = put_offer(inputs, (quote,), HEDGED, scenarios, NOW_MS)
    assert offer is not None
    assert offer.excess[0] > 0.0
    weight = np.array([2.0 * 50000.0 / EQUITY])
    bought_now, held = holding(inputs, offer, weight), held_already(inputs, offer)
    assert (held.limits.root_offset == bought_now.limits.root_offset).all()
    assert (held.limits.scenario_offset == bought_now.limits.scenario_offset).all()
    assert held.constant - bought_now.constant == pytest.approx(offer.excess[0] * weight[0])


@pytest.mark.parametrize("move", [-0.2, 0.0, 0.15])
def test_a_quote_goes_along_with_a_shock_at_the_volatility_it_implies(move: float) -> None:
    """Quoted at 50000, the coin now elsewhere: Black and Scholes at the implied volatility."""
    moved = dict(zip(IDS, (str(50000 * (1 + move)), "2500"), strict=True))
    told = estimates(ONES, moved, (0.03, 0.02), covariance([0.6, 0.8], 0.7))
    market = snapshot(ONES, moved, {"binanceusdm": "1000000"})
    inputs = program_inputs(market, told, HEDGED, LIMITS, {})
    offer, rows = put_offer(
        inputs, (QUOTE,), HEDGED, HorizonScenarios.none(""), NOW_MS, {IDS[0]: 50000.0}
    )
    assert rows == ()
    assert offer is not None
    years = 30.0 / 365.0
    implied = implied_volatility(50000.0, 48000.0, 2300.0, years)
    assert put_value(np.array([50000.0]), 48000.0, implied, years)[0][0] == pytest.approx(2300.0)
    expected = put_value(np.array([50000.0 * (1 + move)]), 48000.0, implied, years)[0][0]
    assert offer.premium[0] * offer.spot[0] == pytest.approx(expected)


def test_a_put_drifts_on_its_paths_as_the_perpetual_does() -> None:
    """Price drift of both is the expected return with its funding put back: .03 + .003 here."""
    scenarios = drawn()
    inputs = posed(scenarios=scenarios)
    offer = ending_with_the_horizon(inputs, scenarios)
    perp = inputs.limits.scenarios[:, 0] + 0.003
    payoff = np.maximum(48000.0 - 50000.0 * (1.0 + perp), 0.0) - 1500.0
    assert offer.gains[:, 0] * 50000.0 == pytest.approx(payoff, abs=1e-6)


def tight(cvar_max: float) -> Limits:
    return msgspec.structs.replace(LIMITS, cvar_max=cvar_max)


def shortfalls(inputs: ProgramInputs, weights: FloatArray) -> float:
    return float(book_shortfall(weights[None, :], inputs.limits)[0])


def test_a_put_is_bought_where_the_cvar_cap_binds_and_lets_the_book_hold_more() -> None:
    scenarios = drawn()
    inputs = posed(limits=tight(0.04), scenarios=scenarios)
    offer, _ = put_offer(inputs, (QUOTE,), HEDGED, scenarios, NOW_MS)
    assert offer is not None
    without = solve(inputs)
    assert shortfalls(inputs, without.weights) == pytest.approx(0.04, abs=1e-6)
    hedged, rows = bought(inputs, offer, EQUITY)
    assert rows[0].quantity > 0.0
    assert rows[0].quantity == pytest.approx(round(rows[0].quantity / 0.01) * 0.01, abs=1e-12)
    assert float(rows[0].premium_usd) == pytest.approx(2300.0 * rows[0].quantity)
    assert float(rows[0].premium_usd) <= 0.01 * EQUITY
    assert -1.0 < rows[0].delta < 0.0
    assert rows[0].why.startswith("hedge, to buy by hand: takes")
    assert "cvar" in rows[0].why
    assert "no margin asset" in rows[0].why
    assert "-0.0" not in rows[0].why
    assert hedged.unhedged is inputs
    after = solve(hedged)
    assert after.status == "optimal"
    assert shortfalls(hedged, after.weights) <= 0.04 + 1e-6
    assert after.weights[0] > without.weights[0] + 0.01
    # What is held is paid for: nothing is worse than without it, premium above value included.
    gained = float(hedged.objective(after.weights) - inputs.objective(without.weights))
    assert gained >= -1e-7


def test_a_dear_put_is_not_bought_and_says_why() -> None:
    scenarios = drawn()
    inputs = posed(scenarios=scenarios)
    dear = msgspec.structs.replace(QUOTE, premium_usd=9000.0)
    offer, _ = put_offer(inputs, (dear,), HEDGED, scenarios, NOW_MS)
    assert offer is not None
    unhedged, rows = bought(inputs, offer, EQUITY)
    assert unhedged is inputs
    assert rows[0].quantity == 0.0
    assert rows[0].why.startswith("not bought: it takes")
    assert "above its value" in rows[0].why


def test_a_cheap_put_is_no_gain_to_chase() -> None:
    """A flat book buys no put, however far below its value it is offered."""
    scenarios = drawn()
    inputs = posed((0.0, 0.0), scenarios=scenarios)
    cheap = msgspec.structs.replace(QUOTE, premium_usd=800.0)
    offer, _ = put_offer(inputs, (cheap,), HEDGED, scenarios, NOW_MS)
    assert offer is not None
    assert offer.excess[0] == 0.0
    _, rows = bought(inputs, offer, EQUITY)
    assert rows[0].quantity == 0.0


def test_the_premium_of_all_puts_is_capped() -> None:
    scenarios = drawn()
    inputs = posed(limits=tight(0.02), scenarios=scenarios)
    few = msgspec.structs.replace(HEDGED, put_premium_max=0.001)
    quotes = (QUOTE, PutQuote("ETH", 2400.0, MONTH, 150.0, 0.1))
    offer, _ = put_offer(inputs, quotes, few, scenarios, NOW_MS)
    assert offer is not None
    _, rows = bought(inputs, offer, EQUITY)
    assert 0.0 < sum(float(row.premium_usd) for row in rows) <= 0.001 * EQUITY


def test_hedges_wait_for_their_regime() -> None:
    stress = msgspec.structs.replace(BALANCED, hedge_from="stress")
    assert [hedging(stress, regime) for regime in ("calm", "normal", "stress", "crisis")] == [
        False, False, True, True,
    ]  # fmt: skip
    assert not hedging(BALANCED, "crisis")
    assert withheld((QUOTE,), stress, "calm").endswith("from stress on, the regime is calm")
    assert "set hedge_from" in withheld((QUOTE,), BALANCED, "crisis")
    assert withheld((), BALANCED, "crisis") == ""
    assert withheld((QUOTE,), stress, "crisis") == ""


@pytest.mark.parametrize(
    ("before", "regime", "bounds"),
    [
        (0.0, "stress", (-3.0, 0.0)),
        (0.0, "calm", (0.0, 0.0)),
        (-0.2, "calm", (-0.2, 0.0)),
        (-0.2, "crisis", (-3.0, 0.0)),
        (0.3, "calm", (0.0, 0.3)),
        (0.3, "stress", (-3.0, 0.3)),
    ],
)
def test_a_short_hedge_is_never_bought_and_sold_only_in_stress(
    before: float, regime: str, bounds: tuple[float, float]
) -> None:
    contracts = posed().contracts
    strategy = msgspec.structs.replace(
        BALANCED, hedge_from="stress", hedge_shorts=(contracts[0].id,)
    )
    lower, upper, notes = short_bounds(
        contracts,
        np.array([before, 0.5]),
        (np.array([-3.0, -3.0]), np.array([3.0, 3.0])),
        strategy,
        regime,
    )
    assert (lower[0], upper[0]) == bounds
    assert (lower[1], upper[1]) == (-3.0, 3.0)
    assert len(notes) == 1
    fixed = np.array([0.1, 0.0])
    again = short_bounds(contracts, fixed, (fixed, fixed), strategy, regime)
    assert again[0] is not fixed
    assert (again[0] == fixed).all()
    assert (again[1] == fixed).all()


@pytest.mark.parametrize(
    ("before", "target", "regime", "said"),
    [
        (0.0, 0.1, "calm", "buys it all the same"),
        (0.2, 0.3, "stress", "buys it all the same"),
        (0.0, -0.1, "calm", "sells it short all the same"),
        (0.0, -0.1, "stress", ""),
        (0.2, 0.1, "calm", ""),
        (-0.2, -0.1, "calm", ""),
    ],
)
def test_a_target_beyond_what_a_hedge_may_do_is_said_to_be_so(
    before: float, target: float, regime: str, said: str
) -> None:
    contracts = posed().contracts
    strategy = msgspec.structs.replace(
        BALANCED, hedge_from="stress", hedge_shorts=(contracts[0].id,)
    )
    fixed = np.array([target, 0.0])
    _, _, notes = short_bounds(contracts, np.array([before, 0.0]), (fixed, fixed), strategy, regime)
    assert len(notes) == bool(said)
    assert all(said in note and contracts[0].id in note for note in notes)


def test_puts_keep_a_program_with_other_pulls_and_costs_whole() -> None:
    inputs = replace(posed(), pull=np.array([0.01, 0.0]), holding_cost=np.array([0.001, 0.0]))
    offer, _ = put_offer(inputs, (QUOTE,), HEDGED, HorizonScenarios.none(""), NOW_MS)
    assert offer is not None
    joint = with_puts(inputs, offer)
    book = np.array([0.3, -0.2])
    assert joint.objective(np.append(book, 0.0)) == pytest.approx(inputs.objective(book))


def test_puts_bought_for_one_book_are_judged_by_the_book_that_is_proposed() -> None:
    """A put takes risk off a book that is long its coin, and adds to one that is short (delta)."""
    inputs = posed(scenarios=drawn())
    offer, _ = put_offer(inputs, [QUOTE], HEDGED, drawn(), NOW_MS)
    assert offer is not None
    hedged, rows = bought(inputs, offer, EQUITY)
    assert rows[0].quantity > 0.0
    assert harm(np.array([0.5, 0.0]), hedged.limits, inputs.limits) == ""
    short = np.array([-0.5, 0.0])
    why = harm(short, hedged.limits, inputs.limits)
    before, after = (float(plain_risk(short[None, :], one.limits)[0]) for one in (inputs, hedged))
    assert after > before
    assert why.startswith(
        f"not bought: it would raise the robust risk of the blended book from {before:.2%} to "
        f"{after:.2%}"
    )
    (row,) = not_bought(rows, why)
    assert (row.quantity, float(row.premium_usd), row.why) == (0.0, 0.0, why)
    assert not_bought((row,), "another") == (row,)
