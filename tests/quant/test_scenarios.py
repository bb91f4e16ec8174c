"""The program's scenarios beside the rows of tail risk: one set of paths, two readers."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from perptui.estimation.tails.sample import expected_shortfall
from perptui.history.dataset import History
from perptui.model.jobs import EstimateJob, ProposeJob, encode
from perptui.model.snapshot import MarketSnapshot
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.optimum import optimum
from perptui.quant.estimate import Estimator
from perptui.quant.propose import propose
from perptui.risk.arrays import book_shortfall
from perptui.risk.tail import shortfall
from tests.quant.markets import BALANCED, BOTH, instrument, market, snapshot
from tests.quant.test_propose import job_at


def test_the_program_and_the_tail_rows_say_the_same_of_a_book(
    history: History, shot: MarketSnapshot
) -> None:
    estimator, job = Estimator(history), EstimateJob(shot, BALANCED)
    estimates = estimator.estimate(job)
    made = estimator.scenarios(job, estimates)
    assert made.ids == tuple(row.id for row in estimates.instruments)
    mean = np.array([row.expected_return for row in estimates.instruments])
    paths = made.returns(made.ids, mean, np.zeros(3))
    assert paths.shape == (10_000, 3)
    assert {row.book for row in estimates.tails} >= {"equal weight"}
    # Of the equal-weight book: coins alike, and contracts of a coin alike.
    weights = np.array([0.25, 0.5, 0.25])
    found = shortfall((paths @ weights)[None, :], 0.05)[0]
    row = next(
        row
        for row in estimates.tails
        if (row.book, row.method, row.level) == ("equal weight", "FHS", 0.95)
    )
    assert found == pytest.approx(row.shortfall, rel=1e-9)


def test_they_are_kept_for_what_ifs_and_equal_to_fresh_ones(
    history: History, shot: MarketSnapshot
) -> None:
    estimator, job = Estimator(history), EstimateJob(shot, BALANCED)
    estimates = estimator.estimate(job)
    first = estimator.scenarios(job, estimates)
    assert estimator.scenarios(job, estimator.estimate(job)) is first
    other = Estimator(history)
    fresh = other.scenarios(job, other.estimate(job))
    assert fresh.centred.tobytes() == first.centred.tobytes()
    # They never travel: the record that is sent holds nothing of that size.
    assert len(encode(estimates)) < first.centred.nbytes / 5


def test_wider_funding_widens_the_paths_it_was_drawn_on(
    history: History, shot: MarketSnapshot
) -> None:
    estimator, job = Estimator(history), EstimateJob(shot, BALANCED)
    estimates = estimator.estimate(job)
    rows = tuple(
        msgspec.structs.replace(
            row, funding=msgspec.structs.replace(row.funding, horizon_sd=3 * row.funding.horizon_sd)
        )
        for row in estimates.instruments
    )
    wide = msgspec.structs.replace(estimates, instruments=rows)
    one, three = estimator.scenarios(job, estimates), estimator.scenarios(job, wide)
    added = np.array([row.funding.horizon_sd for row in estimates.instruments])
    moved = (one.centred - three.centred).std(axis=0)
    # Twice the deviation that is forecast, drawn 10,000 times from few dates.
    np.testing.assert_allclose(moved, 2 * added, rtol=0.1)
    np.testing.assert_array_equal(one.coin_moves, three.coin_moves)


def test_too_short_a_history_has_no_scenarios_and_says_why(tmp_path: Path) -> None:
    short = History(tmp_path)
    market(short, BOTH[:2], 40)
    estimator = Estimator(short)
    job = EstimateJob(snapshot([instrument(*one) for one in BOTH[:2]]), BALANCED)
    estimates = estimator.estimate(job)
    made = estimator.scenarios(job, estimates)
    assert made.paths == 0
    (note,) = made.notes([row.id for row in estimates.instruments])
    assert note.startswith("CVaR is not judged: no scenarios of losses")


@pytest.mark.unmeasured
@pytest.mark.history
@pytest.mark.parametrize(
    ("date", "name"),
    [
        ("2022-06-13T09:00Z", "balanced"),
        ("2023-03-11T08:00Z", "tactical"),
    ],
)
def test_on_real_history_a_cap_that_binds_is_kept_to_the_last_digit(
    history_dir: Path, date: str, name: str
) -> None:
    history = History(history_dir)
    job = job_at(history, date, name)
    estimator, asked = Estimator(history), EstimateJob(job.snapshot, job.strategy)
    estimates = estimator.estimate(asked)
    scenarios = estimator.scenarios(asked, estimates)
    free = program_inputs(job.snapshot, estimates, job.strategy, job.limits, {}, scenarios)
    plain = optimum(free)
    worst = float(book_shortfall(plain.exact[None, :], free.limits)[0])
    assert 1e-3 < worst < free.limits.cvar_max
    assert plain.prices["cvar"].tolist() == [0.0]
    for share in (0.8, 0.5):
        tight = msgspec.structs.replace(job.limits, cvar_max=share * worst)
        capped = program_inputs(job.snapshot, estimates, job.strategy, tight, {}, scenarios)
        found = optimum(capped)
        assert found.status == "optimal"
        assert found.prices["cvar"][0] > 1e-5, "the cap must bind"
        # By another road than the search's: the tail of a sorted sample.
        returns = np.sort(capped.limits.scenarios @ found.exact)
        assert expected_shortfall(returns, 0.95) == pytest.approx(share * worst, abs=1e-9)
        # In lots it holds with no tolerance.
        told = propose(ProposeJob(job.snapshot, job.strategy, tight), history, estimator)[0]
        check = next(check for check in told.limits if check.name == "cvar")
        assert check.ok
        assert check.value <= check.limit
