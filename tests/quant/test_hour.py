"""What bars since midnight add: moves, their flags, and contracts that must not be estimated."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import Estimates
from perptui.model.instrument import Instrument
from perptui.model.jobs import BarSeries, EstimateJob, encode
from perptui.quant.day import DayView, day_view
from perptui.quant.estimate import Estimator, estimate
from perptui.quant.gather import gather
from perptui.quant.hour import HourView, Since, hour_view, since_all, since_midnight
from tests.quant.markets import (
    BALANCED,
    HOUR,
    TACTICAL,
    bars_of,
    closes,
    instrument,
    snapshot,
    write_bars,
    write_funding,
)

pytestmark = pytest.mark.unmeasured

BTC, ETH = instrument("binanceusdm", "BTC"), instrument("binanceusdm", "ETH")
MIDNIGHT = HOUR // DAY_MS * DAY_MS
TODAY = (HOUR - MIDNIGHT) // HOUR_MS
WALK = closes(1, 24 * 90)


def since(root: Path, prices: np.ndarray, end_ms: int = HOUR, hour_ms: int = HOUR) -> Since:
    """What BTC did since midnight, of prices that end at `end_ms`."""
    history = History(root)
    write_bars(history, BTC, prices, end_ms=end_ms)
    write_funding(history, BTC)
    return since_midnight(gather(BTC, history, MIDNIGHT), history, MIDNIGHT, hour_ms)


def viewed(history: History, contracts: Sequence[Instrument], hour_ms: int) -> HourView:
    day = day_view(tuple(contracts), BALANCED, history, MIDNIGHT)
    return hour_view(day, since_all(day, history, hour_ms), history, hour_ms)


def asked(history: History, contracts: Sequence[Instrument], at_ms: int = HOUR) -> Estimates:
    return estimate(EstimateJob(snapshot(contracts, at_ms), BALANCED), history)


def flags_of(history: History, at_ms: int = HOUR) -> tuple[str, ...]:
    return asked(history, [BTC], at_ms).instruments[0].flags


def test_moves_variance_and_share_are_those_of_the_closes(tmp_path: Path) -> None:
    found = since(tmp_path, WALK)
    steps = np.diff(np.log(WALK[-TODAY - 1 :]))
    np.testing.assert_allclose(found.moves, steps, rtol=1e-12)
    assert found.variance == pytest.approx((steps**2).sum(), rel=1e-12)
    assert found.share == TODAY / 24
    assert found.flags == ()
    assert found.shift == ""


def test_at_midnight_nothing_has_happened_and_after_an_hour_one_bar_has(tmp_path: Path) -> None:
    none = since(tmp_path / "none", WALK, hour_ms=MIDNIGHT)
    assert none.moves.shape == (0,)
    assert (none.variance, none.share, none.flags) == (0.0, 0.0, ())
    one = since(tmp_path / "one", WALK, hour_ms=MIDNIGHT + HOUR_MS)
    assert one.moves.shape == (1,)
    assert one.share == 1 / 24


@pytest.mark.parametrize(("hours_ago", "flag"), [(0, ()), (1, ()), (4, (4,)), (TODAY, (TODAY,))])
def test_bars_that_lag_are_flagged(tmp_path: Path, hours_ago: int, flag: tuple[int, ...]) -> None:
    found = since(tmp_path, WALK, end_ms=HOUR - hours_ago * HOUR_MS)
    assert found.flags == tuple(f"last bar closed {hours} h ago" for hours in flag)
    assert found.share == (TODAY - hours_ago) / 24
    assert (found.moves[TODAY - hours_ago :] == 0).all()


def test_bars_that_stopped_before_midnight_are_flagged_at_midnight(tmp_path: Path) -> None:
    found = since(tmp_path, WALK, end_ms=MIDNIGHT - 5 * HOUR_MS, hour_ms=MIDNIGHT)
    assert found.flags == ("last bar closed 5 h ago",)
    # Once they come again, the return spans the hours without them.
    again = History(tmp_path)
    rows = bars_of(np.array([WALK[-1], 1.01 * WALK[-1]]), MIDNIGHT + 7 * HOUR_MS)
    again.append(BarSeries("binanceusdm", "BTCUSDT", "1h", rows[1:]))
    later = since_midnight(gather(BTC, again, MIDNIGHT), again, MIDNIGHT, MIDNIGHT + 7 * HOUR_MS)
    assert later.variance == pytest.approx(np.log(1.01) ** 2)
    assert later.share == 12 / 24
    assert later.flags == ()


def test_an_eight_hour_price_says_how_old_it_is(tmp_path: Path) -> None:
    history = History(tmp_path)
    end = MIDNIGHT + 8 * HOUR_MS
    write_bars(history, BTC, closes(1, 3 * 200), "8h", end)
    write_funding(history, BTC)
    said = {
        hours: [flag for flag in flags_of(history, MIDNIGHT + hours * HOUR_MS) if "ago" in flag]
        for hours in (0, 3, 8, 15)
    }
    assert said == {
        0: [],
        3: ["last bar closed 3 h ago"],
        8: [],
        15: ["last bar closed 7 h ago"],
    }


def test_every_jump_since_midnight_is_flagged(tmp_path: Path) -> None:
    prices = WALK.copy()
    prices[-5:] *= 4.0
    prices[-1:] *= 4.0
    found = since(tmp_path, prices)
    factor = prices[-5] / prices[-6], prices[-1] / prices[-2]
    assert found.flags == (
        f"bar closed at 2024-08-05T08:00:00Z moved by a factor of {factor[0]:.1f}",
        f"last bar moved by a factor of {factor[1]:.1f}, not confirmed",
    )


def test_a_day_that_holds_most_of_the_variance_is_flagged(tmp_path: Path) -> None:
    prices = WALK.copy()
    prices[-5:] *= 2.0
    history = History(tmp_path)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    before = np.diff(np.log(prices[-TODAY - 30 * 24 - 1 : -TODAY])) ** 2
    today = np.diff(np.log(prices[-TODAY - 1 :])) ** 2
    share = today.sum() / (before.sum() + today.sum())
    assert share > 0.5
    wanted = f"the day so far holds {share:.0%} of the variance of 30 days"
    assert wanted in flags_of(history)
    assert wanted not in flags_of(history, HOUR - 5 * HOUR_MS)


def test_a_bad_print_since_midnight_is_left_out_and_said(tmp_path: Path) -> None:
    prices = WALK.copy()
    prices[-3] *= 6.0
    found = since(tmp_path / "bad", prices)
    assert found.flags == ("1 bad print(s) left out since midnight",)
    sound = since(tmp_path / "sound", WALK)
    assert found.moves.sum() == pytest.approx(sound.moves.sum(), rel=1e-12)
    assert found.variance == pytest.approx(sound.variance, rel=0.5)


def test_a_bad_last_print_of_the_day_is_undone_when_the_next_bar_shows_it(tmp_path: Path) -> None:
    prices = WALK.copy()
    prices[-TODAY - 1] *= 6.0
    history = History(tmp_path)
    write_bars(history, BTC, prices)
    write_funding(history, BTC)
    found = since(tmp_path, prices)
    # It moved the day up; the first hour takes prices back. The variance is of true prices.
    assert found.moves[0] == pytest.approx(np.log(prices[-TODAY] / prices[-TODAY - 1]))
    true = np.delete(prices, len(prices) - TODAY - 1)
    steps = np.diff(np.log(true[-TODAY - 1 :]))
    assert found.variance == pytest.approx((steps**2).sum(), rel=1e-12)
    assert found.share == (TODAY + 1) / 24
    view = viewed(history, [BTC], HOUR)
    moved = view.drift.by_lookback
    assert np.isfinite(moved).all()
    assert "1 bad print(s) left out since midnight" in view.flags[0]


def test_a_feed_that_stands_still_today_is_flagged(tmp_path: Path) -> None:
    prices = WALK.copy()
    prices[-8:-1] = prices[-8]
    assert since(tmp_path, prices).flags == ("close unchanged for 7 bars today",)


def shifted(root: Path, factor: float) -> History:
    """BTC's price on another scale for the last five hours; ETH's as it was."""
    history = History(root)
    prices = WALK.copy()
    prices[-5:] *= factor
    write_bars(history, BTC, prices)
    write_bars(history, ETH, closes(2, 24 * 90))
    for one in (BTC, ETH):
        write_funding(history, one)
    return history


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_a_price_on_another_scale_since_midnight_is_left_out(tmp_path: Path, factor: float) -> None:
    history = shifted(tmp_path, factor)
    estimator = Estimator(history)
    job = EstimateJob(snapshot([BTC, ETH], HOUR), BALANCED)
    found = estimator.estimate(job)
    assert [row.id for row in found.instruments] == [ETH.id]
    power = round(np.log10(factor))
    assert found.left_out == (
        f"{BTC.id}: its price is 1e{power:+d} times what it was before 2024-08-05T08:00:00Z, "
        "mend the units",
    )
    # What is left is as if the other had never been asked for; kept is as fresh.
    alone = asked(history, [ETH])
    assert found.covariance == alone.covariance
    assert found.instruments == alone.instruments
    assert encode(estimator.estimate(job)) == encode(estimate(job, history))
    before = asked(history, [BTC, ETH], HOUR - 5 * HOUR_MS)
    assert [row.id for row in before.instruments] == [BTC.id, ETH.id]


def test_no_price_on_one_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EstimationError, match=r"on one scale, was none \(binanceusdm:BTC.*1e\+3"):
        asked(shifted(tmp_path, 1000.0), [BTC])


@pytest.fixture(scope="module")
def market_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, DayView]:
    history = History(tmp_path_factory.mktemp("market"))
    for seed, coin in enumerate(("ADA", "BTC", "ETH")):
        one = instrument("binanceusdm", coin)
        write_bars(history, one, closes(seed, 24 * 400))
        write_funding(history, one, seed=seed)
    young = instrument("bybit", "BTC")
    write_bars(history, young, closes(1, 24 * 45))
    write_funding(history, young)
    contracts = (*(instrument("binanceusdm", c) for c in ("ADA", "BTC", "ETH")), young)
    return history, day_view(contracts, TACTICAL, history, MIDNIGHT)


def test_the_hour_of_midnight_is_the_day(market_day: tuple[History, DayView]) -> None:
    history, day = market_day
    view = hour_view(day, since_all(day, history, MIDNIGHT), history, MIDNIGHT)
    assert view.pace.tolist() == view.swollen.tolist() == [1.0] * 4
    np.testing.assert_allclose(view.coin_variance, day.coin_variance[-1], rtol=1e-14)
    for name in ("by_lookback", "blend", "posterior_variance", "pull"):
        np.testing.assert_allclose(
            getattr(view.drift, name), getattr(day.drift, name), rtol=1e-9, atol=1e-12
        )
    assert view.scenarios is not None
    assert day.tails.scenarios is not None
    np.testing.assert_array_equal(view.scenarios.returns, day.tails.scenarios.returns)


def test_the_hour_adds_its_share_by_formula(market_day: tuple[History, DayView]) -> None:
    history, day = market_day
    view = hour_view(day, since_all(day, history, HOUR), history, HOUR)
    kept = 2.0 ** (-TODAY / 24 / min(5.0, TACTICAL.volatility_halflife_days))
    moved = np.array([(one.moves**2).sum() for one in since_all(day, history, HOUR)])
    pace = kept + (1 - kept) * moved / (TODAY / 24) / day.fast
    np.testing.assert_allclose(view.pace, pace, rtol=1e-12)
    np.testing.assert_allclose(view.swollen, pace**day.elasticity.in_force, rtol=1e-12)
    swollen = day.in_force * view.swollen
    # Contracts of one coin are one to the covariance: ADA, BTC on two venues, ETH.
    wanted = [swollen[0], (swollen[1] + swollen[3]) / 2, swollen[2]]
    np.testing.assert_allclose(view.coin_variance, wanted, rtol=1e-12)
    # The drift of a day is of the last 24 hours, wherever midnight was.
    path = np.log(closes(0, 24 * 400))
    sigma2 = wanted[0]
    k = day.drift.tau**2 / (day.drift.tau**2 + sigma2)
    assert view.drift.by_lookback[0, 0] == pytest.approx(
        k * (path[-1] - path[-25] + sigma2 / 2), rel=1e-9
    )


def test_a_contract_of_wide_bars_beside_hourly_ones(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_bars(history, BTC, WALK)
    wide = instrument("bybit", "ETH")
    write_bars(history, wide, closes(2, 3 * 90), "8h", MIDNIGHT + 8 * HOUR_MS)
    for one in (BTC, wide):
        write_funding(history, one)
    at = MIDNIGHT + 3 * HOUR_MS
    view = viewed(history, [BTC, wide], at)
    assert view.pace[1] == 1.0
    assert view.pace[0] != 1.0
    later = viewed(history, [BTC, wide], HOUR)
    assert later.pace[1] != 1.0
    found = asked(history, [BTC, wide], at)
    assert np.linalg.eigvalsh(np.array(found.covariance))[0] > 0
    assert "last bar closed 3 h ago" in found.instruments[1].flags


def test_wide_bars_alone_and_a_young_listing_are_estimated(tmp_path: Path) -> None:
    history = History(tmp_path)
    for seed, coin in enumerate(("BTC", "ETH")):
        one = instrument("bybit", coin)
        write_bars(history, one, closes(seed, 3 * 120), "8h", MIDNIGHT + 8 * HOUR_MS)
        write_funding(history, one)
    found = asked(history, [instrument("bybit", coin) for coin in ("BTC", "ETH")])
    assert len(found.instruments) == 2
    assert np.isfinite(np.array(found.covariance)).all()
    young = History(tmp_path / "young")
    # Listed 30.2 days before the hour asked: 29.7 before midnight.
    write_bars(young, BTC, WALK)
    write_bars(young, ETH, closes(2, 725))
    for one in (BTC, ETH):
        write_funding(young, one)
    assert (
        asked(young, [BTC, ETH])
        .left_out[0]
        .startswith(f"{ETH.id}: expected at least 30 days of history, was 29.7")
    )
    midnight = asked(young, [BTC, ETH], MIDNIGHT)
    assert len(midnight.instruments) == 1
