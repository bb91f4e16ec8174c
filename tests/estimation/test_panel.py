import numpy as np
import pytest

from perptui.estimation.panel import (
    Closes,
    Panel,
    build_panel,
    check_closes,
    equal_weight_book,
    merge_by_coin,
)
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError

END = parse_iso("2024-08-05T07:00Z")


def walk(hours: int, seed: int = 1, sigma: float = 0.01, width: int = 1) -> Closes:
    steps = np.random.default_rng(seed).normal(0.0, sigma, hours)
    close_ms = END - HOUR_MS * width * np.arange(hours)[::-1]
    return Closes(
        "v:C/U:U", "C", close_ms.astype(np.int64), 100 * np.exp(np.cumsum(steps)), width * HOUR_MS
    )


def without(closes: Closes, rows: slice) -> Closes:
    keep = np.ones(len(closes.price), dtype=bool)
    keep[rows] = False
    return Closes(
        closes.id, closes.coin, closes.close_ms[keep], closes.price[keep], closes.width_ms
    )


def test_days_end_at_the_clocks_last_full_hour() -> None:
    closes = walk(24 * 40)
    panel = build_panel([closes], END + 59 * 60_000, 30)
    logs = np.log(closes.price)
    assert panel.end_ms == END
    np.testing.assert_allclose(panel.log_price[:, 0], logs[::-1][: 31 * 24 : 24][::-1])
    np.testing.assert_allclose(panel.hourly[:, 0], np.diff(logs)[-720:])
    np.testing.assert_allclose(panel.daily[:, 0], panel.hourly.reshape(30, 24).sum(axis=1))
    np.testing.assert_allclose(
        panel.variance[:, 0], (panel.hourly.reshape(30, 24) ** 2).sum(axis=1)
    )


def test_what_closes_later_is_not_seen() -> None:
    closes = walk(24 * 40)
    earlier = END - 5 * HOUR_MS
    cut = closes.close_ms <= earlier
    short = Closes(closes.id, closes.coin, closes.close_ms[cut], closes.price[cut], HOUR_MS)
    whole, early = build_panel([closes], earlier, 35), build_panel([short], earlier, 35)
    for name in ("hourly", "daily", "variance", "log_price", "closing", "common_log_price"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(early, name))


def test_a_gap_gives_a_rate_over_the_time_that_passed() -> None:
    closes = walk(24 * 40)
    # Five hours are lost in the middle of the last day: one return spans six hours.
    holed = without(closes, slice(len(closes.price) - 12, len(closes.price) - 7))
    panel = build_panel([holed], END, 30)
    returns = np.diff(np.log(holed.price))[-19:]
    assert panel.variance[-1, 0] == pytest.approx((returns**2).sum() * 24 / 24)
    assert panel.daily[-1, 0] == pytest.approx(returns.sum())


def test_a_lost_day_says_nothing_and_the_next_return_is_scaled_to_a_day() -> None:
    closes = walk(24 * 40)
    # The closes from 59 to 24 hours ago are lost: the ends of two days are unknown.
    lost = build_panel([without(closes, slice(-60, -24))], END, 30)
    assert np.isnan(lost.variance[-2, 0])
    assert np.isnan(lost.daily[-3:-1, 0]).all()
    three_days = np.log(closes.price[-1] / closes.price[-73])
    assert lost.daily[-1, 0] == pytest.approx(three_days / np.sqrt(3.0))
    steps = np.log(closes.price[[-24, *range(-23, 0)]] / closes.price[[-61, *range(-24, -1)]])
    assert lost.variance[-1, 0] == pytest.approx(24 * (steps**2).sum() / 60)


def test_eight_hour_bars_have_a_variance_of_three_returns_a_day() -> None:
    closes = walk(3 * 40, width=8)
    panel = build_panel([closes], END, 30)
    returns = np.diff(np.log(closes.price))[-90:].reshape(30, 3)
    np.testing.assert_allclose(panel.variance[:, 0], (returns**2).sum(axis=1))
    np.testing.assert_allclose(panel.daily[:, 0], returns.sum(axis=1))


def test_a_wide_column_is_not_known_by_the_hour_and_its_bars_stand_where_they_closed() -> None:
    panel = build_panel([walk(3 * 40, width=8), walk(24 * 40, 2)], END, 30)
    assert panel.is_hourly.tolist() == [False, True]
    assert panel.width_ms.tolist() == [8 * HOUR_MS, HOUR_MS]
    assert np.isnan(panel.hourly[:, 0]).all()
    np.testing.assert_array_equal(panel.hourly[:, 1], panel.closing[:, 1])
    returns = np.diff(np.log(walk(3 * 40, width=8).price))[-90:]
    np.testing.assert_allclose(panel.closing[7::8, 0], returns)
    others = np.arange(720) % 8 != 7
    assert not panel.closing[others, 0].any()


def test_the_book_by_the_hour_leaves_wide_bars_out_unless_there_are_no_others() -> None:
    wide, hourly = walk(3 * 40, width=8), walk(24 * 40, 2)
    other = Closes("v:A/U:U", "A", hourly.close_ms, hourly.price, HOUR_MS)
    mixed = build_panel([wide, other], END, 30)
    np.testing.assert_array_equal(equal_weight_book(mixed), mixed.hourly[:, 1])
    alone = build_panel([wide], END, 30)
    np.testing.assert_array_equal(equal_weight_book(alone), alone.closing[:, 0])


def test_days_of_two_widths_are_compared_at_one_instant() -> None:
    # END is 07:00 and eight-hour bars close at 00:00, 08:00 and 16:00: seven hours apart.
    hourly = walk(24 * 40)
    eight = hourly.close_ms % (8 * HOUR_MS) == 0
    wide = Closes("w:C/U:U", "C", hourly.close_ms[eight], hourly.price[eight], 8 * HOUR_MS)
    panel = build_panel([hourly, wide], END, 30)
    assert not np.allclose(panel.daily[:, 0], panel.daily[:, 1])
    # The same price on both: at one instant there is no basis and the correlation is one.
    np.testing.assert_array_equal(panel.common_log_price[:, 0], panel.common_log_price[:, 1])
    np.testing.assert_array_equal(panel.common_daily[:, 0], panel.common_daily[:, 1])
    midnight = hourly.price[hourly.close_ms % DAY_MS == 0]
    np.testing.assert_allclose(panel.common_log_price[:, 0], np.log(midnight[-31:]))
    same: Panel = build_panel([hourly], END, 30)
    assert same.common_daily is same.daily


def test_a_hole_takes_the_slow_way_and_changes_nothing_else() -> None:
    closes = walk(24 * 40)
    # Lost before the window's first day ends: everything after is as it was.
    holed = without(closes, slice(24 * 10 + 3, 24 * 10 + 4))
    whole, broken = build_panel([closes], END, 30), build_panel([holed], END, 30)
    for name in ("daily", "log_price", "closing"):
        np.testing.assert_array_equal(getattr(whole, name)[30:], getattr(broken, name)[30:])
    np.testing.assert_allclose(whole.variance[1:], broken.variance[1:], rtol=1e-12)


def test_units_that_no_venue_quotes_are_refused() -> None:
    closes = walk(24 * 40)
    tiny = Closes(closes.id, closes.coin, closes.close_ms, closes.price * 1e-14, HOUR_MS)
    with pytest.raises(EstimationError, match=r"above 1e-09 USD, was .*; check its units"):
        check_closes(tiny)


def test_before_its_first_close_a_contract_is_unknown() -> None:
    panel = build_panel([walk(24 * 10)], END, 30)
    assert np.isnan(panel.daily[:19]).all()
    assert np.isfinite(panel.daily[-9:]).all()
    assert np.isnan(panel.variance[0, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: np.full_like(p, 100.0), "that move"),
        (lambda p: np.where(np.arange(len(p)) == 3, np.nan, p), "finite, positive"),
        (lambda p: np.where(np.arange(len(p)) == 3, -1.0, p), "finite, positive"),
        (lambda p: 100.0 * (1.0 + 1e-12 * np.sign(np.diff(p, prepend=p[0]))), "check its units"),
        (lambda p: p[:1], r"1 close\(s\)"),
    ],
)
def test_a_series_that_teaches_nothing_is_refused(change: object, message: str) -> None:
    assert callable(change)
    closes = walk(24 * 40)
    price = np.asarray(change(closes.price), dtype=np.float64)
    broken = Closes(closes.id, closes.coin, closes.close_ms[: len(price)], price, HOUR_MS)
    with pytest.raises(EstimationError, match=message):
        build_panel([broken], END, 30)


def test_an_order_that_does_not_rise_is_refused_and_so_is_nothing_at_all() -> None:
    closes = walk(24 * 3)
    stamps = closes.close_ms.copy()
    stamps[5] = stamps[4]
    with pytest.raises(EstimationError, match="rising stamps"):
        check_closes(Closes(closes.id, closes.coin, stamps, closes.price, HOUR_MS))
    with pytest.raises(EstimationError, match="at least one contract"):
        build_panel([], END, 30)


def test_contracts_of_one_coin_share_a_column() -> None:
    columns = np.array([[1.0, 3.0, 10.0], [np.nan, 4.0, 20.0], [np.nan, np.nan, 30.0]])
    merged = merge_by_coin(columns, np.array([0, 0, 1]), 2)
    np.testing.assert_array_equal(merged, [[2.0, 10.0], [4.0, 20.0], [np.nan, 30.0]])


def test_coins_are_sorted_and_contracts_know_theirs() -> None:
    first, second = walk(48, 1), walk(48, 2)
    other = Closes("w:A/U:U", "A", second.close_ms, second.price, HOUR_MS)
    coins, owner = build_panel([first, other], END, 1).by_coin()
    assert coins == ("A", "C")
    assert owner.tolist() == [1, 0]
    assert DAY_MS == 24 * HOUR_MS
