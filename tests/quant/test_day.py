"""What whole days teach: which contract speaks for a coin, shapes of days, and memory of them."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from perptui.estimation.variance.intraday import elasticity_of
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError
from perptui.quant.day import DayView, day_view
from tests.quant.markets import (
    BALANCED,
    HOUR,
    TACTICAL,
    closes,
    instrument,
    market,
    write_bars,
    write_funding,
)

MIDNIGHT = HOUR // DAY_MS * DAY_MS
OLD, YOUNG, ETH = (
    instrument("binanceusdm", "BTC"),
    instrument("bybit", "BTC"),
    instrument("bybit", "ETH"),
)


def written(root: Path, *, old_stops_h: int = 0) -> History:
    history = History(root)
    write_bars(history, OLD, closes(1, 24 * 200)[: -old_stops_h or None],
               end_ms=MIDNIGHT - old_stops_h * HOUR_MS)  # fmt: skip
    write_bars(history, YOUNG, closes(1, 24 * 50), end_ms=MIDNIGHT)
    write_bars(history, ETH, closes(2, 24 * 200), end_ms=MIDNIGHT)
    for one in (OLD, YOUNG, ETH):
        write_funding(history, one, count=500)
    return history


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> tuple[DayView, DayView]:
    history = written(tmp_path_factory.mktemp("days"))
    balanced, tactical = (
        day_view((OLD, YOUNG, ETH), how, history, MIDNIGHT) for how in (BALANCED, TACTICAL)
    )
    return balanced, tactical


def test_the_longest_history_speaks_for_its_coin(views: tuple[DayView, DayView]) -> None:
    assert views[0].owner.tolist() == [0, 0, 1]
    assert views[0].spokesmen.tolist() == [0, 2]


def test_one_whose_bars_stopped_does_not_speak(tmp_path: Path) -> None:
    view = day_view((OLD, YOUNG, ETH), BALANCED, written(tmp_path, old_stops_h=12), MIDNIGHT)
    assert view.spokesmen.tolist() == [1, 2]
    last = view.panel.log_price[-1]
    assert np.isnan(last[0])
    assert np.isfinite(last[view.spokesmen]).all()


def test_the_forecast_in_force_is_the_strategys(views: tuple[DayView, DayView]) -> None:
    balanced, tactical = views
    np.testing.assert_array_equal(balanced.in_force, balanced.variances.ewma[-1])
    np.testing.assert_array_equal(tactical.in_force, tactical.variances.combined[-1])
    assert balanced.elasticity.in_force == elasticity_of(
        balanced.variances.ewma, balanced.variances.own[1]
    )
    assert tactical.elasticity.in_force == tactical.elasticity.combined
    # The fast mean takes over all of its own changes; EWMA of 63 days next to none of them.
    assert balanced.elasticity.models[1] > 0.8
    assert balanced.elasticity.in_force < 0.2


def test_a_quick_strategys_fast_mean_is_as_quick(tmp_path: Path) -> None:
    history = written(tmp_path)
    quick = msgspec.structs.replace(TACTICAL, volatility_halflife_days=3.0)
    assert day_view((OLD, ETH), quick, history, MIDNIGHT).fast_halflife_days == 3.0
    assert day_view((OLD, ETH), BALANCED, history, MIDNIGHT).fast_halflife_days == 5.0


def test_downside_and_jumps_are_of_the_last_days(views: tuple[DayView, DayView]) -> None:
    view = views[0]
    daily = view.panel.daily[-180:, 2]
    below = np.minimum(daily[np.isfinite(daily)], 0.0)
    assert view.downside[2] == pytest.approx(np.sqrt(365 * (below**2).mean()), rel=1e-12)
    # Bipower of 24 hours: pi/2 · 24/23 · sum of |r_k||r_{k-1}|; jumps are what is above it.
    hours = view.panel.hourly[-24 * 30 :, 2].reshape(30, 24)
    squares = (hours**2).sum(axis=1)
    products = (np.abs(hours[:, 1:]) * np.abs(hours[:, :-1])).sum(axis=1)
    jumps = np.maximum(squares - np.pi / 2 * 24 / 23 * products, 0.0)
    assert view.jump_share[2] == pytest.approx(jumps.sum() / squares.sum(), rel=1e-9)


def test_a_view_starts_where_its_longest_history_does(views: tuple[DayView, DayView]) -> None:
    view = views[0]
    assert view.panel.end_ms == MIDNIGHT
    assert view.start_ms == MIDNIGHT - view.panel.days * DAY_MS
    assert view.panel.days == 199
    assert len(view.book) == 24 * 199
    assert np.isnan(view.panel.daily[:100, 1]).all()


def test_nothing_to_estimate_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EstimationError, match="history of at least one contract, was none"):
        day_view((instrument("bybit", "NEW"),), BALANCED, written(tmp_path), MIDNIGHT)


def test_a_contract_whose_midnight_never_moves_is_left_out_alone(tmp_path: Path) -> None:
    history = History(tmp_path)
    contracts = market(history, [("binanceusdm", "BTC"), ("binanceusdm", "ETH")], 100)
    pinned = instrument("binanceusdm", "PIN")
    write_bars(history, pinned, 100.0 * np.exp(0.01 * (np.arange(24 * 100) % 2)))
    write_funding(history, pinned)
    day = day_view((*contracts, pinned), BALANCED, history, MIDNIGHT)
    assert [one.instrument.coin for one in day.gathered] == ["BTC", "ETH"]
    assert "closes at 00:00 UTC that move" in day.left_out[0]
    with pytest.raises(EstimationError, match="a contract that moves"):
        day_view((pinned,), BALANCED, history, MIDNIGHT)
