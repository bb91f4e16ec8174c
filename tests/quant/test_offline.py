from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.funding.forecast import Settled, fit_funding, forecast
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, MINUTE_MS, parse_iso
from perptui.model.errors import InputError
from perptui.model.jobs import BarSeries, FundingSeries
from perptui.model.market import Bar, FundingSettlement
from perptui.quant.funding import open_interval
from perptui.quant.offline import STALE_MS, Held, absent_of, assumed_of, foreign_of, snapshot_at
from tests.quant.market import START_MS, written

D = Decimal
BTC = "binanceusdm:BTC/USDT:USDT"
HOURS = 60


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return written(tmp_path_factory.mktemp("history"), ("binanceusdm", "bybit"), HOURS)


def test_marks_are_of_the_last_closed_bar_and_funding_of_the_last_settlement(
    history: History,
) -> None:
    at_ms = START_MS + 50 * HOUR_MS + 17 * 60_000
    snapshot = snapshot_at(history, at_ms, ("binance",), D(100000))
    bars = history.bars("binanceusdm", "BTCUSDT", "1h", at_ms)
    quote = next(one for one in snapshot.quotes if one.id == BTC)
    # The bar that opened at hour 49 closed at hour 50; the one of hour 50 is still open.
    assert quote.ts_ms == START_MS + 50 * HOUR_MS
    assert float(quote.mark) == bars.close[49]
    funding = next(one for one in snapshot.funding if one.id == BTC)
    assert funding.ts_ms == START_MS + 48 * HOUR_MS
    assert funding.next_ms == START_MS + 56 * HOUR_MS
    assert funding.interval_h == 8
    assert [one.coin for one in snapshot.instruments] == ["BTC", "ETH", "SOL"]
    assert assumed_of(snapshot) == ()


def test_a_mark_series_goes_before_the_last_price(tmp_path: Path) -> None:
    history = written(tmp_path, hours=24)
    marks = tuple(Bar(START_MS + i * HOUR_MS, 9.0, 9.0, 9.0, 29000.0 + i, 0.0) for i in range(24))
    history.append(BarSeries("binanceusdm", "BTCUSDT", "mark-1h", marks))
    snapshot = snapshot_at(history, START_MS + 20 * HOUR_MS, ("binance",), D(5000))
    assert snapshot.quotes[0].mark == D("29019")
    assert snapshot.quotes[0].last != snapshot.quotes[0].mark


@pytest.mark.parametrize(("factor", "said"), [(1000.0, "1000"), (0.5, "0.5")])
def test_a_mark_in_other_units_is_left_out_by_name(
    tmp_path: Path, factor: float, said: str
) -> None:
    history = written(tmp_path, hours=24)
    at_ms = START_MS + 20 * HOUR_MS
    last = float(history.bars("binanceusdm", "BTCUSDT", "1h", at_ms).close[-1])
    marks = (Bar(at_ms - HOUR_MS, 1.0, 1.0, 1.0, factor * last, 0.0),)
    history.append(BarSeries("binanceusdm", "BTCUSDT", "mark-1h", marks))
    assert BTC not in [quote.id for quote in snapshot_at(history, at_ms, ("binance",), D(5)).quotes]
    assert absent_of(history, ("binance",), at_ms) == (
        f"{BTC}: its mark is {said} times its last price, mend the units",
    )


def test_nothing_younger_is_touched(history: History, tmp_path: Path) -> None:
    at_ms = START_MS + 40 * HOUR_MS
    shorter = written(tmp_path, ("binanceusdm", "bybit"), 40)
    venues = ("binance", "bybit")
    assert snapshot_at(history, at_ms, venues, D(7)) == snapshot_at(shorter, at_ms, venues, D(7))


def test_equity_is_split_over_the_venues_to_the_last_digit(history: History) -> None:
    at_ms = START_MS + 40 * HOUR_MS
    held = (Held(BTC, D("-0.5"), D("31000")),)
    snapshot = snapshot_at(history, at_ms, ("bybit", "binance"), D("100.000000001"), held)
    assert snapshot.equity_usd == D("100.000000001")
    first, second = snapshot.accounts
    assert (first.key, second.key) == ("binanceusdm", "bybit")
    assert second.equity_usd == D("50.00000000")
    position = first.positions[0]
    mark = next(one.mark for one in snapshot.quotes if one.id == BTC)
    assert position.unrealised_usd == D("0.5") * (31000 - mark)
    assert first.wallet_usd + position.unrealised_usd == first.equity_usd
    assert second.positions == ()


def test_a_contract_whose_bars_ended_is_left_out(history: History) -> None:
    end_ms = START_MS + HOURS * HOUR_MS
    assert snapshot_at(history, end_ms + STALE_MS, ("bybit",), D(5)).instruments
    with pytest.raises(InputError, match="found none; choose another --at"):
        snapshot_at(history, end_ms + STALE_MS + 1, ("bybit",), D(5))


@pytest.mark.parametrize(
    ("at", "venues", "equity", "held", "text"),
    [
        ("2022-12-31T00:00Z", ("binance",), "5", (), "up to 2022-12-31T00:00:00Z, found none"),
        ("2023-01-02T00:00Z", ("kraken",), "5", (), "among binance, bybit, was kraken"),
        ("2023-01-02T00:00Z", (), "5", (), "was none; mend --venues"),
        ("2023-01-02T00:00Z", ("binance",), "-5", (), "positive equity"),
        (
            "2023-01-02T00:00Z",
            ("bybit",),
            "5",
            (Held(BTC, D(1), D(1)),),
            f"contracts with data at that time, was {BTC}",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(
    history: History,
    at: str,
    venues: tuple[str, ...],
    equity: str,
    held: tuple[Held, ...],
    text: str,
) -> None:
    with pytest.raises(InputError, match=text):
        snapshot_at(history, parse_iso(at), venues, D(equity), held)


@pytest.mark.parametrize(
    ("symbol", "price", "tick", "step"),
    [("1000PEPEUSDT", 0.0123, "0.000001", "100"), ("WIFUSDT", 2.0, "0.0001", "1")],
)
def test_a_coin_the_table_does_not_know_is_traded_on_assumed_rules(
    tmp_path: Path, symbol: str, price: float, tick: str, step: str
) -> None:
    history = written(tmp_path, hours=48)
    bars = tuple(
        Bar(START_MS + i * HOUR_MS, price, price, price, price, 1e6 / price) for i in range(48)
    )
    settled = tuple(
        FundingSettlement(START_MS + hour * HOUR_MS, 1e-4, 8.0) for hour in range(8, 49, 8)
    )
    for name in (symbol, "BTCUSDC"):
        history.append(BarSeries("binanceusdm", name, "1h", bars))
        history.append(FundingSeries("binanceusdm", name, settled))
    snapshot = snapshot_at(history, START_MS + 40 * HOUR_MS, ("binance",), D(100000))
    coin = symbol.removesuffix("USDT")
    found = next(one for one in snapshot.instruments if one.coin == coin)
    assert found.id == f"binanceusdm:{coin}/USDT:USDT"
    assert (found.tick, found.step, found.min_contracts) == (D(tick), D(step), D(step))
    assert found.step * D(str(price)) <= 5
    assert found.taker_fee == D("0.0005")
    (line,) = assumed_of(snapshot)
    assert line.startswith(f"{found.id} is not in the table of contract rules: tick {tick}, step ")
    assert foreign_of(history, ("binance",)) == (
        "left out: binanceusdm BTCUSDC is not a contract against USDT",
    )


def test_contracts_without_data_are_named_and_what_begins_later_counts_as_none(
    history: History, tmp_path: Path
) -> None:
    end_ms = START_MS + HOURS * HOUR_MS
    assert absent_of(history, ("binance",), end_ms) == ()
    late = absent_of(history, ("binance",), end_ms + STALE_MS + 1)
    assert late[0] == f"{BTC}: its last bar closed 2023-01-03T12:00:00Z"
    early = absent_of(history, ("binance",), START_MS)
    assert early[0] == f"{BTC}: no bars by then"
    whole = written(tmp_path, hours=24)
    (tmp_path / "binance" / "BTCUSDT-1h.parquet").unlink()
    assert absent_of(History(tmp_path), ("binance",), START_MS) == early
    assert len(whole.symbols("binance")) == len(early)


def test_a_part_of_a_lot_is_refused(history: History) -> None:
    held = (Held(BTC, D("0.0015"), D("31000")),)
    with pytest.raises(InputError, match=r"in multiples of 0\.001, was 0\.0015"):
        snapshot_at(history, START_MS + 40 * HOUR_MS, ("binance",), D(5000), held)


def eight_hourly(history: History, hours: int) -> None:
    """ADA with bars of eight hours and a price that says when each closed."""
    width = 8 * HOUR_MS
    bars = tuple(
        Bar(START_MS + i * width, 1.0 + i, 2.0 + i, 0.5 + i, 1.5 + i, 1e6)
        for i in range(hours // 8)
    )
    settled = tuple(
        FundingSettlement(START_MS + hour * HOUR_MS, 1e-4, 8.0) for hour in range(8, hours + 1, 8)
    )
    history.append(BarSeries("binanceusdm", "ADAUSDT", "8h", bars))
    history.append(FundingSeries("binanceusdm", "ADAUSDT", settled))


def test_a_contract_with_eight_hour_bars_takes_part_until_its_bar_is_too_old(
    tmp_path: Path,
) -> None:
    history = written(tmp_path, hours=48)
    eight_hourly(history, 48)
    at_ms = START_MS + 47 * HOUR_MS
    ada = snapshot_at(history, at_ms, ("binance",), D(5000)).quotes[0]
    # The bar of hour 40 is still open at hour 47: the price is seven hours old and says so.
    assert ada.id == "binanceusdm:ADA/USDT:USDT"
    assert (ada.ts_ms, ada.mark) == (START_MS + 40 * HOUR_MS, D("5.5"))
    end_ms = START_MS + 48 * HOUR_MS
    last = end_ms + 8 * HOUR_MS + STALE_MS
    assert [one.coin for one in snapshot_at(history, last, ("binance",), D(5)).instruments] == [
        "ADA"
    ]
    stale = absent_of(history, ("binance",), last + 1)
    assert stale[0] == f"{ada.id}: its last bar closed 2023-01-03T00:00:00Z"


def test_eight_hour_bars_speak_until_hourly_ones_reach_as_far_back(tmp_path: Path) -> None:
    history = History(tmp_path)
    eight_hourly(history, 48)
    late = START_MS + 33 * HOUR_MS

    def mark() -> Decimal:
        return snapshot_at(history, late + HOUR_MS, ("binance",), D(5)).quotes[0].mark

    def append(first_ms: int, count: int) -> None:
        bars = (Bar(first_ms + k * HOUR_MS, 9.0, 9.0, 9.0, 9.0, 1.0) for k in range(count))
        history.append(BarSeries("binanceusdm", "ADAUSDT", "1h", tuple(bars)))

    # The first hours of a feed do not throw what is known of a contract away.
    append(late, 1)
    assert mark() == D("4.5")
    append(START_MS, 33)
    assert mark() == D("9")


def test_a_universe_leaves_others_out_but_not_what_is_held(history: History) -> None:
    at_ms = START_MS + 40 * HOUR_MS
    eth, sol = "binanceusdm:ETH/USDT:USDT", "binanceusdm:SOL/USDT:USDT"
    held = (Held(sol, D("1"), D("25")),)
    snapshot = snapshot_at(history, at_ms, ("binance",), D(5000), held, members={eth})
    assert [one.id for one in snapshot.instruments] == [eth, sol]
    with pytest.raises(InputError, match="found none"):
        snapshot_at(history, at_ms, ("binance",), D(5000), members=())


@pytest.mark.history
def test_what_settles_next_is_no_surer_for_a_rate_that_settled_before(history_dir: Path) -> None:
    """At random minutes outcomes lie within the stated deviations, late in an interval too.

    Normal ones would be within one and two deviations 68 % and 95 % of the time.
    """
    history, rng = History(history_dir), np.random.default_rng(20221231)
    next_z, day_z, passed = [], [], []
    times = rng.integers(parse_iso("2022-01-01"), parse_iso("2022-11-01"), 40) // MINUTE_MS
    for at_ms in (times * MINUTE_MS).tolist():
        for rate in snapshot_at(history, at_ms, ("bybit",), D(1000)).funding:
            symbol = rate.id.removeprefix("bybit:").partition("/")[0] + "USDT"
            whole = history.funding("bybit", symbol, at_ms + DAY_MS)
            known = int(np.searchsorted(whole.ts_ms, at_ms, side="right"))
            fit = fit_funding(
                Settled(whole.ts_ms[:known], whole.rate[:known], whole.interval_h[:known])
            )
            term = forecast(fit, open_interval(rate, fit), at_ms, 1.0).forecast.term
            next_z.append(abs(whole.rate[known] - term[0].mean) / term[0].sd)
            day_z.append(abs(whole.rate[known:].sum() - term[1].mean) / term[1].sd)
            passed.append(1 - (rate.next_ms - at_ms) / (rate.interval_h * HOUR_MS))
    late = np.array(passed) > 0.6
    assert late.sum() > 50
    for z in (np.array(next_z), np.array(next_z)[late], np.array(day_z)):
        assert 0.6 < np.mean(z < 1) < 0.92
        assert np.mean(z < 2) > 0.85
