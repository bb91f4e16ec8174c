"""Tails of the day at the hour's volatility, on normal data whose figures are known."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.covariance.basis import Basis, forecast_basis
from perptui.estimation.covariance.correlation import correlation_of
from perptui.estimation.liquidity import Liquidity
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.tails.filtered import Scenarios
from perptui.estimation.tails.parametric import normal_tail
from perptui.estimation.tails.sample import historical
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.forecast import TailRisk
from perptui.model.jobs import EstimateJob
from perptui.model.strategy import StrategyParameters
from perptui.quant.compose import Present, present_of
from perptui.quant.day import day_view
from perptui.quant.funding import DayFunding, FundingFits
from perptui.quant.hour import HourView, hour_view, since_all
from perptui.quant.offline import snapshot_at
from perptui.quant.tails import (
    EXIT,
    LINEAR,
    STRESSED,
    DayTails,
    Known,
    day_tails,
    present_tails,
    swollen_scenarios,
)
from tests.quant.markets import BALANCED, TACTICAL

DAYS, N, SIGMA = 1000, 3, 0.02
END = 20_000 * DAY_MS
RHO = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5], [0.5, 0.5, 1.0]])
BOOKS = {"equal weight": np.full(N, 1 / N), "hedged": np.array([0.6, -0.6, 0.0])}
NO_FUNDING = DayFunding(
    np.zeros((DAYS, N)), np.full((DAYS, N), np.nan), np.zeros(N), np.zeros(N), np.eye(N)
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    rng = np.random.default_rng(12)
    steps = rng.standard_normal((24 * DAYS, N)) @ np.linalg.cholesky(RHO).T
    prices = 100 * np.exp(np.cumsum(steps * SIGMA / np.sqrt(24), axis=0))
    stamps = END - HOUR_MS * np.arange(24 * DAYS)[::-1]
    series = [Closes(f"v:{k}", f"C{k}", stamps, prices[:, k], HOUR_MS) for k in range(N)]
    return build_panel(series, END, DAYS)


@pytest.fixture(scope="module")
def tails(panel: Panel) -> DayTails:
    return tails_of(panel, NO_FUNDING)


def tails_of(panel: Panel, funding: DayFunding) -> DayTails:
    variance = np.full(panel.daily.shape, SIGMA**2)
    return day_tails(panel, variance, forecast_basis(panel, 1.0), funding, 1.0)


def scenarios(returns: np.ndarray, horizon_days: float = 14.0) -> Scenarios:
    """Contracts that are each the only one of a coin, and pay no funding."""
    count = returns.shape[1]
    return Scenarios(
        returns=returns,
        horizon_days=horizon_days,
        seed=1,
        dates=500,
        coins=returns,
        owner=np.arange(count),
        funding=np.zeros(returns.shape),
        funding_deviation=np.zeros(count),
    )


def liquidity(half: float = 0.0, deviation: float = 0.0) -> Liquidity:
    nothing = np.zeros(N)
    return Liquidity(
        np.full(N, half), np.full(N, deviation), nothing, nothing, nothing, nothing, ("book",) * N
    )


def rows_of(
    tails: DayTails,
    panel: Panel,
    *,
    swollen: float = 1.0,
    mean: float = 0.0,
    spread: Liquidity | None = None,
) -> dict[tuple[str, str, float], TailRisk]:
    made = swollen_scenarios(tails, np.full(N, swollen))
    known = Known(
        panel.daily,
        NO_FUNDING.daily,
        swollen * SIGMA**2 * RHO,
        np.full(N, mean),
        np.zeros(N),
        spread or liquidity(),
        4.0 * swollen * SIGMA**2 * RHO,
    )
    found = present_tails(made, BOOKS, known)
    return {(row.book, row.method, row.level): row for row in found}


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_on_normal_data_simulation_says_what_the_normal_does(
    tails: DayTails, panel: Panel, level: float
) -> None:
    for name, weights in BOOKS.items():
        found = rows_of(tails, panel)[name, "FHS", level]
        deviation = float(np.sqrt(weights @ RHO @ weights)) * SIGMA
        exact = normal_tail(0.0, deviation, level)
        # A thousand residuals: a quantile's standard error is 3 % of it at 95, 4 % at 99.
        assert found.var == pytest.approx(exact.var, rel=0.12)
        assert found.shortfall == pytest.approx(exact.shortfall, rel=0.12)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_under_stress_every_loss_is_that_of_the_stressed_matrix(
    tails: DayTails, panel: Panel, level: float
) -> None:
    for name, weights in BOOKS.items():
        found = rows_of(tails, panel)[name, "normal, stressed", level]
        deviation = 2.0 * float(np.sqrt(weights @ RHO @ weights)) * SIGMA
        exact = normal_tail(0.0, deviation, level)
        assert (found.var, found.shortfall) == pytest.approx((exact.var, exact.shortfall))
        assert found.text == "volatilities doubled, correlations half-way to one"


def test_variance_that_doubled_swells_losses_by_its_root(tails: DayTails, panel: Panel) -> None:
    calm, wild = (rows_of(tails, panel, swollen=ratio) for ratio in (1.0, 2.0))
    for name in BOOKS:
        before, after = (rows[name, "FHS", 0.95].var for rows in (calm, wild))
        assert after / before == pytest.approx(np.sqrt(2), rel=0.01)


def test_logs_swell_exactly_and_small_changes_nearly_so() -> None:
    moved = np.random.default_rng(3).normal(0, 0.2, (500, 2))
    made = DayTails(scenarios(np.expm1(moved)), "")
    near, far = (1.0 + 0.99 * LINEAR) ** 2, 1.9
    found = swollen_scenarios(made, np.array([near, far]))
    assert found is not None
    exact = np.expm1(moved * np.sqrt([near, far]))
    np.testing.assert_allclose(found.book(np.array([0.0, 1.0])), exact[:, 1], rtol=1e-12)
    one = found.book(np.array([1.0, 0.0]))
    half = np.abs(moved[:, 0]) < 0.5
    assert (np.abs(one - exact[:, 0]) <= 0.02 * np.abs(exact[:, 0]) + 1e-12)[half].all()
    # Nobody loses more than the whole of a long, however far volatility went.
    crash = DayTails(scenarios(np.full((9, 1), -0.8)), "")
    swollen = swollen_scenarios(crash, np.array([9.0]))
    assert swollen is not None
    np.testing.assert_allclose(swollen.book(np.ones(1)), 0.2**3 - 1, rtol=1e-12)
    # The day's own stay as they were.
    assert crash.scenarios is not None
    assert (crash.scenarios.returns == -0.8).all()


def test_expected_returns_come_off_losses_one_for_one(tails: DayTails, panel: Panel) -> None:
    flat, paid = rows_of(tails, panel), rows_of(tails, panel, mean=0.003)
    for level in (0.95, 0.99):
        book = "equal weight", "FHS", level
        assert paid[book].var == pytest.approx(flat[book].var - 0.003, rel=1e-9)
        assert paid[book].shortfall == pytest.approx(flat[book].shortfall - 0.003, rel=1e-9)
        # What is long and short alike expects nothing.
        hedged = "hedged", "FHS", level
        assert paid[hedged].var == pytest.approx(flat[hedged].var, rel=1e-9)


def test_leaving_the_book_costs_its_gross_times_wide_half_spreads(
    tails: DayTails, panel: Panel
) -> None:
    rows = rows_of(tails, panel, spread=liquidity(0.0010, 0.0004))
    for name, gross in (("equal weight", 1.0), ("hedged", 1.2)):
        for level in (0.95, 0.99):
            plain, left = rows[name, "FHS", level], rows[name, EXIT, level]
            # ½ sum |w| (spread + 3 sd of the spread), Bangia et al. 1999.
            cost = gross * (0.0010 + 3 * 0.0004)
            assert left.var == pytest.approx(plain.var + cost, rel=1e-12)
            assert left.shortfall == pytest.approx(plain.shortfall + cost, rel=1e-12)
            assert left.error == plain.error
            wanted = f"leaving {name} takes {cost:.3%} of equity: half-spreads, 3 sd wide"
            assert left.text == wanted
    order = [method for book, method, level in rows if (book, level) == ("hedged", 0.95)]
    assert order == ["historical", "normal", "Student t", "Cornish-Fisher", "FHS", EXIT, STRESSED]


def test_too_few_days_are_said_and_have_no_rows(panel: Panel) -> None:
    short = replace(panel, daily=panel.daily[-40:])
    funding = DayFunding(
        np.zeros((40, N)), np.full((40, N), np.nan), np.zeros(N), np.zeros(N), np.eye(N)
    )
    found = tails_of(short, funding)
    assert found.silent.startswith("no scenarios of losses: expected at least 60 residuals")
    assert swollen_scenarios(found, np.ones(N)) is None
    known = Known(
        short.daily, funding.daily, SIGMA**2 * RHO, np.zeros(N), np.zeros(N), liquidity(), RHO
    )
    assert present_tails(None, BOOKS, known) == ()


def test_funding_widens_the_tails_by_its_own_variance(panel: Panel) -> None:
    rng = np.random.default_rng(4)
    shocks = rng.normal(0, 0.02, (DAYS, N))
    funding = replace(NO_FUNDING, daily=shocks, shocks=shocks)
    found = tails_of(panel, funding)
    assert found.scenarios is not None
    spread = found.scenarios.returns.std(axis=0)
    np.testing.assert_allclose(spread, np.sqrt(SIGMA**2 + 0.02**2), rtol=0.05)
    # One contract's funding days are unknown: it draws as wide as the widest of the others.
    unknown = shocks.copy()
    unknown[:, 0] = np.nan
    lent = tails_of(panel, replace(NO_FUNDING, daily=unknown, shocks=unknown))
    assert lent.scenarios is not None
    assert lent.scenarios.returns[:, 0].std() == pytest.approx(spread[1:].max(), rel=0.08)


def test_funding_is_as_wide_as_it_is_forecast_now(panel: Panel) -> None:
    shocks = np.random.default_rng(4).normal(0, 0.02, (DAYS, N))
    made = swollen_scenarios(
        tails_of(panel, replace(NO_FUNDING, daily=shocks, shocks=shocks)), np.ones(N)
    )
    one, now = np.eye(N)[0], 0.05
    known = Known(
        panel.daily, shocks, SIGMA**2 * RHO, np.zeros(N), np.full(N, now), liquidity(), RHO
    )
    rows = present_tails(made, {"one": one}, known)
    found = next(row.var for row in rows if (row.method, row.level) == ("FHS", 0.95))
    exact = normal_tail(0.0, float(np.hypot(SIGMA, now)), 0.95).var
    assert found == pytest.approx(exact, rel=0.08)


@pytest.fixture(scope="module")
def two_venues(panel: Panel) -> Panel:
    """The panel's three coins on two venues: 5 bp of noise on one, from halfway on."""
    rng = np.random.default_rng(5)
    stamps = END - HOUR_MS * np.arange(24 * DAYS)[::-1]
    series = []
    for k in range(N):
        path = 100 * np.exp(np.cumsum(np.nan_to_num(panel.closing[:, k])))
        other = path * np.exp(5e-4 * rng.standard_normal(len(path)))
        half = len(path) // 2
        series.append(Closes(f"a:{k}", f"C{k}", stamps, path, HOUR_MS))
        series.append(Closes(f"b:{k}", f"C{k}", stamps[half:], other[half:], HOUR_MS))
    return build_panel(series, END, DAYS)


@pytest.fixture(scope="module")
def pairs(two_venues: Panel) -> DayTails:
    funding = DayFunding(
        np.zeros((DAYS, 2 * N)), np.full((DAYS, 2 * N), np.nan), np.zeros(2 * N), np.zeros(2 * N),
        np.eye(2 * N),
    )  # fmt: skip
    return day_tails(two_venues, np.full((DAYS, N), SIGMA**2), BASIS, funding, 1.0)


BASIS = Basis(
    own=np.array([1, 4, 1, 4, 1, 4]) * 1e-6,
    venue=np.array([0.0, 9e-6]),
    venues=("a", "b"),
    venue_of=np.array([0, 1, 0, 1, 0, 1]),
    assumed=np.zeros(6, dtype=bool),
)


def test_the_legs_of_a_coin_differ_by_their_basis_alone(pairs: DayTails) -> None:
    """Own variances 1e-6 and 4e-6 and the venue's 9e-6 add up; two coins share the venue's."""
    made = swollen_scenarios(pairs, np.ones(N))
    assert made is not None
    one, other = np.array([1.0, -1, 0, 0, 0, 0]), np.array([0.0, 0, 1, -1, 0, 0])
    first, second = made.book(one), made.book(other)
    assert first.std() == pytest.approx(np.sqrt(14e-6), rel=0.03)
    assert historical(first, 0.95).var == pytest.approx(1.645 * np.sqrt(14e-6), rel=0.06)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(9 / 14, abs=0.03)
    np.testing.assert_allclose(made.returns.mean(axis=0), made.coins.mean(axis=0)[made.owner],
                               atol=4 * np.sqrt(13e-6 / len(first)))  # fmt: skip


def test_a_coin_that_swells_takes_both_legs_along(pairs: DayTails) -> None:
    legs, long = np.array([1.0, -1, 0, 0, 0, 0]), np.array([0.5, 0.5, 0, 0, 0, 0])
    calm = swollen_scenarios(pairs, np.ones(N))
    assert calm is not None
    for ratio in (1.05, 4.0):
        wild = swollen_scenarios(pairs, np.full(N, ratio))
        assert wild is not None
        np.testing.assert_allclose(wild.book(legs), calm.book(legs), atol=1e-14)
        assert wild.book(long).std() / calm.book(long).std() == pytest.approx(
            np.sqrt(ratio), rel=0.02
        )


def seen_at(history: History, date: str, how: StrategyParameters) -> tuple[HourView, Present]:
    at_ms = parse_iso(date)
    shot = snapshot_at(history, at_ms, ("binance", "bybit"), Decimal(100_000))
    day = day_view(shot.instruments, how, history, at_ms)
    view = hour_view(day, since_all(day, history, at_ms), history, at_ms)
    kept = FundingFits()
    fits = [kept.by(one, history, at_ms) for one in day.gathered]
    return view, present_of(EstimateJob(shot, how), view, fits)


@pytest.mark.unmeasured
@pytest.mark.history
@pytest.mark.parametrize("how", [BALANCED, TACTICAL], ids=["balanced", "tactical"])
@pytest.mark.parametrize("date", ["2022-06-01T00:00Z", "2024-08-06T00:00Z", "2025-03-01T00:00Z"])
def test_long_and_short_of_a_coin_is_as_wide_as_in_the_covariance(
    history_dir: Path, date: str, how: StrategyParameters
) -> None:
    """Within a factor of two. The covariance takes funding of two venues for independent, which
    is an upper bound; the lower is with their shocks' measured correlation.
    """
    view, present = seen_at(History(history_dir), date, how)
    day = view.day
    names, owner = day.panel.by_coin()
    funding_sd = np.sqrt(present.funding_variance)
    known = Known(
        day.panel.daily, day.funding.daily, present.total, np.zeros(len(owner)), funding_sd,
        day.liquidity, present.stressed,
    )  # fmt: skip
    together = present.price + np.outer(funding_sd, funding_sd) * correlation_of(
        day.funding.correlation
    )
    books = {
        names[coin]: np.where(owner == coin, np.where(np.cumsum(owner == coin) == 1, 1.0, -1.0), 0)
        for coin in np.flatnonzero(np.bincount(owner) == 2)
    }
    assert len(books) >= 4
    rows = present_tails(view.scenarios, books, known)
    for name, weights in books.items():
        most = float(np.sqrt(weights @ present.total @ weights))
        least = float(np.sqrt(weights @ together @ weights))
        drawn = deviation_of(view, weights, funding_sd)
        assert least / 2 < drawn < 2 * most, name
        var = {row.method: row.var for row in rows if (row.book, row.level) == (name, 0.95)}
        assert 0 < var["FHS"] < 3 * var["normal"], name


def deviation_of(view: HourView, weights: np.ndarray, funding_sd: np.ndarray) -> float:
    made = view.scenarios
    assert made is not None
    wider = funding_sd / made.funding_deviation - 1.0
    return float(replace(made, wider=wider).book(weights).std())
