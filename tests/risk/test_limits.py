from dataclasses import replace
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.model.limit import LimitCheck
from perptui.risk.arrays import LimitArrays, limit_excess, maintenance
from perptui.risk.book import Book, Holding, drawdown, floated, only_reduces, turnover
from perptui.risk.limits import (
    LIQUIDATED,
    blocking,
    book_volatility,
    check_clusters,
    check_limits,
    check_stress,
)
from perptui.risk.margin import FloatTier, float_tiers
from perptui.risk.margin import maintenance as exact_maintenance
from tests.optimization.market import LIMITS, TIERS

D = Decimal


def holding(
    name: str, coin: str, account: str, notional: str, before: str = "0", volume: str = "1e8"
) -> Holding[Decimal]:
    return Holding(name, coin, account, D(notional), D(before), TIERS, D(volume))


# E = 100 000 in two accounts; BTC on both, short ETH on the first.
BOOK = Book(
    holdings=(
        holding("a:BTC", "BTC", "a", "90000", "60000"),
        holding("a:ETH", "ETH", "a", "-30000", "10000"),
        holding("b:BTC", "BTC", "b", "-20000", "-20000"),
    ),
    equity={"a": D(60000), "b": D(40000)},
    volatility=0.42,
    peak_equity=D(125000),
)


def by_name(checks: tuple[LimitCheck, ...]) -> dict[str, LimitCheck]:
    named = {check.name: check for check in checks}
    assert len(named) == len(checks)
    return named


def test_every_limit_has_its_worked_value() -> None:
    checks = by_name(check_limits(BOOK, LIMITS))
    expected = {
        "gross": 1.4,
        "net_min": 0.4,
        "net_max": 0.4,
        "coin_net:BTC": 0.7,
        "coin_net:ETH": 0.3,
        "coin_gross:BTC": 1.1,
        "coin_gross:ETH": 0.3,
        "venue_gross:a": 2.0,
        "venue_gross:b": 0.5,
        # MM(90 000) = .005·90 000 - 50 = 400, MM(30 000) = 120, MM(20 000) = 80.
        "margin_ratio:a": 520 / 60000,
        "margin_ratio:b": 80 / 40000,
        # ½(30 000 + 40 000)/100 000.
        "turnover": 0.35,
        "volatility": 0.42,
        "participation:a:BTC": 0.0003,
        "participation:a:ETH": 0.0004,
        "drawdown": 0.2,
    }
    values = {name: check.value for name, check in checks.items() if "liquidation" not in name}
    assert values == pytest.approx(expected, abs=1e-15)
    assert {name for name, check in checks.items() if not check.ok} == {"drawdown"}
    assert {name for name, check in checks.items() if check.at_least} == {
        "net_min",
        "liquidation:a",
        "liquidation:b",
    }


def test_the_liquidation_distance_solves_the_account_equation() -> None:
    long = Book((holding("a:BTC", "BTC", "a", "90000"),), {"a": D(20000)})
    # 20 000 + 90 000 x = .005·90 000(1 + x) - 50, still in the second tier at that price.
    down = (450 - 50 - 20000) / (90000 - 450)
    assert 90000 * (1 + down) > 50000
    check = by_name(check_limits(long, LIMITS))["liquidation:a"]
    assert check.value == pytest.approx(-down, abs=1e-15)
    assert check.ok
    short = replace(long, holdings=(holding("a:BTC", "BTC", "a", "-110000"),))
    # 20 000 - 110 000 x = .005·110 000(1 + x) - 50: nearer than the limit of 20 %.
    check = by_name(check_limits(short, LIMITS))["liquidation:a"]
    assert check.value == pytest.approx((20000 - 500) / 110550, abs=1e-15)
    assert not check.ok
    assert by_name(check_limits(BOOK, LIMITS))["liquidation:b"].value == 1.0


def test_a_limit_is_exact_in_decimals_to_the_last_digit() -> None:
    limits = msgspec.structs.replace(LIMITS, gross_max=0.3)
    leg = holding("a:BTC", "BTC", "a", "30000")
    at = Book((leg,), {"a": D(100000)})
    over = Book((replace(leg, notional=D("30000.0000000000001")),), {"a": D(100000)})
    assert by_name(check_limits(at, limits))["gross"].ok
    assert by_name(check_limits(at, limits))["gross"].binding
    assert not by_name(check_limits(over, limits))["gross"].ok
    assert by_name(check_limits(over, limits))["gross"].binding


def test_an_account_without_equity_is_liquidated_unless_it_is_empty() -> None:
    book = replace(BOOK, equity={"a": D(100000), "b": D(-1)})
    checks = by_name(check_limits(book, LIMITS))
    assert checks["margin_ratio:b"].value == LIQUIDATED
    assert not checks["margin_ratio:b"].ok
    assert checks["liquidation:b"].value == 0
    empty = Book(BOOK.holdings[:2], {"a": D(100000), "b": D(0)})
    assert all(check.ok for check in check_limits(empty, LIMITS) if check.name.endswith(":b"))


@pytest.mark.parametrize("equity", [{"a": D(0)}, {"a": D(-5), "b": D(4)}, {}])
def test_no_equity_is_refused(equity: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="positive equity"):
        check_limits(Book((), equity), LIMITS)


def test_an_account_that_was_not_read_is_refused() -> None:
    with pytest.raises(ValueError, match="equity of every account, was none for b"):
        check_limits(replace(BOOK, equity={"a": D(1000)}), LIMITS)


def test_stress_counts_loss_and_cushioned_margin_of_the_worse_move() -> None:
    checks = by_name(check_stress(BOOK, 0.2, 0.5))
    # a, down 20 %: loss 12 000, MM(72 000) = 310, MM(24 000) = 96, times 1.5.
    assert checks["margin_stress:a"].value == pytest.approx((12000 + 1.5 * 406) / 60000)
    # b, up 20 %: loss 4 000, MM(24 000) = 96.
    assert checks["margin_stress:b"].value == pytest.approx((4000 + 1.5 * 96) / 40000)


def test_clusters_are_held_by_gross_and_named_by_coin() -> None:
    check = by_name(check_clusters(BOOK, [("a:BTC", "b:BTC", "a:ETH")], 1.3))["cluster:BTC+ETH"]
    assert check.value == pytest.approx(1.4)
    assert not check.ok


def test_volatility_of_two_assets() -> None:
    covariance = [[0.04, 0.012], [0.012, 0.09]]
    variance = 0.5**2 * 0.04 + 0.2**2 * 0.09 - 2 * 0.5 * 0.2 * 0.012
    assert book_volatility([0.5, -0.2], covariance, 10.0) == pytest.approx((variance * 36.5) ** 0.5)


def test_only_reduces_sees_flips_and_additions() -> None:
    legs = {
        "smaller": ("5", "9"),
        "closed": ("0", "-9"),
        "kept": ("9", "9"),
        "larger": ("-10", "-9"),
        "flipped": ("-1", "9"),
        "opened": ("1", "0"),
    }
    reducing = {
        name
        for name, (notional, before) in legs.items()
        if only_reduces(Book((holding("x", "X", "a", notional, before),), {"a": D(1)}))
    }
    assert reducing == {"smaller", "closed", "kept"}


def test_a_reduction_may_leave_what_it_betters_and_pass_the_drawdown() -> None:
    def failed(name: str, value: float, *, floor: bool = False) -> LimitCheck:
        return LimitCheck(name, value, 0.5, False, floor)

    now = (failed("gross", 0.9), failed("liquidation:a", 0.1, floor=True), failed("drawdown", 0.6))
    better = (
        failed("gross", 0.7),
        failed("liquidation:a", 0.2, floor=True),
        failed("drawdown", 0.6),
    )
    worse = (failed("gross", 0.7), failed("liquidation:a", 0.05, floor=True))
    assert blocking(better, now, reducing=True) == ()
    assert blocking(better, now, reducing=False) == better
    assert [check.name for check in blocking(worse, now, reducing=True)] == ["liquidation:a"]
    assert blocking((failed("turnover", 0.6),), now, reducing=True)[0].name == "turnover"


def test_drawdown_and_turnover_of_a_book() -> None:
    assert drawdown(BOOK) == D("0.2")
    assert drawdown(replace(BOOK, peak_equity=None)) == 0
    assert drawdown(replace(BOOK, peak_equity=D(90000))) == 0
    assert turnover(BOOK) == D("0.35")


def float_book(book: Book[Decimal]) -> Book[float]:
    return Book(
        holdings=tuple(floated(one) for one in book.holdings),
        equity={name: float(value) for name, value in book.equity.items()},
        volatility=book.volatility,
        peak_equity=float(book.peak_equity or 0),
    )


def test_floats_and_decimals_agree() -> None:
    exact, floats = check_limits(BOOK, LIMITS), check_limits(float_book(BOOK), LIMITS)
    assert [check.name for check in exact] == [check.name for check in floats]
    assert [one.value for one in exact] == pytest.approx([one.value for one in floats], abs=1e-12)


# ------------------------------------------------------------- arrays against the exact functions

NOTIONALS = st.lists(st.integers(-400_000, 400_000), min_size=4, max_size=4)
COINS, ACCOUNTS = ("BTC", "ETH", "BTC", "SOL"), ("a", "a", "b", "b")
EQUITY = {"a": D(150_000), "b": D(50_000)}
ROOT = np.linalg.cholesky(np.full((4, 4), 0.004) + np.diag([0.001, 0.003, 0.002, 0.006])).T


def arrays(cushion: float) -> LimitArrays:
    total = 200_000.0
    tiers = float_tiers(TIERS)
    return LimitArrays(
        coin=np.array([[c == coin for c in COINS] for coin in ("BTC", "ETH", "SOL")], float),
        account=np.array([[a == account for a in ACCOUNTS] for account in EQUITY], float),
        cluster=np.array([[1.0, 1.0, 1.0, 0.0]]),
        equity_share=np.array([0.75, 0.25]),
        tier_rates=np.repeat([[tier.rate] for tier in tiers], 4, axis=1),
        tier_deductions=np.repeat([[tier.deduction_usd / total] for tier in tiers], 4, axis=1),
        linear=np.ones(4),
        root=ROOT,
        root_offset=np.zeros(4),
        sigma=np.linalg.norm(ROOT, axis=0),
        trade_max=np.full(4, 0.01 * 1e8 / total),
        trade_min=np.zeros(4),
        size_max=np.full(4, 100.0),
        initial_rate=np.full(4, 0.02),
        stress=np.outer([1.0, -1.0], np.full(4, LIMITS.liquidation_distance_min)),
        stress_names=("up", "down"),
        rows=np.zeros((0, 4)),
        row_max=np.zeros(0),
        row_names=(),
        scenarios=np.zeros((0, 4)),
        scenario_offset=np.zeros(0),
        market=ROOT.T @ ROOT[:, 0] / np.linalg.norm(ROOT[:, 0]),
        gross_max=LIMITS.gross_max,
        net_min=LIMITS.net_min,
        net_max=LIMITS.net_max,
        coin_net_max=LIMITS.coin_net_max,
        coin_gross_max=LIMITS.coin_gross_max,
        venue_gross_max=LIMITS.venue_gross_max,
        margin_ratio_max=LIMITS.margin_ratio_max,
        cushion=cushion,
        depeg=0.0,
        turnover_max=LIMITS.turnover_max,
        volatility_max=LIMITS.volatility_max * (10 / 365) ** 0.5,
        covariance_uncertainty=0.0,
        cluster_max=1.5,
        free_collateral_min=0.0,
        stablecoin_min=0.0,
        tail=0.05,
        cvar_max=1.0,
        market_correlation_max=1.0,
    )


@given(NOTIONALS, NOTIONALS, st.sampled_from([0.0, 0.5, 2.0]))
@settings(max_examples=150, deadline=None)
def test_arrays_find_the_breaches_that_the_exact_checks_find(
    notionals: list[int], before: list[int], cushion: float
) -> None:
    weights = np.array(notionals) / 200_000.0
    covariance = (ROOT.T @ ROOT).tolist()
    book = Book(
        holdings=tuple(
            Holding(str(i), COINS[i], ACCOUNTS[i], D(x), D(y), TIERS, D("1e8"))
            for i, (x, y) in enumerate(zip(notionals, before, strict=True))
        ),
        equity=EQUITY,
        volatility=book_volatility(weights.tolist(), covariance, 10.0),
    )
    limits = arrays(cushion)
    excess = limit_excess(weights[None, :], np.array(before) / 200_000.0, limits)
    checks = (
        *check_limits(book, LIMITS),
        *check_stress(book, 0.2, cushion),
        *check_clusters(book, [("0", "1", "2")], 1.5),
    )
    groups = {
        "coin_net": "coin_net",
        "coin_gross": "coin_gross",
        "venue_gross": "venue_gross",
        "margin_ratio": "margin_ratio",
        "participation": "participation",
        "cluster": "cluster",
        "gross": "gross",
        "net_min": "net_min",
        "net_max": "net_max",
        "turnover": "turnover",
        "volatility": "volatility",
    }
    for name, prefix in groups.items():
        exact = [check for check in checks if check.name.split(":")[0] == prefix]
        room = float(excess[name].max())
        if abs(room) > 1e-9:
            assert (room <= 0) == all(check.ok for check in exact), name
    stressed = max(float(excess["stress_up"].max()), float(excess["stress_down"].max()))
    if abs(stressed) > 1e-9:
        stress = [check for check in checks if check.name.startswith("margin_stress")]
        assert (stressed <= 0) == all(check.ok for check in stress)
    # A cushion of nothing is the liquidation distance itself; a larger one is the stricter.
    if stressed <= -1e-9:
        assert all(check.ok for check in checks if check.name.startswith("liquidation"))


def test_array_maintenance_is_the_tier_function() -> None:
    limits = arrays(0.5)
    sizes = np.array([[0.1, -0.26, 1.3, -6.0]])
    found = maintenance(sizes, limits.tier_rates, limits.tier_deductions)[0] * 200_000
    tiers: tuple[FloatTier, ...] = float_tiers(TIERS)
    expected = [exact_maintenance(size * 200_000, tiers) for size in sizes[0].tolist()]
    assert found == pytest.approx(expected)
    assert found[3] == pytest.approx(0.025 * 1_200_000 - 16_300)
