from dataclasses import replace
from decimal import Decimal

import pytest

from perptui.risk.accounts import MarginRules, account_states
from perptui.risk.book import Book, Holding
from perptui.risk.holding_limits import check_beta, check_collateral, check_standalone_risk
from perptui.risk.limits import LIQUIDATED, check_stress
from tests.optimization.market import TIERS

D = Decimal


def holding(
    name: str, account: str, notional: str, before: str = "0", leverage: str | None = None
) -> Holding[Decimal]:
    held = None if leverage is None else D(leverage)
    return Holding(name, name[2:], account, D(notional), D(before), TIERS, leverage=held)


# E = 100 000 in two accounts.
BOOK = Book(
    holdings=(
        holding("a:BTC", "a", "90000", leverage="20"),
        holding("a:ETH", "a", "-30000"),
        holding("b:SOL", "b", "0", before="5000"),
        holding("b:XRP", "b", "0"),
    ),
    equity={"a": D(60000), "b": D(40000)},
)


def test_beta_is_signed_inside_and_absolute_outside() -> None:
    betas = {"a:BTC": D(1), "a:ETH": D("1.3"), "b:SOL": D(2), "b:XRP": D(1)}
    (check,) = check_beta(BOOK, betas, 0.51)
    # .9 - 1.3 x .3
    assert (check.name, check.value, check.ok) == ("beta", 0.51, True)
    assert not check_beta(BOOK, betas, 0.5099999)[0].ok
    (hedged,) = check_beta(BOOK, betas, 0.4, others=-1.0)
    assert (hedged.value, hedged.ok) == (0.49, False)
    with pytest.raises(ValueError, match="beta of every holding, was none of b:XRP"):
        check_beta(BOOK, {name: betas[name] for name in list(betas)[:3]}, 1.0)


def test_a_contracts_own_risk_is_held_to_a_share_of_the_budget() -> None:
    """.9 x .5 a year is .45: at its bound of .75 x .6, which floats make .44999999999999996."""
    volatilities = {"a:BTC": D("0.5"), "a:ETH": D("0.6"), "b:SOL": D("0.9"), "b:XRP": D("0.8")}
    checks = check_standalone_risk(BOOK, volatilities, 0.75, 0.6)
    assert [(one.name, one.value, one.ok) for one in checks] == [
        ("standalone_risk:a:BTC", 0.45, True),
        ("standalone_risk:a:ETH", 0.18, True),
        ("standalone_risk:b:SOL", 0.0, True),
    ]
    assert {one.limit for one in checks} == {0.45}
    assert not check_standalone_risk(BOOK, volatilities, 0.7499999, 0.6)[0].ok
    lowered = check_standalone_risk(BOOK, volatilities, 0.75, 0.3)
    assert [one.value for one in lowered] == [one.value for one in checks]
    with pytest.raises(ValueError, match="volatility of every holding"):
        check_standalone_risk(BOOK, {}, 1.0, 1.0)


def test_initial_margin_leaves_each_account_and_the_whole_their_free_share() -> None:
    # 90 000 at 20x bind 4 500; 30 000, in the tier of 125x, bind 240.
    checks = {one.name: one for one in check_collateral(BOOK, 0.921, 0.9)}
    assert list(checks) == ["free_collateral:a", "free_collateral:b", "stablecoin"]
    assert checks["free_collateral:a"].value == pytest.approx(1 - 4740 / 60000)
    assert checks["free_collateral:a"].at_least
    assert not checks["free_collateral:b"].value < 1.0
    assert checks["stablecoin"].value == pytest.approx(1 - 4740 / 100000)
    assert all(one.ok for one in checks.values())
    assert not check_collateral(BOOK, 0.9210001)[0].ok
    assert not check_collateral(BOOK, 0.9, 0.9526001)[-1].ok
    assert [one.name for one in check_collateral(BOOK, 0.9)] == list(checks)[:2]


def test_an_account_without_equity_has_no_free_collateral() -> None:
    poor = Book(BOOK.holdings, {"a": D(-1), "b": D(40000)})
    check = check_collateral(poor, 0.0)[0]
    assert (check.value, check.ok) == (1 - LIQUIDATED, False)
    tierless = Book((Holding("a:BTC", "BTC", "a", D(1), D(0), ()),), {"a": D(10)})
    with pytest.raises(ValueError, match="margin tiers of a:BTC"):
        check_collateral(tierless, 0.0)


def test_stress_counts_the_collaterals_own_loss_and_named_moves() -> None:
    book = Book((holding("a:BTC", "a", "60000"), holding("a:ETH", "a", "-60000")), {"a": D(60000)})
    plain = check_stress(book, 0.2, 0.5)[0].value
    # Legs cancel; margin of both after +20 %: 72 000 at .5 % less 50, by 1.5.
    assert plain == pytest.approx(2 * 1.5 * (72000 * 0.005 - 50) / 60000)
    assert check_stress(book, 0.2, 0.5, 0.02)[0].value == pytest.approx(plain + 0.02)
    apart = {"apart": {"a:BTC": D("-0.3"), "a:ETH": D("0.3")}, "eth": {"a:ETH": D("0.1")}}
    # 18 000 lost on each leg; margins of 42 000 at .4 % and of 78 000 at .5 % less 50.
    worst = 0.02 + (36000 + 1.5 * (42000 * 0.004 + 78000 * 0.005 - 50)) / 60000
    named = {one.name: one.value for one in check_stress(book, 0.2, 0.5, 0.02, apart)}
    assert named["margin_stress:a"] == pytest.approx(plain + 0.02)
    assert named["margin_stress_apart:a"] == pytest.approx(worst)


def test_coin_that_is_collateral_moves_with_a_named_stress() -> None:
    """By hand: half of the coin's worth is gone, and so is half of what the contracts are."""
    held = Holding("a:BTC", "BTC", "a", D(60000), D(0), TIERS, linear=False)
    book = Book((held,), {"a": D(100000)})
    crash = {"crash": {"a:BTC": D("-0.5")}}
    lost = 30000 + 50000 + 1.5 * (60000 * 0.005 - 50)
    checks = {one.name: one.value for one in check_stress(book, 0.1, 0.5, 0.0, crash)}
    assert checks["margin_stress_crash:a"] == pytest.approx(lost / 100000)
    rules = MarginRules(1.0, 0.0, 10.0, 0.1, 0.5, named={"crash": {"a:BTC": -0.5}})
    state = account_states(book, rules)[0]
    assert state.stressed == pytest.approx(D(lost))
    # With half of what comes in gone as well, twice the rest must be there before.
    assert state.required == pytest.approx(D(2 * (lost - 50000)))
    dollars = Book((replace(held, linear=True),), book.equity)
    plain = {one.name: one.value for one in check_stress(dollars, 0.1, 0.5, 0.0, crash)}
    half = 30000 + 1.5 * 30000 * 0.004
    assert plain["margin_stress_crash:a"] == pytest.approx(half / 100000)
