import logging
import sys
from pathlib import Path

import pytest

from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS
from perptui.model.jobs import (
    AppendHistory,
    AskHistory,
    BarSeries,
    EstimateDone,
    EstimateJob,
    FundingSeries,
    HistoryReach,
    JobFailed,
    encode,
)
from perptui.model.market import Bar, FundingSettlement
from perptui.quant.estimate import estimate
from perptui.quant.worker import Worker
from tests.quant.markets import BALANCED, HOUR, bars_of, closes, instrument, market, snapshot


def test_appending_answers_with_the_reach_and_what_was_left_out(tmp_path: Path) -> None:
    worker = Worker(History(tmp_path))
    bad = Bar(HOUR, 1.0, 0.5, 0.4, 0.45, 3.0)
    job = AppendHistory(
        (
            BarSeries("binanceusdm", "BTCUSDT", "1h", (*bars_of(closes(1, 5)), bad)),
            FundingSeries("bybit", "BTCUSDT", (FundingSettlement(HOUR, 1e-4, 8.0),)),
        )
    )
    answer = worker.answer(job)
    assert isinstance(answer, HistoryReach)
    assert answer.last_ms == {
        "binanceusdm/BTCUSDT-1h": HOUR - HOUR_MS,
        "bybit/BTCUSDT-funding": HOUR,
    }
    assert "open or close outside of low and high" in answer.notes[0]
    asked = worker.answer(AskHistory())
    assert isinstance(asked, HistoryReach)
    assert asked.last_ms == answer.last_ms
    assert asked.notes == answer.notes


def test_an_estimate_is_answered_and_kept(tmp_path: Path) -> None:
    history = History(tmp_path)
    contracts = market(history, [("binanceusdm", "BTC"), ("binanceusdm", "ETH")], 60)
    job = EstimateJob(snapshot(contracts), BALANCED)
    answer = Worker(history).answer(job)
    assert isinstance(answer, EstimateDone)
    assert encode(answer.estimates) == encode(estimate(job, history))


def test_a_refusal_is_an_answer_with_its_reason(tmp_path: Path) -> None:
    worker = Worker(History(tmp_path))
    answer = worker.answer(EstimateJob(snapshot([instrument("bybit", "BTC")]), BALANCED))
    assert isinstance(answer, JobFailed)
    assert answer.kind == "EstimationError"
    assert answer.text.startswith("expected history of at least one contract, was none")


def test_a_crash_is_an_answer_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A half-life of zero is caught by settings; here it reaches the estimators."""
    history = History(tmp_path)
    contracts = market(history, [("binanceusdm", "BTC")], 40)
    broken = BALANCED.__class__(
        **{name: getattr(BALANCED, name) for name in BALANCED.__struct_fields__}
        | {"volatility_halflife_days": 0.0}
    )
    with caplog.at_level(logging.ERROR):
        answer = Worker(history).answer(EstimateJob(snapshot(contracts), broken))
    assert isinstance(answer, JobFailed)
    assert answer.kind == "ValueError"
    assert "positive half-life" in answer.text
    assert "see the quant log" in answer.text
    assert "EstimateJob crashed" in caplog.text


def test_warming_up_goes_by_steps_to_a_solve(tmp_path: Path) -> None:
    steps = list(Worker(History(tmp_path)).warm_up())
    assert steps[-1] == "solve"
    assert set(steps[:-1]) <= set(sys.modules)
    assert "clarabel" in sys.modules
