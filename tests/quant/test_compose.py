"""The record against its parts: covariance, expected returns, leaving, notes."""

from decimal import Decimal

import msgspec
import numpy as np
import pytest

from perptui.history.dataset import History
from perptui.model.account import Account, Position
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError
from perptui.model.jobs import EstimateJob
from perptui.model.snapshot import MarketSnapshot
from perptui.quant.compose import Present, present_of
from perptui.quant.day import day_view
from perptui.quant.estimate import estimate
from perptui.quant.funding import FundingFits
from perptui.quant.hour import HourView, hour_view, since_all
from tests.quant.markets import AS_OF, BALANCED, HOUR, instrument, market, snapshot

BOTH = [("binanceusdm", "BTC"), ("binanceusdm", "ETH"), ("bybit", "BTC")]
CONTRACTS = tuple(instrument(venue, coin) for venue, coin in BOTH)
MIDNIGHT = HOUR // DAY_MS * DAY_MS


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = History(tmp_path_factory.mktemp("compose"))
    market(made, BOTH, 120)
    return made


def parts(history: History, at_ms: int, rate: str = "0.0002") -> tuple[HourView, Present]:
    day = day_view(CONTRACTS, BALANCED, history, MIDNIGHT)
    hour_ms = at_ms // HOUR_MS * HOUR_MS
    view = hour_view(day, since_all(day, history, hour_ms), history, hour_ms)
    fits = [FundingFits().by(one, history, at_ms) for one in day.gathered]
    job = EstimateJob(snapshot(CONTRACTS, at_ms, rate=rate), BALANCED)
    return view, present_of(job, view, fits)


def test_at_midnight_prices_covary_as_the_day_says(history: History) -> None:
    view, present = parts(history, MIDNIGHT)
    plain = view.day.covariance.with_extra(np.zeros(3)).sigma
    np.testing.assert_allclose(present.price, plain, rtol=1e-12)


def test_the_total_is_price_and_funding_less_twice_what_they_share(history: History) -> None:
    _, present = parts(history, AS_OF)
    wanted = np.diag(present.price) + present.funding_variance - 2 * present.shared
    np.testing.assert_allclose(np.diag(present.total), wanted, rtol=1e-12)
    # Between contracts it is price's, less what funding takes back on either side.
    beta = present.shared / np.diag(present.price)
    off = (1 - beta[0]) * (1 - beta[1]) * present.price[0, 1]
    assert present.total[0, 1] == pytest.approx(off, rel=1e-12)
    assert (np.abs(beta) > 0).all()


def test_expected_is_drift_less_funding_and_a_higher_rate_costs_a_long(history: History) -> None:
    view, low = parts(history, AS_OF)
    _, high = parts(history, AS_OF, rate="0.0010")
    mean = [one.forecast.horizon_mean for one in low.funding]
    drift = np.expm1(14 * view.drift.blend)[view.day.owner]
    np.testing.assert_allclose(low.expected, drift - mean, rtol=1e-12)
    assert (high.expected < low.expected).all()
    assert (np.diag(low.omega) > 0).all()


def test_the_record_holds_the_parts_and_the_cost_of_leaving(history: History) -> None:
    view, present = parts(history, AS_OF)
    found = estimate(EstimateJob(snapshot(CONTRACTS, AS_OF), BALANCED), history)
    sigma = present.total + np.diag(view.day.liquidity.exit_variance)
    np.testing.assert_allclose(found.covariance, sigma, rtol=1e-12)
    np.testing.assert_allclose(found.omega, present.omega, rtol=1e-12)
    assert found.least_eigenvalue == pytest.approx(np.linalg.eigvalsh(sigma)[0])
    for k, row in enumerate(found.instruments):
        assert row.volatility.total == pytest.approx(np.sqrt(present.total[k, k] * 365 / 14))
        assert row.expected_return_sd == pytest.approx(np.sqrt(present.omega[k, k]))


def test_wider_books_cost_more_to_leave(history: History) -> None:
    tails = {}
    for spread in ("0.02", "0.40"):
        shot = snapshot(CONTRACTS, AS_OF, spread=spread)
        found = estimate(EstimateJob(shot, BALANCED), history)
        tails[spread] = {(row.method, row.level): row for row in found.tails}
    for level in (0.95, 0.99):
        costs = [rows["FHS + exit", level].var - rows["FHS", level].var for rows in tails.values()]
        # Half-spreads of 1 and 20 bp of the mark; their deviations grow alike.
        assert costs[1] == pytest.approx(20 * costs[0], rel=1e-9)
        assert costs[0] > 1e-4


def held(equity: str, name: str) -> MarketSnapshot:
    place = Position(name, Decimal(2), Decimal(90))
    account = Account(
        "binanceusdm", "main", "USDT", AS_OF, Decimal(equity), Decimal(equity), (place,)
    )
    return msgspec.structs.replace(snapshot(CONTRACTS), accounts=(account,))


def test_the_held_book_has_tails_and_a_stranger_is_named(history: History) -> None:
    found = estimate(EstimateJob(held("1000", CONTRACTS[0].id), BALANCED), history)
    assert {row.book for row in found.tails} == {"book", "equal weight"}
    # Twice 100 dollars of 1,000: the loss of one contract times .2.
    deviation = 0.2 * np.sqrt(found.covariance[0][0])
    by_method = {row.method: row.var for row in found.tails if row.book == "book"}
    assert by_method["FHS"] == pytest.approx(2.326 * deviation, rel=0.35)
    stranger = "bybit:DOGE/USDT:USDT"
    other = estimate(EstimateJob(held("1000", stranger), BALANCED), history)
    assert f"{stranger}: held without estimates, in no book" in other.notes
    assert {row.book for row in other.tails} == {"equal weight"}
    broke = estimate(EstimateJob(held("0", CONTRACTS[0].id), BALANCED), history)
    assert "equity is 0 USD: the held book has no weights" in broke.notes


def test_a_missing_quote_and_a_bare_book_are_said(history: History) -> None:
    shot = snapshot(CONTRACTS)
    broken = msgspec.structs.replace(shot, quotes=shot.quotes[1:])
    with pytest.raises(EstimationError, match=f"a quote of {CONTRACTS[0].id}"):
        estimate(EstimateJob(broken, BALANCED), history)
    # Half a tick of .01 at a mark of 100 is .5 bp; 1 bp is assumed where no book was seen.
    bare = estimate(EstimateJob(snapshot(CONTRACTS, spread=None), BALANCED), history)
    assert "half-spread assumed: 1.0 bp" in bare.instruments[0].flags
    coarse = tuple(msgspec.structs.replace(one, tick=Decimal(1)) for one in CONTRACTS)
    wide = estimate(EstimateJob(snapshot(coarse, spread=None), BALANCED), history)
    assert wide.instruments[0].half_spread >= 0.005


def test_a_quote_that_is_only_the_last_settlement_counts_for_nothing(history: History) -> None:
    view, _ = parts(history, AS_OF)
    fits = [FundingFits().by(one, history, AS_OF) for one in view.day.gathered]
    seen = snapshot(CONTRACTS, AS_OF)
    kept = tuple(
        msgspec.structs.replace(rate, ts_ms=fit.last_ms, rate=Decimal("0.0009"))
        for rate, fit in zip(seen.funding, fits, strict=True)
    )
    none = msgspec.structs.replace(seen, funding=())
    old = msgspec.structs.replace(seen, funding=kept)
    plain, stale, live = (
        [one.forecast.term for one in present_of(EstimateJob(shot, BALANCED), view, fits).funding]
        for shot in (none, old, seen)
    )
    # Half of the interval is over: a rate seen in it takes deviation away, one before it does not.
    for before, after, now in zip(plain, stale, live, strict=True):
        assert after[0].sd == before[0].sd
        assert now[0].sd < before[0].sd
