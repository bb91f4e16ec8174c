import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.history.dataset import History
from perptui.model.assignment import assignments_in, bend_all
from perptui.model.canonical import digest_of_made
from perptui.model.clock import HOUR_MS, parse_iso
from perptui.model.jobs import (
    FrontierJob,
    Prepared,
    PrepareJob,
    ProposeDone,
    ProposeJob,
    identity_of,
)
from perptui.model.proposal import Proposal
from perptui.model.whatif import WhatIf
from perptui.quant.estimate import Estimator
from perptui.quant.offline import Held, snapshot_at
from perptui.quant.propose import exact_or_kept, frontier_of, parents_of, propose, told_of
from perptui.quant.worker import Worker
from perptui.settings.load import load
from tests.quant.cut import tables_in, write_until
from tests.quant.market import START_MS, written

D = Decimal
VENUES = ("binanceusdm", "bybit")
CRASHES = ("2021-05-19T12:00Z", "2022-11-09T00:00Z", "2024-08-05T06:00Z")
DATES = (
    "2021-01-11T06:00Z", "2021-02-22T14:00Z", "2021-04-18T04:00Z", "2021-05-19T12:00Z",
    "2021-09-07T16:00Z", "2021-12-04T05:00Z", "2022-02-24T05:00Z", "2022-05-12T07:00Z",
    "2022-06-13T09:00Z", "2022-11-09T00:00Z", "2023-01-14T00:00Z", "2023-03-11T08:00Z",
    "2023-06-10T05:30Z", "2023-08-17T22:00Z", "2023-10-24T00:00Z", "2024-01-03T12:00Z",
    "2024-03-05T20:00Z", "2024-08-05T06:00Z", "2024-12-09T22:00Z", "2025-04-07T07:00Z",
)  # fmt: skip


def job_at(history: History, at: str, strategy: str, equity: str = "1000000") -> ProposeJob:
    """Return a job on a book that is not flat and over no limit."""
    settings = load().settings
    at_ms = parse_iso(at)
    flat = snapshot_at(history, at_ms, VENUES, D(equity))
    held = []
    for place, (one, quote) in enumerate(zip(flat.instruments, flat.quotes, strict=True)):
        share = D("0.06") * (-1) ** place * (place + 1) / len(flat.quotes)
        contracts = (share * D(equity) / quote.mark / one.step).to_integral() * one.step
        if contracts:
            held.append(Held(one.id, contracts, quote.mark))
    snapshot = snapshot_at(history, at_ms, VENUES, D(equity), held)
    return ProposeJob(snapshot, settings.strategy[strategy], settings.limits)


def assert_exact(proposal: Proposal, job: ProposeJob) -> None:
    """Every limit holds, also when worked out here from the contracts and marks themselves."""
    assert proposal.status in {"ok", "no_trade"}
    assert proposal.solver.status == "optimal"
    assert all(one.ok for one in proposal.limits)
    marks = {quote.id: quote.mark for quote in job.snapshot.quotes}
    steps = {one.id: one.step for one in job.snapshot.instruments}
    equity = job.snapshot.equity_usd
    weights = {row.id: row.contracts_after * marks[row.id] / equity for row in proposal.rows}
    assert all(row.contracts_after % steps[row.id] == 0 for row in proposal.rows)
    limits = job.limits
    assert sum((abs(weight) for weight in weights.values()), D(0)) <= D(str(limits.gross_max))
    assert D(str(limits.net_min)) <= sum(weights.values(), D(0)) <= D(str(limits.net_max))
    coins = {one.id: one.coin for one in job.snapshot.instruments}
    for coin in set(coins.values()):
        inside = [weights[name] for name in weights if coins[name] == coin]
        assert abs(sum(inside, D(0))) <= D(str(limits.coin_net_max))
    traded = sum(
        (abs(row.contracts_after - row.contracts_now) * marks[row.id] for row in proposal.rows),
        D(0),
    )
    assert traded / 2 / equity <= D(str(limits.turnover_max))
    signed = {row.id: row.contracts_now for row in proposal.rows}
    for order in proposal.orders:
        assert signed[order.id] == order.before
        signed[order.id] += order.contracts if order.side == "buy" else -order.contracts
        assert signed[order.id] == order.after
    assert signed == {row.id: row.contracts_after for row in proposal.rows}


def digest_again(proposal: Proposal) -> str:
    """Return the digest of a proposal without itself and the solver's seconds."""
    untimed = msgspec.structs.replace(proposal.solver, seconds=0.0)
    return digest_of_made(msgspec.structs.replace(proposal, digest="", solver=untimed))


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> History:
    return written(tmp_path_factory.mktemp("history"), VENUES)


@pytest.mark.parametrize("strategy", ["balanced", "tactical"])
def test_a_proposal_repeats_to_the_digest(made_up: History, strategy: str) -> None:
    job = job_at(made_up, "2023-05-20T00:00Z", strategy)
    estimator = Estimator(made_up)
    first, estimates = propose(job, made_up, estimator)
    second, _ = propose(job, made_up)
    third, kept = propose(job, made_up, estimator)
    assert first.digest == second.digest == third.digest == digest_again(first)
    assert kept is estimates
    assert first.solver.seconds > 0
    assert_exact(first, job)
    other = ProposeJob(
        job.snapshot, job.strategy, job.limits, WhatIf(targets={first.rows[0].id: 0.1})
    )
    assert propose(other, made_up, estimator)[0].digest != first.digest


def test_what_is_prepared_is_only_found_and_changes_nothing(made_up: History) -> None:
    job = job_at(made_up, "2023-05-10T13:00Z", "balanced")
    job = msgspec.structs.replace(job, what_if=bend_all(WhatIf(), assignments_in("gross_max=1.5")))
    expected, _ = propose(job, made_up)
    before = job_at(made_up, "2023-05-10T12:59Z", "balanced")
    expected_before, _ = propose(before, made_up)
    worker = Worker(made_up)
    steps = []
    while Prepared() not in steps:
        steps.append(worker.answer(PrepareJob(job)))
        # A key's job between two steps is answered on its own market, and hinders neither.
        between = worker.answer(before)
        assert isinstance(between, ProposeDone)
        assert between.proposal.digest == expected_before.digest
    assert set(steps[:-1]) <= {Prepared(done=False)}
    answer = worker.answer(job)
    assert isinstance(answer, ProposeDone)
    assert answer.proposal.digest == expected.digest
    assert answer.estimates_id == identity_of(answer.estimates)


def test_what_lies_after_the_instant_changes_nothing(made_up: History, tmp_path: Path) -> None:
    at = "2023-05-10T13:00Z"
    hours = (parse_iso(at) - START_MS) // HOUR_MS
    cut = written(tmp_path, VENUES, hours)
    whole, _ = propose(job_at(made_up, at, "tactical"), made_up)
    short, _ = propose(job_at(cut, at, "tactical"), cut)
    assert short.digest == whole.digest


@pytest.mark.unmeasured
@pytest.mark.history
@pytest.mark.slow
@pytest.mark.parametrize("at", DATES)
def test_on_real_history_every_limit_holds_exactly_and_the_digest_repeats(
    history_dir: Path, at: str
) -> None:
    history = History(history_dir)
    estimator = Estimator(history)
    for strategy in ("balanced", "tactical"):
        job = job_at(history, at, strategy)
        proposal, _ = propose(job, history, estimator)
        assert_exact(proposal, job)
        assert propose(job, history, estimator)[0].digest == proposal.digest


def command(data: Path, at: str, threads: str) -> dict[str, object]:
    """Run `perptui propose --json` in a process of its own."""
    done = subprocess.run(
        [
            sys.executable, "-m", "perptui", "propose", "--data", str(data), "--at", at,
            "--equity", "250000", "--strategy", "tactical", "--venues", "binance,bybit", "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
    )  # fmt: skip
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.unmeasured
@pytest.mark.history
@pytest.mark.slow
@pytest.mark.parametrize("at", CRASHES)
def test_processes_and_cut_files_agree_on_crash_days(
    history_dir: Path, tmp_path: Path, at: str
) -> None:
    write_until(tables_in(history_dir), tmp_path, parse_iso(at))
    whole = command(history_dir, at, "1")
    cut = command(tmp_path, at, "2")
    assert whole["digest"] == cut["digest"]
    assert whole["status"] in {"ok", "no_trade"}
    for answer in (whole, cut):
        del answer["solver"]
    assert whole == cut


WHAT_IFS = (
    "gross_max=0.6",
    "risk_aversion=9 uncertainty=0.1",
    "robust=off",
    "view:SOL=0.4 cost:BTC=2",
    "regime=crisis",
    "shock=-0.05 equity=2000000",
    "horizon_days=3",
)


def bent(job: ProposeJob, text: str) -> ProposeJob:
    return msgspec.structs.replace(job, what_if=bend_all(WhatIf(), assignments_in(text)))


def test_a_what_if_on_kept_estimates_is_the_one_made_afresh(made_up: History) -> None:
    estimator = Estimator(made_up)
    job = job_at(made_up, "2023-05-20T00:00Z", "balanced")
    plain, _ = propose(job, made_up, estimator)
    kept = {text: propose(bent(job, text), made_up, estimator)[0] for text in WHAT_IFS}
    assert len({plain.digest, *(one.digest for one in kept.values())}) == 1 + len(WHAT_IFS)
    for text in WHAT_IFS[::3]:
        assert propose(bent(job, text), made_up)[0].digest == kept[text].digest
    # Nothing is left behind by them.
    assert propose(job, made_up, estimator)[0].digest == plain.digest
    for proposal in kept.values():
        assert proposal.snapshot_digest == plain.snapshot_digest


def test_what_is_bent_is_what_the_proposal_says(made_up: History) -> None:
    estimator = Estimator(made_up)
    job = job_at(made_up, "2023-05-20T00:00Z", "tactical")

    def found(text: str) -> Proposal:
        return propose(bent(job, text), made_up, estimator)[0]

    assert found("equity=3000000").equity_usd == 3000000
    assert found("regime=crisis").regime == "crisis"
    assert found("regime=crisis").exposure <= job.strategy.exposure_by_regime[3]
    assert found("horizon_days=4").horizon_days == 4.0
    reduced = found("reduce_only=true")
    assert all(abs(row.weight_rounded) <= abs(row.weight_now) for row in reduced.rows)
    assert all(order.reduce_only for order in reduced.orders)
    shocked = found("shock=-0.1")
    marks = {quote.id: quote.mark for quote in job.snapshot.quotes}
    held = sum(row.contracts_now * marks[row.id] for row in shocked.rows)
    assert shocked.equity_usd == job.snapshot.equity_usd - held * D("0.1")
    dear = found("cost=50")
    assert dear.turnover < found("cost=1").turnover


def test_the_frontier_is_made_of_points_of_the_same_program(made_up: History) -> None:
    estimator = Estimator(made_up)
    asked = bent(job_at(made_up, "2023-05-20T00:00Z", "balanced"), "cost=0 gross_max=1.5")
    told, parents = told_of(asked, estimator), parents_of(asked, estimator)
    points = frontier_of(FrontierJob(asked, (64.0, 8.0, 1.0)), told, parents)
    assert [one.risk_aversion for one in points] == [64.0, 8.0, 1.0]
    assert sorted(one.volatility_annual for one in points) == [
        one.volatility_annual for one in points
    ]
    assert sorted(one.return_annual for one in points) == [one.return_annual for one in points]
    singly = [frontier_of(FrontierJob(asked, (one,)), told, parents)[0] for one in (64.0, 8.0, 1.0)]
    assert tuple(singly) == points


def test_what_the_ledger_does_not_carry_is_never_sent(made_up: History) -> None:
    """The ledger's terms add up within 1e-6 at every optimum: what does not is none."""
    proposal, _ = propose(job_at(made_up, "2023-05-10T13:00Z", "balanced"), made_up)
    sound = msgspec.structs.replace(proposal, exportable=True)
    assert exact_or_kept(sound) == sound
    first, *rest = proposal.explanation.ledger
    off = msgspec.structs.replace(first, residual=-2e-6)
    ledger = msgspec.structs.replace(proposal.explanation, ledger=(off, *rest))
    kept = exact_or_kept(msgspec.structs.replace(sound, explanation=ledger))
    assert not kept.exportable
    assert "2e-06 bp a year" in kept.reasons[-1]
