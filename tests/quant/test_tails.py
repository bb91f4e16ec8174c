"""Tails of the day at the hour's volatility, on normal data whose figures are known."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.estimation.liquidity import Liquidity
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.tails.filtered import Scenarios
from perptui.estimation.tails.parametric import normal_tail
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.forecast import TailRisk
from perptui.quant.funding import DayFunding
from perptui.quant.tails import (
    EXIT,
    LINEAR,
    DayTails,
    Known,
    day_tails,
    present_tails,
    swollen_scenarios,
)

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
    return day_tails(panel, np.full((DAYS, N), SIGMA**2), NO_FUNDING, 1.0)


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
        spread or liquidity(),
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


def test_variance_that_doubled_swells_losses_by_its_root(tails: DayTails, panel: Panel) -> None:
    calm, wild = (rows_of(tails, panel, swollen=ratio) for ratio in (1.0, 2.0))
    for name in BOOKS:
        before, after = (rows[name, "FHS", 0.95].var for rows in (calm, wild))
        assert after / before == pytest.approx(np.sqrt(2), rel=0.01)


def test_logs_swell_exactly_and_small_changes_nearly_so() -> None:
    moved = np.random.default_rng(3).normal(0, 0.2, (500, 2))
    made = DayTails(Scenarios(np.expm1(moved), 14.0, 1, 500), "")
    near, far = (1.0 + 0.99 * LINEAR) ** 2, 1.9
    found = swollen_scenarios(made, np.array([near, far]))
    assert found is not None
    exact = np.expm1(moved * np.sqrt([near, far]))
    np.testing.assert_allclose(found.book(np.array([0.0, 1.0])), exact[:, 1], rtol=1e-12)
    one = found.book(np.array([1.0, 0.0]))
    half = np.abs(moved[:, 0]) < 0.5
    assert (np.abs(one - exact[:, 0]) <= 0.02 * np.abs(exact[:, 0]) + 1e-12)[half].all()
    # Nobody loses more than the whole of a long, however far volatility went.
    crash = DayTails(Scenarios(np.full((9, 1), -0.8), 14.0, 1, 9), "")
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
    assert order == ["historical", "normal", "Student t", "Cornish-Fisher", "FHS", EXIT]


def test_too_few_days_are_said_and_have_no_rows(panel: Panel) -> None:
    short = replace(panel, daily=panel.daily[-40:])
    funding = DayFunding(
        np.zeros((40, N)), np.full((40, N), np.nan), np.zeros(N), np.zeros(N), np.eye(N)
    )
    found = day_tails(short, np.full((40, N), SIGMA**2), funding, 1.0)
    assert found.silent.startswith("no scenarios of losses: expected at least 60 residuals")
    assert swollen_scenarios(found, np.ones(N)) is None
    known = Known(short.daily, funding.daily, SIGMA**2 * RHO, np.zeros(N), liquidity())
    assert present_tails(None, BOOKS, known) == ()


def test_funding_widens_the_tails_by_its_own_variance(panel: Panel) -> None:
    rng = np.random.default_rng(4)
    shocks = rng.normal(0, 0.02, (DAYS, N))
    funding = replace(NO_FUNDING, daily=shocks, shocks=shocks)
    found = day_tails(panel, np.full((DAYS, N), SIGMA**2), funding, 1.0)
    assert found.scenarios is not None
    spread = found.scenarios.returns.std(axis=0)
    np.testing.assert_allclose(spread, np.sqrt(SIGMA**2 + 0.02**2), rtol=0.05)
    # One contract's funding days are unknown: it draws as wide as the widest of the others.
    unknown = shocks.copy()
    unknown[:, 0] = np.nan
    lent = day_tails(
        panel, np.full((DAYS, N), SIGMA**2), replace(NO_FUNDING, daily=unknown, shocks=unknown), 1.0
    )
    assert lent.scenarios is not None
    assert lent.scenarios.returns[:, 0].std() == pytest.approx(spread[1:].max(), rel=0.08)
