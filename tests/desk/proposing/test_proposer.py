"""The proposer: what it refuses, what it says meanwhile, and its what-ifs on real solves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from perptui.desk.proposing.frontier import FACTORS
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.state import DeskState
from perptui.desk.views.proposal import rebalance_view
from perptui.desk.worker import QuantWorker
from perptui.history.dataset import History
from perptui.model.assignment import assignments
from perptui.model.clock import HOUR_MS, ManualClock, SystemClock, parse_iso
from perptui.model.errors import InputError, WorkerError
from perptui.model.explanation import COARSE
from perptui.model.jobs import ClashJob, FrontierJob, Job, JobResult, ProposeDone, ProposeJob
from perptui.model.money import decimal_of
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.views_rebalance import Author, RebalanceView
from perptui.quant.offline import Held, snapshot_at
from perptui.quant.worker import Worker
from perptui.settings.load import load
from tests.desk.inline import InlineWorker
from tests.desk.market import NOW_MS, VENUE
from tests.quant.market import written

SETTINGS = load(None, {"desk.mode": "paper"}).settings
AT_MS = parse_iso("2023-05-20T00:30Z")
BTC = "binanceusdm:BTC/USDT:USDT"
ETH = "binanceusdm:ETH/USDT:USDT"
MIRA = Author(1000, 41, "mira")
pytestmark = pytest.mark.asyncio


def waiting(folder: Path) -> Proposer:
    worker = QuantWorker(folder, folder / "quant.log", SystemClock())
    clock = ManualClock(NOW_MS)
    return Proposer(worker, SETTINGS, clock, lambda: "waiting for binanceusdm account")


async def test_without_a_snapshot_it_says_what_is_missing(tmp_path: Path) -> None:
    proposer = waiting(tmp_path)
    with pytest.raises(WorkerError, match="waiting for binanceusdm account"):
        await proposer.solve()
    assert proposer.picture.state == "failed"
    assert "waiting for binanceusdm account" in proposer.picture.failure
    assert not proposer.picture.fresh(0.0)


async def test_steps_that_are_not_there_are_refused(tmp_path: Path) -> None:
    proposer = waiting(tmp_path)
    with pytest.raises(InputError, match="nothing to undo"):
        await proposer.undo()
    with pytest.raises(InputError, match="nothing to redo"):
        await proposer.redo()
    with pytest.raises(InputError, match="nothing to reset"):
        await proposer.unbend()
    with pytest.raises(InputError, match="solve first"):
        await proposer.bend(f"target:{BTC}=0.5")
    with pytest.raises(InputError, match="expected an assignment, was none"):
        await proposer.bend("  ")
    with pytest.raises(InputError, match="balanced, tactical"):
        await proposer.solve("lucky")
    with pytest.raises(InputError, match="wait or solve first"):
        proposer.keep("A")
    with pytest.raises(InputError, match="expected A or B, was 'C'"):
        proposer.keep("C")
    with pytest.raises(InputError, match="kept under A, was nothing"):
        proposer.forget("A")
    with pytest.raises(InputError, match="kept under B, was nothing"):
        await proposer.recall("B")
    with pytest.raises(InputError, match="keep one first"):
        proposer.compare()
    with pytest.raises(InputError, match="expected a limit that clashes"):
        await proposer.relax("gross")
    with pytest.raises(InputError, match="a share above 0 and up to 1, was 2"):
        await proposer.reduce(2.0)
    with pytest.raises(InputError, match="expected a position to reduce"):
        await proposer.reduce(0.5)


async def test_a_desk_that_only_views_bends_nothing(tmp_path: Path) -> None:
    viewing = msgspec.structs.replace(
        SETTINGS, desk=msgspec.structs.replace(SETTINGS.desk, mode="view")
    )
    worker = QuantWorker(tmp_path, tmp_path / "quant.log", SystemClock())
    proposer = Proposer(worker, viewing, ManualClock(NOW_MS), lambda: "nothing")
    with pytest.raises(InputError, match="view mode"):
        await proposer.bend("gross_max=2")


class Desk:
    """A proposer on history, whose market the test moves."""

    def __init__(self, folder: Path, history: History, inside: Worker) -> None:
        marks = {one.id: one.mark for one in _flat(history).quotes}
        self.held = tuple(
            Held(name, decimal_of(contracts, "contracts"), marks[name])
            for name, contracts in ((BTC, "3"), (ETH, "-40"))
        )
        self.history = history
        self.at_ms = AT_MS
        self.away = ""
        self.worker = InlineWorker(folder, inside)
        self.clock = ManualClock(AT_MS)
        self.moved = asyncio.Event()
        self.proposer = Proposer(self.worker, SETTINGS, self.clock, self.snapshot, self._changed)

    def snapshot(self) -> MarketSnapshot | str:
        if self.away:
            return self.away
        equity = decimal_of("250000", "equity")
        return snapshot_at(self.history, self.at_ms, ("binanceusdm",), equity, self.held)

    def _changed(self) -> None:
        self.moved.set()

    @property
    def proposal(self) -> Proposal:
        found = self.proposer.picture.proposal
        assert found is not None
        return found

    @property
    def jobs(self) -> list[ProposeJob]:
        return [job for job in self.worker.asked if isinstance(job, ProposeJob)]

    def view(self) -> RebalanceView:
        state = DeskState({VENUE: (BTC, ETH)}, SETTINGS.polling, self.clock)
        return rebalance_view(state.picture, self.proposer.picture, "")


def _flat(history: History) -> MarketSnapshot:
    return snapshot_at(history, AT_MS, ("binanceusdm",), decimal_of("1", "equity"))


@pytest.fixture(scope="module")
def quant(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, Worker]:
    history = written(tmp_path_factory.mktemp("history"))
    return history, Worker(history)


@pytest_asyncio.fixture
async def desk(tmp_path: Path, quant: tuple[History, Worker]) -> AsyncIterator[Desk]:
    made = Desk(tmp_path, *quant)
    made.worker.start()
    await made.proposer.solve()
    yield made
    await made.worker.close()


def weight(proposal: Proposal, identifier: str) -> float:
    return next(row.weight_target for row in proposal.rows if row.id == identifier)


async def test_every_kind_of_bend_is_a_step_that_can_be_undone(desk: Desk) -> None:
    first = desk.proposal.digest
    texts = (f"target:{BTC}=0.3", "gross_max=0.9", "view:SOL=0.5", "strategy=tactical")
    digests = [first]
    for count, text in enumerate(texts, start=1):
        await desk.proposer.bend(text)
        assert len(assignments(desk.proposal.what_if)) == count
        digests.append(desk.proposal.digest)
    assert len(set(digests)) == len(digests)
    assert desk.proposal.strategy == "tactical"
    assert desk.proposer.picture.strategy == "balanced"
    assert weight(desk.proposal, BTC) == 0.3
    for digest in reversed(digests[:-1]):
        await desk.proposer.undo()
        assert desk.proposal.digest == digest
    assert not desk.proposer.picture.can_undo
    for digest in digests[1:]:
        await desk.proposer.redo()
        assert desk.proposal.digest == digest
    await desk.proposer.unbend("gross_max")
    assert "gross_max=0.9" not in desk.view().assignments
    await desk.proposer.unbend()
    assert desk.proposal.digest == first
    assert desk.proposer.picture.can_undo


async def test_several_assignments_are_one_step(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.8  risk_aversion = 9")
    assert desk.view().assignments == ("gross_max=0.8", "risk_aversion=9")
    await desk.proposer.undo()
    assert desk.view().assignments == ()


async def test_previews_become_one_step_and_open_no_ticket(desk: Desk) -> None:
    for text in ("gross_max=0.8", "gross_max=0.85"):
        await desk.proposer.bend(text, preview=True)
        view = desk.view()
        assert (view.preview, view.exportable, view.assignments) == (True, False, (text,))
        assert not desk.proposer.picture.fresh(desk.clock.monotonic())
    solves = len(desk.jobs)
    await desk.proposer.bend("gross_max=0.85")
    assert len(desk.jobs) == solves
    assert not desk.view().preview
    assert desk.view().exportable
    await desk.proposer.undo()
    assert desk.view().assignments == ()
    assert not desk.proposer.picture.can_undo


async def test_a_preview_is_withdrawn_or_undone(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.8")
    settled = desk.proposal.digest
    for back in ("withdraw", "undo"):
        await desk.proposer.bend("gross_max=0.5 cost=2", preview=True, by=MIRA)
        assert desk.proposal.digest != settled
        assert desk.view().tried == ("cost=2", "gross_max=0.5")
        typed = desk.proposer.typed_by(MIRA)
        assert len({id(one) for one in typed}) == 1
        await (desk.proposer.withdraw(typed) if back == "withdraw" else desk.proposer.undo())
        assert desk.proposal.digest == settled
        assert (desk.view().assignments, desk.view().tried) == (("gross_max=0.8",), ())
        assert desk.proposer.typed_by(MIRA) == ()
    assert desk.proposer.picture.can_undo


async def test_what_a_preview_bends_is_reset_with_it(desk: Desk) -> None:
    own = desk.proposal.digest
    await desk.proposer.bend("gross_max=0.5", preview=True)
    with pytest.raises(InputError, match="nothing to reset"):
        await desk.proposer.unbend("net_max")
    assert desk.view().preview
    for key in ("", "gross_max"):
        await desk.proposer.bend("gross_max=0.5", preview=True)
        await desk.proposer.unbend(key)
        assert (desk.proposal.digest, desk.view().assignments) == (own, ())
        assert not desk.proposer.picture.can_undo
    await desk.proposer.bend("gross_max=0.8")
    await desk.proposer.bend("gross_max=0.5 cost=2", preview=True)
    await desk.proposer.unbend("cost")
    assert desk.view().assignments == ("gross_max=0.8",)
    await desk.proposer.bend("cost=2", preview=True)
    await desk.proposer.unbend()
    assert (desk.proposal.digest, desk.view().assignments) == (own, ())
    await desk.proposer.undo()
    assert desk.view().assignments == ("gross_max=0.8",)


async def test_what_cannot_be_read_leaves_what_stands(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.8", preview=True)
    stands = desk.proposer.picture
    for text in ("gross_max=", "gross_max=11", "gross_mx=1", "shock:DOGE=0.1", "net_min=2"):
        with pytest.raises(InputError):
            await desk.proposer.bend(text, preview=True)
        assert desk.proposer.picture == stands


async def test_a_step_that_cannot_be_solved_is_taken_back(desk: Desk) -> None:
    stands = desk.proposer.picture
    with pytest.raises(WorkerError, match="a shock that leaves equity"):
        await desk.proposer.bend("shock:BTC=-0.9 shock:ETH=10")
    assert msgspec.structs.replace(desk.proposer.picture, failure="") == stands
    assert not desk.proposer.picture.can_undo


async def test_a_new_market_keeps_what_is_bent(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.8")
    await desk.proposer.bend("risk_aversion=9")
    before = desk.proposal
    desk.at_ms += HOUR_MS
    await desk.proposer.solve()
    assert desk.proposal.snapshot_digest != before.snapshot_digest
    assert desk.view().assignments == ("gross_max=0.8", "risk_aversion=9")
    await desk.proposer.undo()
    assert desk.view().assignments == ("gross_max=0.8",)
    assert desk.proposer.picture.can_redo


async def test_a_market_that_is_away_leaves_the_what_if_and_says_why(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.8")
    stands = desk.view()
    desk.away = "binanceusdm quotes is stale"
    for ask in (desk.proposer.solve, desk.proposer.undo, desk.proposer.unbend):
        with pytest.raises(WorkerError, match="quotes is stale"):
            await ask()
        view = desk.view()
        assert (view.state, view.digest) == ("ready", stands.digest)
        assert view.assignments == ("gross_max=0.8",)
        assert view.comparisons == stands.comparisons
    # What could not be renewed says so until it is; a step that failed was answered.
    with pytest.raises(WorkerError):
        await desk.proposer.solve()
    assert desk.view().reasons[0] == "nothing to propose from: binanceusdm quotes is stale"
    desk.away = ""
    await desk.proposer.undo()
    assert desk.view().assignments == ()
    assert not any("stale" in reason for reason in desk.view().reasons)


@pytest.mark.parametrize("then", ["solve", "undo", "redo", "withdraw", "unbend", "bend"])
async def test_whatever_is_solved_title_and_figures_are_of_one_proposal(
    desk: Desk, then: str
) -> None:
    await desk.proposer.bend("gross_max=0.8")
    await desk.proposer.bend("gross_max=0.6")
    await desk.proposer.undo()
    if then == "withdraw":
        await desk.proposer.bend("cost=2", preview=True, by=MIRA)
    stands = desk.view()
    desk.worker.gate.clear()
    what = {"bend": ("gross_max=0.5",), "withdraw": (desk.proposer.typed_by(MIRA),)}
    asking = asyncio.create_task(getattr(desk.proposer, then)(*what.get(then, ())))
    await asyncio.sleep(0)
    solving = desk.view()
    assert solving.state == "solving"
    asked = {
        "solve": None,
        "undo": (),
        "redo": ("gross_max=0.6",),
        "withdraw": ("gross_max=0.8",),
        "unbend": (),
        "bend": ("gross_max=0.5",),
    }
    assert solving.asked == asked[then]
    for name in ("assignments", "edits", "what_if", "preview", "digest", "comparisons", "rows"):
        assert getattr(solving, name) == getattr(stands, name)
    desk.worker.gate.set()
    await asking
    assert desk.view().asked is None
    assert desk.view().assignments == (asked[then] if then != "solve" else ("gross_max=0.8",))


async def test_a_step_that_fails_leads_back_to_the_one_it_overtook(desk: Desk) -> None:
    first = desk.proposal.digest
    await desk.proposer.bend("gross_max=0.8")
    desk.worker.gate.clear()
    undone = asyncio.create_task(desk.proposer.undo())
    await asyncio.sleep(0)
    bent = asyncio.create_task(desk.proposer.bend("shock:BTC=-0.9 shock:ETH=10"))
    await asyncio.sleep(0)
    desk.worker.gate.set()
    await undone
    with pytest.raises(WorkerError, match="a shock that leaves equity"):
        await bent
    assert (desk.view().state, desk.view().digest) == ("ready", first)
    assert desk.view().assignments == ()
    assert not desk.view().can_undo
    await desk.proposer.redo()
    assert desk.view().assignments == ("gross_max=0.8",)


@pytest.mark.parametrize("answered", [False, True], ids=["in the queue", "with an answer"])
async def test_a_nudge_that_a_failed_renewal_overtook_stands_once_it_is_answered(
    desk: Desk, *, answered: bool
) -> None:
    desk.worker.gate.clear()
    nudged = asyncio.create_task(desk.proposer.bend("gross_max=0.8", preview=True))
    await asyncio.sleep(0)
    if answered:
        desk.away = "a venue that is away"
        with pytest.raises(WorkerError, match="a venue that is away"):
            await desk.proposer.renew()
        assert not nudged.done()
    else:
        renewed = asyncio.create_task(desk.proposer.renew())
        await asyncio.sleep(0)
        desk.worker.fails_next = "the end of the process"
    desk.worker.gate.set()
    if not answered:
        with pytest.raises(WorkerError, match="the end of the process"):
            await renewed
    await nudged
    assert (desk.view().state, desk.view().assignments) == ("ready", ("gross_max=0.8",))
    await desk.proposer.bend("gross_max=0.8")
    assert (desk.view().preview, desk.view().can_undo) == (False, True)


async def test_what_fails_again_when_its_turn_comes_is_refused_and_gone(desk: Desk) -> None:
    stands = desk.proposal.digest
    desk.worker.gate.clear()
    asked = []
    for text in ("shock:BTC=-0.9 shock:ETH=10", "gross_max=0.8"):
        asked.append(asyncio.create_task(desk.proposer.bend(text)))
        await asyncio.sleep(0)
    desk.worker.gate.set()
    for task in asked:
        with pytest.raises(WorkerError, match="a shock that leaves equity"):
            await task
    assert (desk.view().state, desk.view().digest) == ("ready", stands)
    assert not desk.view().can_undo


async def test_a_preview_settled_while_it_is_renewed_stays_settled(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.8", preview=True)
    desk.worker.gate.clear()
    renewed = asyncio.create_task(desk.proposer.solve())
    await asyncio.sleep(0)
    await desk.proposer.bend("gross_max=0.8")
    desk.away = "a venue that is away"
    again = asyncio.create_task(desk.proposer.solve())
    with pytest.raises(WorkerError, match="a venue that is away"):
        await again
    desk.worker.gate.set()
    await asyncio.gather(renewed, return_exceptions=True)
    assert (desk.view().preview, desk.view().assignments) == (False, ("gross_max=0.8",))
    assert desk.view().can_undo


async def test_what_was_sent_is_dropped_after_its_fills_and_comes_back(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.8")
    await desk.proposer.bend("risk_aversion=9")
    sent = desk.proposal.what_if
    assert await desk.proposer.follow_fills(sent) == "gross_max=0.8 risk_aversion=9"
    assert desk.view().assignments == ()
    await desk.proposer.undo()
    assert desk.view().assignments == ("gross_max=0.8", "risk_aversion=9")
    # What was bent further meanwhile, or is being typed, is not what was sent.
    await desk.proposer.bend("cost=2")
    assert await desk.proposer.follow_fills(sent) == ""
    assert set(desk.view().assignments) == {"gross_max=0.8", "risk_aversion=9", "cost=2"}
    await desk.proposer.undo()
    await desk.proposer.bend("cost=3", preview=True)
    assert await desk.proposer.follow_fills(sent) == ""
    assert desk.view().preview
    assert set(desk.view().assignments) == {"gross_max=0.8", "risk_aversion=9", "cost=3"}


async def test_the_latest_what_if_wins(desk: Desk) -> None:
    desk.worker.gate.clear()
    asked = [
        asyncio.create_task(desk.proposer.bend(f"gross_max={value}", preview=True))
        for value in ("0.8", "0.7", "0.6")
    ]
    await asyncio.sleep(0.01)
    assert desk.proposer.picture.state == "solving"
    before = len(desk.jobs)
    desk.worker.gate.set()
    await asyncio.gather(*asked)
    assert len(desk.jobs) == before + 1
    assert desk.view().assignments == ("gross_max=0.6",)
    assert desk.proposal.what_if.limits == {"gross_max": 0.6}


@pytest.mark.parametrize(
    "text", ["regime=crisis", "equity=1e6", "shock=-0.05", "cost=2", "gross_max=4"]
)
async def test_what_is_supposed_is_shown_and_never_sent(desk: Desk, text: str) -> None:
    await desk.proposer.bend(text)
    assert desk.proposal.status in {"ok", "no_trade"}
    assert not desk.proposal.exportable
    view = desk.view()
    assert len(view.shown_only) == 1
    assert not view.exportable
    assert view.reasons[0] == f"shown, not sent: {view.shown_only[0]}"
    await desk.proposer.unbend()
    assert desk.view().exportable
    assert desk.view().shown_only == ()


async def test_parameters_that_estimation_does_not_read_estimate_nothing(desk: Desk) -> None:
    before = desk.proposer.picture.estimates
    for text in ("risk_aversion=8", "uncertainty=0", "robust=off", "shock=-0.02", "view:BTC=1"):
        await desk.proposer.bend(text)
        assert desk.proposer.picture.estimates is before
    await desk.proposer.bend("horizon_days=3")
    after = desk.proposer.picture.estimates
    assert after is not None
    assert after.horizon_days == 3.0


async def test_two_what_ifs_are_kept_and_compared(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.6")
    desk.proposer.keep("A")
    await desk.proposer.bend("risk_aversion=20")
    desk.proposer.keep("B")
    await desk.proposer.unbend()
    view = desk.view()
    assert [one.slot for one in view.kept] == ["A", "B"]
    assert view.kept[0].assignments == ("gross_max=0.6",)
    assert view.kept[1].assignments == ("gross_max=0.6", "risk_aversion=20")
    names = [row.name for row in view.comparisons]
    assert all([row.name for row in one.figures] == names for one in view.kept)
    assert all(one.same_market for one in view.kept)
    # The market moves on: what is kept stays as it was until it is compared anew.
    desk.at_ms += HOUR_MS
    await desk.proposer.solve()
    stale = desk.view().kept
    assert not any(one.same_market for one in stale)
    # Nothing is held up by it: it is done behind whatever else is asked.
    desk.worker.gate.clear()
    desk.proposer.compare()
    assert desk.view().kept == stale
    # A step that fails meanwhile does not end it.
    desk.away = "waiting for marks"
    with pytest.raises(WorkerError, match="waiting for marks"):
        await desk.proposer.bend("gross_max=0.5")
    desk.away = ""
    desk.worker.gate.set()
    await until(desk, lambda: all(one.same_market for one in desk.view().kept))
    again = desk.view().kept
    assert [one.digest for one in again] != [one.digest for one in stale]
    await desk.proposer.recall("B")
    assert desk.proposal.digest == again[1].digest
    desk.proposer.forget("A")
    assert [one.slot for one in desk.view().kept] == ["B"]


async def test_what_cannot_be_compared_says_so_in_the_news(desk: Desk) -> None:
    state = DeskState({VENUE: (BTC, ETH)}, SETTINGS.polling, desk.clock)
    desk.proposer.tell_by(lambda text: state.tell("warn", text))
    await desk.proposer.bend("gross_max=0.6")
    desk.proposer.keep("A")
    await desk.proposer.unbend()
    desk.at_ms += HOUR_MS
    await desk.proposer.solve()
    desk.worker.fails_next = "the quant process ended"
    desk.proposer.compare()
    await until(desk, lambda: bool(state.picture.news))
    told = "what is kept does not compare yet: the quant process ended"
    assert [(line.level, line.text) for line in state.picture.news] == [("warn", told)]
    assert not any(one.same_market for one in desk.view().kept)
    # Asked for once more, it compares, and nothing more is said.
    desk.proposer.compare()
    await until(desk, lambda: all(one.same_market for one in desk.view().kept))
    assert len(state.picture.news) == 1


async def test_what_is_kept_is_measured_by_the_yardstick_of_what_stands(desk: Desk) -> None:
    await desk.proposer.bend("strategy=tactical")
    desk.proposer.keep("A")
    tactical = desk.proposal
    await desk.proposer.bend("gross_max=0.6")
    desk.proposer.keep("B")
    await desk.proposer.unbend("strategy")
    # B was solved with another strategy too; what it is measured by is said until it is known.
    kept = desk.view().kept
    assert [one.own_measure for one in kept] == [True, True]
    volatility = {row.name: row.after for row in kept[0].figures}["volatility"]
    assert volatility == tactical.risk.volatility_annual
    await until(desk, lambda: not any(one.own_measure for one in desk.view().kept))
    stands, (a, b) = desk.proposal, desk.view().kept
    estimates = desk.proposer.picture.estimates
    assert estimates is not None
    # A second implementation: sqrt(w'Sigma w) with the estimates of what stands.
    order = [row.id for row in estimates.instruments]
    covariance = np.array(estimates.covariance) * 365.0 / estimates.horizon_days
    for one in (a, b):
        held = np.array([one.weights.get(name, 0.0) for name in order])
        found = {row.name: row.after for row in one.figures}["volatility"]
        assert found == pytest.approx(float(np.sqrt(held @ covariance @ held)), rel=1e-9)
    # By the aim of what stands, nothing in its room is better than it: B keeps its limits.
    assert b.objective_usd_day is not None
    best = stands.explanation.objective_usd_per_day
    assert best is not None
    assert b.objective_usd_day < best + 0.5
    # Another step has another yardstick.
    await desk.proposer.bend("risk_aversion=30")
    assert all(one.own_measure for one in desk.view().kept)


async def test_every_figure_of_what_is_kept_is_on_the_market_that_stands(desk: Desk) -> None:
    desk.proposer.keep("A")
    kept = desk.proposal
    await desk.proposer.bend("shock=-0.2 equity=1000000")
    await until(desk, lambda: not any(one.own_measure for one in desk.view().kept))
    (a,) = desk.view().kept
    assert a.assignments == ()
    snapshot = desk.proposer.picture.snapshot
    assert snapshot is not None
    marks = {one.id: one.mark for one in snapshot.quotes}
    sizes = {one.id: one.contract_size for one in snapshot.instruments}
    # By hand: A's contracts at prices a fifth lower, over the equity that is supposed.
    weights = {
        row.id: float(row.contracts_after * sizes[row.id] * marks[row.id]) * 0.8 / 1e6
        for row in kept.rows
    }
    assert a.weights == pytest.approx(weights, rel=1e-9)
    figures = {row.name: row.after for row in a.figures}
    assert figures["gross"] == pytest.approx(sum(map(abs, weights.values())), rel=1e-9)
    now = {row.id: row.weight_now for row in desk.proposal.rows}
    traded = sum(abs(weights[name] - now[name]) for name in weights)
    assert a.turnover == pytest.approx(traded / 2, rel=1e-9)
    # The same contracts for four fifths of the price: the same fees but for a fifth, and less
    # impact too, in a market whose volume in dollars stays as it was.
    assert 0.6 < float(a.cost_usd / kept.cost_usd) <= 0.8


async def test_what_was_kept_follows_the_market_and_the_slot_gone_back_to_at_once(
    desk: Desk,
) -> None:
    await desk.proposer.bend("gross_max=0.6")
    desk.proposer.keep("A")
    await desk.proposer.bend("risk_aversion=20")
    desk.proposer.keep("B")
    desk.at_ms += HOUR_MS
    await desk.proposer.recall("A")
    assert [one.same_market for one in desk.view().kept] == [True, False]
    assert desk.view().kept[0].digest == desk.view().digest
    await until(desk, lambda: all(one.same_market for one in desk.view().kept))


async def test_the_desks_own_target_is_on_the_frontier_of_a_what_if(desk: Desk) -> None:
    own = desk.proposal
    desk.proposer.draw_frontier(on=True)
    await until(desk, lambda: len(desk.proposer.picture.frontier) == len(FACTORS))
    assert [one.name for one in desk.view().frontier.places] == ["now", "target"]
    await desk.proposer.bend("gross_max=0.5")
    await until(desk, lambda: len(desk.proposer.picture.frontier) > 0)
    places = {one.name: one for one in desk.view().frontier.places}
    assert list(places) == ["now", "desk", "target"]
    assert places["desk"].volatility_annual == own.risk.volatility_annual
    assert places["desk"].return_annual == own.risk.expected_return_annual
    assert places["target"].volatility_annual == desk.proposal.risk.volatility_annual
    # By the mean of what stands, not by its own.
    await desk.proposer.bend("uncertainty=0")
    assert [one.name for one in desk.view().frontier.places] == ["now", "target"]
    await until(desk, lambda: len(desk.view().frontier.places) == 3)
    bolder = {one.name: one for one in desk.view().frontier.places}["desk"]
    assert bolder.volatility_annual == places["desk"].volatility_annual
    assert bolder.return_annual > places["desk"].return_annual


async def test_every_position_can_be_reduced_by_a_share(desk: Desk) -> None:
    before = {row.id: row.weight_now for row in desk.proposal.rows}
    await desk.proposer.reduce(0.5)
    for row in desk.proposal.rows:
        assert abs(row.weight_target - 0.5 * before[row.id]) <= 1e-6
        assert abs(row.weight_rounded) <= abs(before[row.id])
    assert all(order.reduce_only for order in desk.proposal.orders)
    await desk.proposer.reduce(1.0)
    assert all(row.contracts_after == 0 for row in desk.proposal.rows)


async def test_a_target_that_no_book_meets_is_shown_as_it_was_asked(desk: Desk) -> None:
    await desk.proposer.bend(f"target:{BTC}=0.9 coin_net_max=0.5")
    assert desk.proposal.status == "infeasible"
    row = next(row for row in desk.view().rows if row.id == BTC)
    assert (row.edited, row.weight_target) == (True, 0.9)
    assert not row.trade_usd
    assert row.weight_rounded == pytest.approx(row.weight_now)


async def test_lots_too_coarse_say_the_width_that_would_do_as_a_terminal_without_a_desk_does(
    desk: Desk,
) -> None:
    # Steps of BTC and ETH that add up to nothing at all: weights do, lots do not.
    await desk.proposer.bend(f"target:{BTC}=0.4 net_max=0 net_min=0")
    view = desk.view()
    assert (view.status, view.reasons[0]) == ("infeasible", COARSE)
    assert view.clash_pending
    await until(desk, lambda: not desk.proposer.picture.clash_pending)
    bent = next(job for job in desk.jobs[::-1] if not job.what_if.reduce_only)
    whole = msgspec.structs.replace(bent, names_clash=True)
    answer = await desk.worker.ask(whole, "solving", 1.0)
    assert isinstance(answer, ProposeDone)
    assert "would do" in answer.proposal.reasons[1], answer.proposal.reasons
    assert desk.view().reasons == answer.proposal.reasons


async def test_a_clash_is_relaxed_by_one_key(desk: Desk) -> None:
    fixed = f"target:{BTC}=0.95"
    await desk.proposer.bend(fixed)
    view = desk.view()
    # That limits clash is told at once, which of them as soon as it is known.
    assert (view.status, view.clash, view.clash_pending) == ("infeasible", (), True)
    assert view.reasons[0] == "no book keeps every limit"
    assert desk.proposal.explanation.clash == ()
    with pytest.raises(InputError, match="expected a limit that clashes"):
        await desk.proposer.relax("coin_net:BTC")
    await until(desk, lambda: not desk.proposer.picture.clash_pending)
    view = desk.view()
    assert view.reasons[0].startswith("no book keeps every limit: coin_net:BTC 0.8x")
    members = {one.name: one for one in view.clash}
    assert set(members) == {"coin_net:BTC", f"target:{BTC}"}
    assert view.offers[0].name == "hold"
    # Which of them could only be looked at is said before it is taken.
    assert view.clash_shown == ("coin_net:BTC",)
    await desk.proposer.relax("coin_net:BTC")
    needed = members["coin_net:BTC"].needed
    assert needed is not None
    looser = desk.proposal.what_if.limits["coin_net_max"]
    assert needed <= looser < needed * 1.001
    assert desk.proposal.status == "ok"
    assert desk.view().shown_only == (f"coin_net_max {looser:g} is looser than the desk's 0.8",)
    assert desk.view().clash == ()
    await desk.proposer.undo()
    await until(desk, lambda: not desk.proposer.picture.clash_pending)
    await desk.proposer.relax(f"target:{BTC}")
    assert desk.proposal.status == "ok"
    assert 0.799 < desk.proposal.what_if.targets[BTC] <= 0.8
    assert desk.view().exportable
    with pytest.raises(InputError, match="expected a limit that clashes"):
        await desk.proposer.relax("coin_net:BTC")


async def test_a_clash_is_looked_for_in_slices_and_dropped_for_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slices of one solve each, of which a clash of two members takes several.
    monkeypatch.setattr("perptui.quant.worker.SLICE_S", 0.0)
    await desk.proposer.bend(f"target:{BTC}=0.95")
    assert desk.view().clash_pending
    await desk.proposer.bend(f"target:{BTC}=0.96")
    assert desk.view().clash_pending
    await until(desk, lambda: not desk.proposer.picture.clash_pending)
    found = {one.name: one.limit for one in desk.view().clash}
    assert found[f"target:{BTC}"] == 0.96
    slices = [job.asked for job in desk.worker.asked if isinstance(job, ClashJob)]
    of_second = [asked for asked in slices if asked.what_if.targets[BTC] == 0.96]
    assert len(slices) - len(of_second) < len(of_second)
    assert len(of_second) > 3
    # Sliced or in one go, the same is found.
    whole = msgspec.structs.replace(of_second[0], names_clash=True)
    answer = await desk.worker.ask(whole, "solving", 1.0)
    assert isinstance(answer, ProposeDone)
    assert answer.proposal.explanation.clash == desk.view().clash
    assert answer.proposal.reasons[0] == desk.view().reasons[0]


async def test_a_clash_goes_on_when_the_step_after_it_fails(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perptui.quant.worker.SLICE_S", 0.0)
    await desk.proposer.bend(f"target:{BTC}=0.95")
    stood = desk.proposal.digest
    desk.away = "a venue that is away"
    with pytest.raises(WorkerError, match="a venue that is away"):
        await desk.proposer.bend("gross_max=1.5")
    assert desk.view().clash_pending
    await until(desk, lambda: not desk.proposer.picture.clash_pending)
    assert desk.proposal.digest == stood
    assert {one.name for one in desk.view().clash} == {"coin_net:BTC", f"target:{BTC}"}


async def test_where_targets_are_in_the_way_of_reducing_they_are_freed(desk: Desk) -> None:
    """A short of BTC far beyond gross and turnover: no limit alone mends it, reducing does."""
    fixed = f"target:{BTC}=-0.6"
    await desk.proposer.bend(f"turnover_max=0.02 gross_max=0.2 regime=crisis {fixed}")
    await until(desk, lambda: not desk.proposer.picture.clash_pending)
    named = {one.name: one for one in desk.view().offers}
    assert set(named) >= {"hold", "reduce_only"}
    offer = named["reduce_only"]
    assert offer.assignment == f"target:{BTC}=free reduce_only=true"
    assert offer.text.startswith(f"only reduce, target:{BTC} freed: turnover 2.0%")
    await desk.proposer.bend(offer.assignment)
    view = desk.view()
    assert fixed not in view.assignments
    assert "reduce_only=true" in view.assignments
    assert view.status == "ok"
    assert view.headline.startswith("reduction: ")
    assert f"turnover {view.turnover:.1%}" in offer.text
    assert all(order.reduce_only for order in desk.proposal.orders)


async def test_what_is_offered_can_be_taken(desk: Desk) -> None:
    await desk.proposer.bend("gross_max=0.1 turnover_max=0.05")
    offers = desk.view().offers
    assert [(one.name, one.assignment) for one in offers] == [("hold", ""), ("reduce_only", "")]
    assert "is being worked out" in offers[1].text
    await until(desk, lambda: not desk.proposer.picture.clash_pending)
    named = {one.name: one for one in desk.view().offers}
    assert named["hold"].assignment == ""
    # A turnover of 5 % is far from what would do: said, and only the step toward it can be taken.
    assert named["reduce"].assignment == ""
    assert "no one proposal reaches it" in named["reduce"].text
    assert "breached: a step, propose again" in named["reduce_only"].text
    await desk.proposer.bend(named["reduce_only"].assignment)
    assert desk.proposal.status == "ok"
    assert desk.proposal.exportable
    assert all(order.reduce_only for order in desk.proposal.orders)
    assert "gross" in desk.view().breached
    assert [one.name for one in desk.view().offers] == ["hold"]


async def until(desk: Desk, fulfilled: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not fulfilled():
            desk.moved.clear()
            await desk.moved.wait()


async def test_the_frontier_is_traced_a_point_at_a_time_and_dropped(desk: Desk) -> None:
    desk.proposer.draw_frontier(on=True)
    wanted = desk.proposer.picture.frontier_wanted
    assert wanted == len(FACTORS)
    await until(desk, lambda: len(desk.proposer.picture.frontier) == wanted)
    jobs = [job for job in desk.worker.asked if isinstance(job, FrontierJob)]
    assert [len(job.risk_aversions) for job in jobs] == [1] * wanted
    view = desk.view()
    risks = [one.volatility_annual for one in view.frontier.points]
    assert risks == sorted(risks)
    await desk.proposer.bend("risk_aversion=30")
    assert desk.proposer.picture.frontier == ()
    await until(desk, lambda: len(desk.proposer.picture.frontier) > 0)
    done = [job for job in desk.worker.asked if isinstance(job, FrontierJob)]
    assert done[-1].asked.what_if.parameters == {"risk_aversion": 30.0}
    desk.proposer.draw_frontier(on=False)
    assert desk.view().frontier.wanted == 0
    assert desk.view().frontier.points == ()


async def test_where_there_is_no_frontier_it_is_said_why(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perptui.desk.proposing.frontier.QUIET_S", 0.0)
    desk.proposer.draw_frontier(on=True)
    assert desk.view().frontier.none == ""
    await desk.proposer.bend("gross_max=0.1 turnover_max=0.05")
    found = desk.view().frontier
    assert (found.none, found.wanted) == ("no book keeps every limit", 0)
    # A quant process that answers no point leaves none to wait for.
    ask = desk.worker.ask

    async def silent(job: Job, *words: Any, **options: Any) -> JobResult:
        if isinstance(job, FrontierJob):
            raise WorkerError("expected a point, was nothing")
        return await ask(job, *words, **options)

    monkeypatch.setattr(desk.worker, "ask", silent)
    await desk.proposer.undo()
    await until(desk, lambda: desk.proposer.picture.frontier_ended)
    found = desk.view().frontier
    assert (found.none, found.wanted) == ("no point of it was solved; r tries again", 0)


async def test_the_frontier_comes_back_when_the_step_after_it_fails(desk: Desk) -> None:
    desk.proposer.draw_frontier(on=True)
    await until(desk, lambda: len(desk.proposer.picture.frontier) == len(FACTORS))
    traced = desk.proposer.picture.frontier
    desk.away = "a venue that is away"
    with pytest.raises(WorkerError, match="a venue that is away"):
        await desk.proposer.bend("gross_max=1.5")
    await until(desk, lambda: len(desk.proposer.picture.frontier) == len(FACTORS))
    assert desk.proposer.picture.frontier == traced
