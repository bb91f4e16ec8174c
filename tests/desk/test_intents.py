"""Opening a ticket of a replay: slow before it is priced, and until it ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from perptui.desk.intents import Intents
from perptui.desk.orders.traders import trader_of
from perptui.desk.proposing.frontier import FACTORS
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.server import Peer
from perptui.model.errors import ConfirmationRefused, InputError, WorkerError
from perptui.model.explanation import FrontierPoint
from perptui.model.jobs import FrontierDone, FrontierJob, ProposeDone
from perptui.model.proposal import Proposal
from perptui.model.whatif import WhatIf
from perptui.protocol import intents as asked
from perptui.protocol.intents import OpenTicket, Solve
from perptui.protocol.views_rebalance import Author
from tests.desk.dealing import REDUCE_BTC, REDUCE_ETH, Deal, proposal
from tests.desk.estimated import estimates
from tests.desk.proposing.test_proposer import waiting
from tests.desk.test_pace import Paced

pytestmark = pytest.mark.asyncio


async def test_a_replay_stays_slow_from_before_a_ticket_is_priced_until_it_ends(
    tmp_path: Path,
) -> None:
    deal, paced = Deal(tmp_path), Paced(answers=True)
    await deal.trading.reconcile()
    made = deal.picture.take(proposal(REDUCE_BTC))
    # The proposer and the private desk's leaving have no part in it.
    intents = Intents(waiting(tmp_path), cast(Any, deal.picture), lambda: "")
    intents.trading, intents.pace = deal.trading, paced.pace
    peer = Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())
    opening = asyncio.create_task(intents.answer(OpenTicket(made.digest, "send", 120, 40), peer))
    while not opening.done():
        await intents.settle_pace()
        await asyncio.sleep(0.01)
    assert await opening == ""
    assert deal.trading.ticket_view.phase == "confirm"
    await intents.settle_pace()
    assert paced.control.speeds == [1.0]
    await deal.trading.reject("T1", "", trader_of(os.getuid()))
    await intents.settle_pace()
    assert paced.control.speeds == [1.0, 60.0]
    deal.journal.close()


class Answering:
    """A quant process that answers every job with the next proposal, or error, it was given."""

    def __init__(self, *proposals: Proposal) -> None:
        self.proposals: list[Proposal | WorkerError] = list(proposals)

    async def ask(self, job: Any, *_: Any, **__: Any) -> ProposeDone:
        answer = self.proposals.pop(0)
        if isinstance(answer, WorkerError):
            raise answer
        return ProposeDone(answer, estimates())


class Tracing(Answering):
    """The same, and points of a frontier where one is asked for."""

    points = 0

    async def ask(self, job: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(job, FrontierJob):
            return await super().ask(job)
        self.points += 1
        aversion = job.risk_aversions[0]
        return FrontierDone((FrontierPoint(1 / aversion, 1 / aversion, aversion),))


class Slow(Answering):
    """The same, behind a gate."""

    def __init__(self, *proposals: Proposal) -> None:
        super().__init__(*proposals)
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, job: Any, *_: Any, **__: Any) -> ProposeDone:
        await self.gate.wait()
        return await super().ask(job)


def proposer_of(
    deal: Deal, answering: Answering, changed: Callable[[], None] = lambda: None
) -> Proposer:
    snapshot = deal.picture.snapshot()
    assert snapshot is not None
    return Proposer(cast(Any, answering), deal.settings, deal.clock, lambda: snapshot, changed)


async def until(moved: asyncio.Event, fulfilled: Callable[[], bool]) -> None:
    """Wait for what comes about when `moved` is set."""
    async with asyncio.timeout(5):
        while not fulfilled():
            moved.clear()
            await moved.wait()


async def test_what_a_trader_solves_voids_the_ticket_and_what_bars_bring_waits(
    tmp_path: Path,
) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    newer = proposal(REDUCE_ETH)
    answering = Answering(newer, newer)
    proposer = proposer_of(deal, answering)
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    intents.trading = deal.trading
    await deal.open(REDUCE_BTC)
    automatic = asyncio.create_task(proposer.renew())
    await asyncio.sleep(0.05)
    assert answering.proposals == [newer, newer], "new bars do not overtake the ticket"
    await intents.answer(Solve(), Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid()))
    assert proposer.picture.proposal == newer
    assert deal.trading.ticket_view.reason == f"a newer proposal stands: #{newer.digest[:4]}"
    await asyncio.wait_for(automatic, 5)
    assert answering.proposals == []
    deal.journal.close()


async def test_a_what_if_voids_the_ticket_and_what_stands_beside_does_not(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    proposer = proposer_of(deal, Answering(first, bent, first, bent))
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    intents.trading = deal.trading
    peer = Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())
    await proposer.solve()
    await deal.open(REDUCE_BTC)
    assert await intents.answer(asked.Keep("A"), peer) == "kept as A"
    await intents.answer(asked.AskFrontier(), peer)
    await intents.answer(asked.AskFrontier(on=False), peer)
    assert deal.trading.ticket_view.phase == "confirm"
    await intents.answer(asked.Bend("gross_max=2", preview=True), peer)
    assert deal.trading.ticket_view.reason == f"a newer proposal stands: #{bent.digest[:4]}"
    await intents.answer(asked.Withdraw(), peer)
    await intents.answer(asked.Bend("gross_max=2"), peer)
    with pytest.raises(InputError, match="was nothing"):
        await intents.answer(asked.Unbend("net_max"), peer)
    await intents.answer(asked.Forget("A"), peer)
    with pytest.raises(InputError, match="kept under A, was nothing"):
        await intents.answer(asked.Recall("A"), peer)
    with pytest.raises(InputError, match="keep one first"):
        await intents.answer(asked.Compare(), peer)
    with pytest.raises(InputError, match="expected a limit that clashes"):
        await intents.answer(asked.Relax("gross"), peer)
    with pytest.raises(InputError, match="a share above 0"):
        await intents.answer(asked.Reduce(0.0), peer)
    deal.journal.close()


def connected(number: int) -> Peer:
    return Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid(), connection=number)


async def previewed(deal: Deal, quant: Answering) -> tuple[Intents, Proposer, asyncio.Event]:
    """Return a desk with a proposal and, over it, what terminal 1 types; set when it changes."""
    moved = asyncio.Event()
    proposer = proposer_of(deal, quant, moved.set)
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    await proposer.solve()
    await intents.answer(asked.Bend("gross_max=2", preview=True), connected(1))
    return intents, proposer, moved


async def test_what_is_typed_goes_with_the_terminal_that_typed_it(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    proposer = proposer_of(deal, Answering(first, bent, bent, first, bent))
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    await proposer.solve()
    await intents.answer(asked.Bend("gross_max=2", preview=True), connected(1))
    # Another terminal neither takes it back with its own esc, nor by leaving.
    await intents.answer(asked.Withdraw(), connected(2))
    assert proposer.picture.preview
    with pytest.raises(InputError, match="expected"):
        await intents.answer(asked.Bend("gross_mx=2", preview=True), connected(2))
    await intents.gone(connected(2))
    assert proposer.picture.preview
    await intents.answer(asked.Bend("gross_max=1.9", preview=True), connected(1))
    await intents.gone(connected(1))
    assert (proposer.picture.preview, proposer.picture.state) == (False, "ready")
    assert proposer.picture.proposal == first
    # What was kept stays.
    await intents.answer(asked.Bend("gross_max=2"), connected(1))
    await intents.gone(connected(1))
    assert proposer.picture.can_undo
    deal.journal.close()


async def test_a_frontier_is_traced_until_the_last_terminal_has_turned_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = Deal(tmp_path)
    monkeypatch.setattr("perptui.desk.proposing.frontier.QUIET_S", 0.0)
    solved = proposal(REDUCE_BTC)
    worker = Tracing(solved)
    proposer = proposer_of(deal, worker)
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    await proposer.solve()
    await intents.answer(asked.AskFrontier(), connected(1))
    wanted = proposer.picture.frontier_wanted
    assert wanted == len(FACTORS)
    (tracing,) = (task for task in asyncio.all_tasks() if task.get_name() == "frontier")
    await asyncio.wait_for(tracing, 5)
    await intents.answer(asked.AskFrontier(), connected(2))
    assert proposer.picture.frontier_wanted == len(proposer.picture.frontier) == wanted
    await intents.answer(asked.AskFrontier(on=False), connected(2))
    assert len(proposer.picture.frontier) == wanted, "the first one still looks at it"
    # Twice by one terminal is once, and another's leaving changes nothing.
    await intents.answer(asked.AskFrontier(), connected(1))
    await intents.gone(connected(2))
    assert len(proposer.picture.frontier) == wanted
    assert worker.points == wanted
    # One that dies wants it no longer.
    await intents.gone(connected(1))
    assert (proposer.picture.frontier_wanted, proposer.picture.frontier) == (0, ())
    deal.journal.close()


async def test_what_a_lost_terminal_typed_is_taken_back_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perptui.desk.intents.AGAIN_S", 0.01)
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    snapshots: list[Any] = [deal.picture.snapshot()] * 2 + ["stale", "stale"]
    snapshots.append(deal.picture.snapshot())
    proposer = Proposer(
        cast(Any, Answering(first, bent, first)),
        deal.settings,
        deal.clock,
        lambda: snapshots.pop(0),
    )
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    await proposer.solve()
    await intents.answer(asked.Bend("gross_max=2", preview=True), connected(1))
    await intents.gone(connected(1))
    assert snapshots == []
    assert (proposer.picture.preview, proposer.picture.proposal) == (False, first)
    deal.journal.close()


async def test_a_plan_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    answering = Slow(first, bent, bent)
    proposer = proposer_of(deal, answering)
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    intents.trading = deal.trading

    async def refused(digest: str) -> str:
        # The fake sight knows no proposal that stands: each is refused, and it is said why.
        texts = []
        for intent in (OpenTicket(digest, "send", 120, 40), asked.ExportOrders(digest)):
            with pytest.raises(ConfirmationRefused) as caught:
                await intents.answer(intent, connected(1))
            texts.append(str(caught.value))
        assert texts[0] == texts[1]
        return texts[0]

    assert await refused("9f3c") == "expected a proposal, was none; r solves"
    await proposer.solve()
    assert "too old; r solves it again, then c" in await refused(first.digest)
    answering.gate.clear()
    nudged = asyncio.create_task(
        intents.answer(asked.Bend("gross_max=2", preview=True), connected(1))
    )
    await asyncio.sleep(0)
    assert "wait for it, look, c again" in await refused(first.digest)
    answering.gate.set()
    await nudged
    assert f"#{bent.digest[:4]}, which stands by now" in await refused(first.digest)
    assert "Enter keeps it" in await refused(bent.digest)
    deal.journal.close()


async def test_what_was_bent_in_a_ticket_is_known_by_its_proposal(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    made = msgspec.structs.replace(proposal(REDUCE_BTC), what_if=WhatIf(limits={"gross_max": 2.0}))
    deal.picture.take(made)
    intents = Intents(waiting(tmp_path), cast(Any, deal.picture), lambda: "")
    intents.trading = deal.trading
    await intents.answer(OpenTicket(made.digest, "send", 120, 40), connected(1))
    assert intents.planned(made.digest) == made.what_if
    assert intents.planned("another").empty
    deal.journal.close()


async def test_undo_says_whose_step_it_takes_back_where_it_is_anothers(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    proposer = proposer_of(deal, Answering(*[proposal(REDUCE_BTC)] * 9))
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    uid, name = os.getuid(), trader_of(os.getuid()).name
    mine, other = (Peer(pid=pid, uid=uid, gid=os.getgid()) for pid in (71, 72))
    await proposer.solve()
    await intents.answer(asked.Bend("gross_max=2"), mine)
    await intents.answer(asked.Bend("net_max=0.5", preview=True), other)
    assert proposer.picture.typist == Author(uid, 72, name)
    assert proposer.picture.undoes == Author(uid, 72, name)
    said = await intents.answer(asked.Undo(), mine)
    assert said == (
        f"taken back: what is being typed of {name}, terminal 72; ctrl+r brings it back"
    )
    said = await intents.answer(asked.Undo(), other)
    assert said == f"taken back: a step of {name}, terminal 71; ctrl+r brings it back"
    await intents.answer(asked.Redo(), other)
    assert proposer.picture.undoes == Author(uid, 71, name)
    assert await intents.answer(asked.Undo(), mine) == ""
    deal.journal.close()


class Failing(Answering):
    """The same, and a process that dies at every job of which `dies` is true."""

    dies = False

    async def ask(self, job: Any, *_: Any, **__: Any) -> ProposeDone:
        if self.dies:
            raise WorkerError("the process ended")
        return await super().ask(job)


async def test_a_preview_that_fails_gives_the_one_before_back_to_its_typist(
    tmp_path: Path,
) -> None:
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    quant = Failing(first, bent, first)
    intents, proposer, _ = await previewed(deal, quant)
    quant.dies = True
    with pytest.raises(WorkerError, match="the process ended"):
        await intents.answer(asked.Bend("net_max=0.5", preview=True), connected(2))
    quant.dies = False
    assert (proposer.picture.preview, proposer.picture.proposal) == (True, bent)
    await intents.gone(connected(2))
    assert proposer.picture.preview
    await intents.answer(asked.Withdraw(), connected(1))
    assert (proposer.picture.preview, proposer.picture.proposal) == (False, first)
    deal.journal.close()


@pytest.mark.parametrize("leaves", [False, True], ids=["by esc", "by leaving"])
async def test_what_another_preview_was_to_take_the_place_of_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, leaves: bool
) -> None:
    monkeypatch.setattr("perptui.desk.intents.AGAIN_S", 0.01)
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    quant = Slow(first, bent, first)
    intents, proposer, moved = await previewed(deal, quant)
    quant.gate.clear()
    other = asyncio.create_task(
        intents.answer(asked.Bend("net_max=0.5", preview=True), connected(2))
    )
    await asyncio.sleep(0)
    if leaves:
        leaving = asyncio.create_task(intents.gone(connected(1)))
        await asyncio.sleep(0)
    else:
        await intents.answer(asked.Withdraw(), connected(1))
    quant.proposals.insert(0, WorkerError("the process ended"))
    quant.gate.set()
    with pytest.raises(WorkerError, match="the process ended"):
        await other
    await until(
        moved, lambda: (proposer.picture.preview, proposer.picture.state) == (False, "ready")
    )
    assert proposer.picture.proposal == first
    if leaves:
        await leaving
    deal.journal.close()


async def test_a_preview_that_cannot_be_taken_back_is_said_and_goes_as_soon_as_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perptui.desk.intents.AGAIN_S", 0.01)
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    quant = Failing(first, bent, first)
    intents, proposer, moved = await previewed(deal, quant)
    quant.dies = True
    with pytest.raises(WorkerError, match="not taken back yet, tried until it is: the process"):
        await intents.answer(asked.Withdraw(), connected(1))
    await asyncio.sleep(0.03)
    assert (proposer.picture.preview, proposer.picture.proposal) == (True, bent)
    quant.dies = False
    await until(moved, lambda: not proposer.picture.preview)
    assert proposer.picture.proposal == first
    deal.journal.close()


async def test_what_is_typed_anew_is_not_taken_back_with_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perptui.desk.intents.AGAIN_S", 0.01)
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    quant = Failing(first, bent, bent)
    intents, proposer, _ = await previewed(deal, quant)
    quant.dies = True
    with pytest.raises(WorkerError, match="not taken back yet"):
        await intents.answer(asked.Withdraw(), connected(1))
    quant.dies = False
    await intents.answer(asked.Bend("gross_max=2", preview=True), connected(1))
    await asyncio.sleep(0.05)
    assert (proposer.picture.preview, proposer.picture.state) == (True, "ready")
    deal.journal.close()


class Stopped(Failing):
    """The same, behind a gate: what dies is seen once the gate is open."""

    def __init__(self, *proposals: Proposal) -> None:
        super().__init__(*proposals)
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, job: Any, *_: Any, **__: Any) -> ProposeDone:
        await self.gate.wait()
        return await super().ask(job)


async def test_all_that_a_lost_terminal_typed_goes_where_the_newest_of_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perptui.desk.intents.AGAIN_S", 0.01)
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    quant = Stopped(first, bent, first)
    intents, proposer, moved = await previewed(deal, quant)
    quant.gate.clear()
    newer = asyncio.create_task(
        intents.answer(asked.Bend("gross_max=2.5", preview=True), connected(1))
    )
    await asyncio.sleep(0)
    leaving = asyncio.create_task(intents.gone(connected(1)))
    await asyncio.sleep(0)
    # Neither the newer one nor taking it back is solved: the older one stands again.
    quant.dies = True
    quant.gate.set()
    with pytest.raises(WorkerError, match="the process ended"):
        await newer
    assert (proposer.picture.preview, proposer.picture.proposal) == (True, bent)
    quant.dies = False
    await until(
        moved, lambda: (proposer.picture.preview, proposer.picture.state) == (False, "ready")
    )
    assert proposer.picture.proposal == first
    await asyncio.wait_for(leaving, 5)
    deal.journal.close()


@pytest.mark.parametrize("leaves", [False, True], ids=["by esc", "by leaving"])
async def test_a_preview_under_way_that_another_overtook_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, leaves: bool
) -> None:
    monkeypatch.setattr("perptui.desk.intents.AGAIN_S", 0.01)
    deal = Deal(tmp_path)
    first, bent = proposal(REDUCE_BTC), proposal(REDUCE_ETH)
    quant, moved = Slow(first), asyncio.Event()
    proposer = proposer_of(deal, quant, moved.set)
    intents = Intents(proposer, cast(Any, deal.picture), lambda: "")
    await proposer.solve()
    quant.gate.clear()
    mine, other = (
        asyncio.create_task(intents.answer(asked.Bend(text, preview=True), connected(number)))
        for number, text in ((1, "gross_max=2"), (2, "net_max=0.5"))
    )
    await asyncio.sleep(0)
    if leaves:
        leaving = asyncio.create_task(intents.gone(connected(1)))
        await asyncio.sleep(0)
    else:
        await intents.answer(asked.Withdraw(), connected(1))
    # The other's is refused: what was overtaken is solved, and would stand.
    quant.proposals = [bent, WorkerError("refused"), first]
    quant.gate.set()
    with pytest.raises(WorkerError, match="refused"):
        await other
    await mine
    await until(
        moved, lambda: (proposer.picture.preview, proposer.picture.state) == (False, "ready")
    )
    assert proposer.picture.proposal == first
    if leaves:
        await asyncio.wait_for(leaving, 5)
    deal.journal.close()
