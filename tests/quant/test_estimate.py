from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError
from perptui.model.forecast import Estimates
from perptui.model.jobs import BarSeries, EstimateJob, encode
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.quant.estimate import READ_BY_ESTIMATION, READ_BY_REGIME, Estimator, estimate
from perptui.quant.track import mean_pair_correlation
from tests.quant.cut import tables_in, write_until
from tests.quant.markets import (
    AS_OF,
    BALANCED,
    BOTH,
    HOUR,
    TACTICAL,
    bars_of,
    closes,
    instrument,
    market,
    snapshot,
    write_bars,
    write_funding,
)

pytestmark = pytest.mark.unmeasured

DATES = (
    "2021-05-19T13:00Z",
    "2022-03-01T05:30Z",
    "2022-11-09T00:00Z",
    "2023-09-17T21:10Z",
    "2024-08-05T12:00Z",
    "2025-06-30T23:59Z",
)


def estimated(history: History, shot: MarketSnapshot, how: StrategyParameters) -> Estimates:
    return estimate(EstimateJob(shot, how), history)


def test_rows_follow_ids_and_matrices_follow_rows(history: History, shot: MarketSnapshot) -> None:
    found = estimated(history, shot, BALANCED)
    ids = [row.id for row in found.instruments]
    assert ids == sorted(ids)
    assert len(found.covariance) == len(found.correlation) == 3
    sigma, correlation = np.array(found.covariance), np.array(found.correlation)
    deviation = np.sqrt(np.diag(sigma))
    np.testing.assert_allclose(correlation, sigma / np.outer(deviation, deviation))
    np.testing.assert_array_equal(sigma, sigma.T)
    assert np.linalg.eigvalsh(sigma)[0] >= (2e-4) ** 2 * 14 * (1 - 1e-6)
    for row, own in zip(found.instruments, deviation, strict=True):
        assert own == pytest.approx(row.volatility.ewma * np.sqrt(14 / 365), rel=0.01)
    # The same coin on two venues moves as one; another coin does not.
    assert correlation[0, 2] > 0.999
    assert correlation[0, 1] == pytest.approx(0.64, abs=0.2)


def test_the_expected_return_is_drift_less_funding(history: History, shot: MarketSnapshot) -> None:
    for how in (BALANCED, TACTICAL):
        for row in estimated(history, shot, how).instruments:
            drift = np.expm1(how.horizon_days * row.drift.blend)
            assert row.expected_return == pytest.approx(drift - row.funding.horizon_mean)
            assert row.expected_return_sd > 0
            settlements = round(how.horizon_days * 3)
            assert row.funding.horizon_mean == pytest.approx(settlements * 1e-4, rel=0.5)


def test_volatility_is_that_of_the_generated_market(history: History, shot: MarketSnapshot) -> None:
    annual = 0.007 * np.sqrt(24 * 365)
    for row in estimated(history, shot, BALANCED).instruments:
        assert row.volatility.ewma == pytest.approx(annual, rel=0.25)
        assert row.volatility.realised == pytest.approx(annual, rel=0.15)
        assert row.volatility.combined == pytest.approx(annual, rel=0.25)


def test_strategies_see_the_same_market_through_their_own_parameters(
    history: History, shot: MarketSnapshot
) -> None:
    slow, fast = estimated(history, shot, BALANCED), estimated(history, shot, TACTICAL)
    assert (slow.horizon_days, fast.horizon_days) == (14.0, 2.0)
    assert [m.weight for m in slow.models[:-1]] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert sum(m.weight for m in fast.models[:-1]) == pytest.approx(1.0)
    assert fast.models[-1].name == "combined"
    assert fast.models[0].weight < 1
    assert slow.covariance != fast.covariance
    assert slow.regime.label == fast.regime.label
    assert slow.instruments[0].volatility.ewma != fast.instruments[0].volatility.ewma
    assert slow.instruments[0].volatility.realised == pytest.approx(
        fast.instruments[0].volatility.realised
    )
    expected = fast.instruments[1].volatility.combined * np.sqrt(2 / 365)
    assert np.sqrt(fast.covariance[1][1]) == pytest.approx(expected, rel=0.01)


def test_correlations_of_several_halflives_can_be_asked_for(
    history: History, shot: MarketSnapshot
) -> None:
    mixed = msgspec.structs.replace(TACTICAL, combined_correlation=True)
    one, several = estimated(history, shot, TACTICAL), estimated(history, shot, mixed)
    assert one.correlation[0][1] != several.correlation[0][1]
    assert one.correlation[0][1] == pytest.approx(several.correlation[0][1], abs=0.25)
    assert one.covariance[0][0] == pytest.approx(several.covariance[0][0])


def test_book_volatility_is_that_of_half_of_each_coin_now(
    history: History, shot: MarketSnapshot
) -> None:
    found = estimated(history, shot, BALANCED)
    coins = [row.coin for row in found.instruments]
    halves = np.array([0.5 / coins.count(coin) for coin in coins])
    total = halves @ np.array(found.covariance) @ halves
    # The covariance also has funding and the cost of leaving, a few percent of the whole.
    assert found.book_volatility == pytest.approx(np.sqrt(total * 365 / 14), rel=0.05)
    evidence = next(line for line in found.regime.evidence if "forecast" in line)
    assert f"forecast {found.book_volatility:.0%}" in evidence


def test_the_track_sets_each_forecast_beside_what_came(
    history: History, shot: MarketSnapshot
) -> None:
    track = estimated(history, shot, BALANCED).track
    assert len(track.ts_ms) == len(track.forecast) == len(track.realised) == 60
    midnight = HOUR // DAY_MS * DAY_MS
    assert track.ts_ms[-1] == midnight - DAY_MS
    assert set(np.diff(track.ts_ms)) == {DAY_MS}
    # Realised over the day after the stamp, of a book of half BTC and half ETH.
    hourly = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        venues = ("binanceusdm", "bybit") if symbol == "BTCUSDT" else ("binanceusdm",)
        logs = [np.log(history.bars(v, symbol, "1h", midnight).close[-25:]) for v in venues]
        hourly.append(np.mean([np.diff(one) for one in logs], axis=0))
    book = np.mean(hourly, axis=0)
    assert track.realised[-1] == pytest.approx(np.sqrt(365 * (book**2).sum()))


def test_the_half_spread_is_the_books_or_is_said_to_be_assumed(history: History) -> None:
    contracts = [instrument("binanceusdm", "BTC")]
    quoted = estimated(history, snapshot(contracts), BALANCED).instruments[0]
    assert quoted.half_spread == pytest.approx(0.01 / 100)
    assert quoted.flags == ()
    bare = estimated(history, snapshot(contracts, spread=None), BALANCED).instruments[0]
    assert bare.half_spread == pytest.approx(1e-4)
    assert bare.flags == ("half-spread assumed: 1.0 bp",)


def test_one_contract_alone_can_be_estimated(history: History) -> None:
    found = estimated(history, snapshot([instrument("bybit", "BTC")]), TACTICAL)
    assert found.correlation == ((1.0,),)
    assert found.instruments[0].drift.blend == 0.0
    assert any("drift" in note for note in found.notes)


def test_a_short_coin_joins_a_long_one(tmp_path: Path) -> None:
    history = History(tmp_path)
    market(history, BOTH, 120)
    young = instrument("bybit", "NEW")
    write_bars(history, young, closes(3, 24 * 33))
    write_funding(history, young, count=50)
    dead = instrument("bybit", "OLD")
    write_bars(history, dead, closes(4, 24 * 9))
    write_funding(history, dead)
    contracts = [*(instrument(venue, coin) for venue, coin in BOTH), young, dead]
    found = estimated(history, snapshot(contracts), BALANCED)
    row = next(row for row in found.instruments if row.coin == "NEW")
    assert "32 days of history" in row.flags
    assert "50 funding settlements: persistence not estimated" in row.flags
    assert found.left_out[0].startswith("bybit:OLD/USDT:USDT: expected at least 30 days")
    assert np.linalg.eigvalsh(np.array(found.covariance))[0] > 0


def test_a_coin_with_too_few_common_days_is_noted(tmp_path: Path) -> None:
    history = History(tmp_path)
    long = market(history, [("binanceusdm", "BTC"), ("binanceusdm", "ETH")], 60)
    young = instrument("binanceusdm", "NEW")
    rows = bars_of(closes(3, 24 * 31))
    history.append(BarSeries(young.venue, young.venue_symbol, "1h", rows[:200] + rows[340:]))
    write_funding(history, young)
    found = estimated(history, snapshot([*long, young]), BALANCED)
    assert "2 pair(s) without common history: mean correlation" in found.notes
    correlation = np.array(found.correlation)
    assert correlation[0, 2] == pytest.approx(correlation[0, 1], rel=1e-3)
    assert np.linalg.eigvalsh(np.array(found.covariance))[0] > 0


def test_a_snapshot_without_a_quote_is_refused(history: History, shot: MarketSnapshot) -> None:
    broken = msgspec.structs.replace(shot, quotes=shot.quotes[:1])
    with pytest.raises(EstimationError, match="a quote of"):
        estimated(history, broken, BALANCED)
    unrated = msgspec.structs.replace(shot, funding=())
    row = estimated(history, unrated, BALANCED).instruments[0]
    assert row.funding.interval_h == 8.0


def test_exposure_keeps_to_its_rate_limit(history: History, shot: MarketSnapshot) -> None:
    free = estimate(EstimateJob(shot, TACTICAL), history).regime.exposure
    held = estimate(EstimateJob(shot, TACTICAL, exposure_before=0.05), history).regime.exposure
    assert free > 0.3
    assert held == pytest.approx(0.3)


def test_the_estimator_says_what_estimate_says_and_sees_new_bars(tmp_path: Path) -> None:
    history = History(tmp_path)
    contracts = market(history, BOTH, 60)
    estimator = Estimator(history)
    for how in (BALANCED, TACTICAL):
        for rate in ("0.0002", "-0.0005"):
            job = EstimateJob(snapshot(contracts, rate=rate), how)
            assert encode(estimator.estimate(job)) == encode(estimate(job, history))
    job = EstimateJob(snapshot(contracts), BALANCED)
    before = estimator.estimate(job)
    for one in contracts:
        write_bars(history, one, closes(9, 5), end_ms=HOUR + 5 * HOUR_MS)
    assert encode(estimator.estimate(job)) == encode(before)
    later = EstimateJob(snapshot(contracts, AS_OF + 5 * HOUR_MS), BALANCED)
    after = estimator.estimate(later)
    assert encode(after) == encode(estimate(later, history))
    assert after.covariance != before.covariance


def test_the_mean_pair_correlation_is_the_mean_of_the_matrix() -> None:
    z = (
        np.random.default_rng(1).standard_normal((4000, 4))
        @ np.linalg.cholesky(0.5 * np.eye(4) + 0.5).T
    )
    mean = mean_pair_correlation(z, 1e9)[-1]
    products = z.T @ z
    off = (products.sum() - np.trace(products)) / 12
    assert mean == pytest.approx(off / (np.trace(products) / 4), rel=1e-6)
    assert mean_pair_correlation(z[:, :1], 10.0).tolist() == [0.0] * 4000


@pytest.mark.history
@pytest.mark.slow
@pytest.mark.parametrize("date", DATES)
def test_nothing_after_the_time_asked_has_any_influence(
    history_dir: Path, tmp_path: Path, date: str
) -> None:
    at_ms = parse_iso(date)
    coins = ("BTC", "ETH", "SOL", "BNB", "XRP")
    contracts = tuple(instrument(v, coin) for v in ("binanceusdm", "bybit") for coin in coins)
    write_until(tables_in(history_dir, contracts), tmp_path, at_ms)
    for how in (BALANCED, TACTICAL):
        job = EstimateJob(snapshot(contracts, at_ms), how)
        whole = encode(estimate(job, History(history_dir)))
        assert encode(estimate(job, History(history_dir))) == whole
        assert encode(estimate(job, History(tmp_path))) == whole


@pytest.mark.history
def test_the_crash_of_2024_is_seen_and_the_matrix_stays_positive(history_dir: Path) -> None:
    coins = ("BTC", "ETH", "SOL", "BNB", "XRP")
    contracts = [instrument(v, coin) for v in ("binanceusdm", "bybit") for coin in coins]
    shot = snapshot(contracts, parse_iso("2024-08-06T00:00Z"))
    found = estimated(History(history_dir), shot, TACTICAL)
    assert found.regime.label in {"stress", "crisis"}
    assert found.regime.exposure <= 0.5
    assert found.track.realised[-1] > 2 * found.track.forecast[-1]
    assert np.linalg.eigvalsh(np.array(found.covariance))[0] >= 2 * 4e-8 * (1 - 1e-6)
    assert found.left_out == ()


def test_settlements_some_milliseconds_late_change_no_byte(
    history: History, shot: MarketSnapshot, tmp_path: Path
) -> None:
    root, rng = tmp_path / "late", np.random.default_rng(7)
    market(History(root), BOTH, 200)
    for file in root.glob("*/*-funding.parquet"):
        table = pq.read_table(file)
        column = table.schema.get_field_index("ts")
        late = pc.cast(table.column("ts"), "int64").to_numpy() + rng.integers(3, 901, len(table))
        stamps = pc.cast(pa.array(late), table.schema.field("ts").type)
        pq.write_table(table.set_column(column, "ts", stamps), file)
    for at_ms in (AS_OF, HOUR // DAY_MS * DAY_MS, HOUR - 5 * HOUR_MS + 1):
        asked = snapshot(shot.instruments, at_ms)
        exact = encode(estimated(history, asked, BALANCED))
        assert encode(estimated(History(root), asked, BALANCED)) == exact


def test_a_contract_whose_funding_contradicts_its_interval_is_left_out_by_name(
    tmp_path: Path,
) -> None:
    made = History(tmp_path)
    instruments = market(made, BOTH, 60)
    (file,) = tmp_path.glob("*/ETHUSDT-funding.parquet")
    table = pq.read_table(file)
    column = table.schema.get_field_index("interval_hours")
    hourly = pa.array(np.ones(len(table)), table.schema.field("interval_hours").type)
    pq.write_table(table.set_column(column, "interval_hours", hourly), file)
    found = estimated(History(tmp_path), snapshot(instruments), BALANCED)
    assert [row.coin for row in found.instruments] == ["BTC", "BTC"]
    (line,) = found.left_out
    assert line.startswith("binanceusdm:ETH/USDT:USDT: expected funding of binanceusdm:ETH")
    assert "every 1 h as stated, was 8 h apart, 10 of the last 10" in line


def test_estimates_read_nothing_of_a_strategy_but_what_their_key_holds(
    history: History, shot: MarketSnapshot
) -> None:
    job = EstimateJob(shot, BALANCED)
    other = msgspec.structs.replace(
        BALANCED,
        model_version="another",
        risk_aversion=77.0,
        cost_aversion=3.0,
        uncertainty=1.5,
        margin_cushion=(0.1, 0.2, 0.3, 0.4),
        cluster_correlation=0.3,
        cluster_gross_max=0.4,
        robust="off",
        covariance_uncertainty=0.3,
        drawdown_control=True,
        drawdown_share=0.5,
        volatility_threshold=0.2,
        leverage_cut=0.5,
        stablecoin_min=(0.1, 0.1, 0.1, 0.1),
        stablecoin_apr=0.05,
        depeg=0.1,
        hedge_from="calm",
        put_premium_max=0.02,
        soft_penalty=2.0,
        tracking_penalty=1.0,
    )
    read = {*READ_BY_ESTIMATION, *READ_BY_REGIME}
    asked = msgspec.structs.asdict(BALANCED), msgspec.structs.asdict(other)
    unread = {"holding_costs", "hedge_shorts", "puts", "soft_limits", "soft_order", "blend"}
    assert {name for name in asked[0] if asked[0][name] == asked[1][name]} == read | unread
    assert encode(estimate(job, history)) == encode(
        estimate(msgspec.structs.replace(job, strategy=other), history)
    )
