"""The court as estimates carry it: scores over time, and the VaR of the book that is held."""

from decimal import Decimal

import msgspec
import numpy as np
import pytest

from perptui.estimation.court.judge import COMBINED, judge_value_at_risk
from perptui.estimation.tails.value_at_risk import book_var_path, funding_by_hour
from perptui.estimation.variance.forecast import MODELS
from perptui.history.dataset import History
from perptui.model.account import Account, Position
from perptui.model.clock import DAY_MS
from perptui.model.forecast import Court
from perptui.model.jobs import EstimateJob, encode
from perptui.model.snapshot import MarketSnapshot
from perptui.quant.day import DayView, day_view
from perptui.quant.estimate import Estimator, estimate
from tests.quant.markets import AS_OF, HOUR, TACTICAL, instrument, market, snapshot

pytestmark = pytest.mark.unmeasured

IDS = [("binanceusdm", "BTC"), ("binanceusdm", "ETH"), ("bybit", "BTC")]
BTC, ETH, OTHER = (instrument(venue, coin).id for venue, coin in IDS)
MIDNIGHT = HOUR // DAY_MS * DAY_MS


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = History(tmp_path_factory.mktemp("history"))
    market(made, IDS, 400)
    return made


@pytest.fixture(scope="module")
def day(history: History) -> DayView:
    return day_view(flat().instruments, TACTICAL, history, MIDNIGHT)


def flat() -> MarketSnapshot:
    return snapshot([instrument(venue, coin) for venue, coin in IDS])


def holding(*accounts: dict[str, str]) -> MarketSnapshot:
    """Return a snapshot whose accounts hold as many contracts by id."""
    rows = tuple(
        Account(
            "binanceusdm",
            f"account {k}",
            "USDT",
            AS_OF,
            Decimal(1000),
            Decimal(1000),
            tuple(Position(name, Decimal(size), Decimal(100)) for name, size in held.items()),
        )
        for k, held in enumerate(accounts)
    )
    return msgspec.structs.replace(flat(), accounts=rows)


def court(history: History, shot: MarketSnapshot) -> Court:
    return estimate(EstimateJob(shot, TACTICAL), history).court


def test_the_held_book_is_judged_at_todays_weights(history: History, day: DayView) -> None:
    found = court(history, holding({BTC: "2", ETH: "-3"}, {BTC: "1", OTHER: "0.5"}))
    assert [(row.book, row.level) for row in found.coverage] == [
        ("equal weight", 0.95),
        ("equal weight", 0.99),
        ("book", 0.95),
        ("book", 0.99),
    ]
    # The same by hand, at weights that are multiples of equity: what is beyond stays beyond.
    prices = np.array([one.closes.price[-1] for one in day.gathered])
    size = {BTC: 3.0, ETH: -3.0, OTHER: 0.5}
    weights = np.array([size[one.instrument.id] for one in day.gathered]) * prices / 2000.0
    funding = np.column_stack(
        [funding_by_hour(one.settled, MIDNIGHT, day.panel.days) for one in day.gathered]
    )
    for row in found.coverage[2:]:
        path = book_var_path(day.panel.closing, funding, weights, row.level)
        told = "at today's weights"
        by_hand = judge_value_at_risk(
            "book", "FHS 1 d", row.level, path.realised, path.forecast, told
        )
        assert row.observations == by_hand.observations
        assert row.exceedances == by_hand.exceedances
        assert row.kupiec_p == by_hand.kupiec_p
        assert row.dynamic_quantile_p == pytest.approx(by_hand.dynamic_quantile_p)
        assert row.text == by_hand.text
        assert row.text in found.words
    assert found.coverage[2].text.startswith("95 % VaR of book at today's weights (FHS 1 d): ")


def test_nothing_held_is_nothing_judged(history: History) -> None:
    plain = court(history, flat())
    assert [row.book for row in plain.coverage] == ["equal weight"] * 2
    # Long here, short there, as much; closed; without estimates.
    for shot in (
        holding({BTC: "2"}, {BTC: "-2"}),
        holding({BTC: "0"}),
        holding({"binanceusdm:NEW/USDT:USDT": "5"}),
    ):
        assert Estimator(history).estimate(EstimateJob(shot, TACTICAL)).court == plain


def test_a_verdict_follows_positions_and_not_quotes(history: History, day: DayView) -> None:
    estimator = Estimator(history)
    books = [{BTC: str(size), ETH: "-1"} for size in (1, 2, 3, 4, 5, 1)]
    for book in books:
        shot = holding(book)
        kept = estimator.estimate(EstimateJob(shot, TACTICAL))
        assert encode(kept) == encode(estimate(EstimateJob(shot, TACTICAL), history))
    shot = holding(books[0])
    moved = msgspec.structs.replace(
        shot, quotes=tuple(msgspec.structs.replace(q, mark=Decimal(130)) for q in shot.quotes)
    )
    assert day.sitting.court_on(moved) == day.sitting.court_on(shot)
    twice = holding({BTC: "2", ETH: "-2"})
    rows = zip(day.sitting.court_on(twice).coverage, court(history, shot).coverage, strict=True)
    assert all(one.exceedances == other.exceedances for one, other in rows)


def test_scores_over_time_end_with_those_of_today(history: History) -> None:
    found = estimate(EstimateJob(flat(), TACTICAL), history)
    track = found.court.track
    assert track.models == (*MODELS, COMBINED) == tuple(one.name for one in found.models)
    assert len(track.at_ms) == len(track.qlike) >= 10
    assert track.at_ms[-1] == MIDNIGHT
    assert set(np.diff(track.at_ms)) == {30 * DAY_MS}
    assert track.qlike[-1] == tuple(one.qlike for one in found.models)
    kept = msgspec.json.decode(msgspec.json.encode(found.court), type=Court)
    assert kept.track == track


def test_the_confidence_set_is_in_every_estimate(history: History) -> None:
    found = estimate(EstimateJob(flat(), TACTICAL), history)
    assert any(one.kept for one in found.models)
    assert any(line.startswith("90 % confidence set (") for line in found.court.words)
