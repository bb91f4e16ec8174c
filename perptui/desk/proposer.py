"""The strategy in force, its proposal, and the stack of what-ifs around it.

Every step of a what-if, back and forth too, is solved anew on the newest snapshot (of a preview:
the newest at hand, see `ahead`), so nothing that stands was made in place or from old prices. A
solve that fails leaves what stood before it, with the steps that led there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from perptui.desk.clashes import Clashes
from perptui.desk.exposures import Exposures
from perptui.desk.frontier import Frontier
from perptui.desk.proposal_picture import ProposalPicture
from perptui.desk.shelf import Shelf
from perptui.desk.steps import Steps
from perptui.desk.what_ifs import reduced, refuse_strangers, relaxed
from perptui.desk.worker import QuantWorker, SupersededError
from perptui.model.assignment import assignments, assignments_in, bend_all, unbend
from perptui.model.clock import Clock
from perptui.model.errors import InputError, WorkerError
from perptui.model.jobs import EstimateDone, EstimateJob, ProposeDone, ProposeJob
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.settings.bent import refuse_out_of_range
from perptui.settings.schema import Settings

SOLVE_TIMEOUT_S = 60.0
"""Long enough for the first job, which also pays the process's imports on a busy machine."""
HOLD_S = 0.25
"""How often an automatic solve looks whether the ticket that holds it up has ended."""


class Proposer:
    """Asks the quant process for proposals and keeps the newest.

    Parameters
    ----------
    clock : Clock
        Monotonic time, for the proposal's age.
    snapshot : callable
        Returns the snapshot, or why there is none.

    Attributes
    ----------
    held, at_hand : callable
        True while a ticket waits to be confirmed, which nothing automatic may overtake; the market
        that a preview is solved on, of the newest.
    """

    def __init__(
        self,
        worker: QuantWorker,
        settings: Settings,
        clock: Clock,
        snapshot: Callable[[], MarketSnapshot | str],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._worker = worker
        self._settings = settings
        self._clock = clock
        self._snapshot = snapshot
        self._changed = changed
        self.held: Callable[[], bool] = bool
        self.at_hand: Callable[[MarketSnapshot], MarketSnapshot] = lambda newest: newest
        self._steps = Steps()
        self._stood = self._steps.mark()
        self._strategy = settings.desk.strategy
        self._asked = 0
        self._exposures = Exposures()
        self._shelf = Shelf(worker, self._show)
        self._job: ProposeJob | None = None
        self._draws_frontier = False
        self._frontier = Frontier(worker, self._show)
        self._clashes = Clashes(worker, self._show)
        self._picture = ProposalPicture(strategy=settings.desk.strategy)

    @property
    def picture(self) -> ProposalPicture:
        """What stands now."""
        return self._picture

    @property
    def previewing(self) -> bool:
        """Whether a what-if is being typed."""
        return self._steps.previewing

    async def solve(self, strategy: str = "") -> None:
        """Make the proposal again on the newest bars and snapshot, with what is bent.

        Parameters
        ----------
        strategy : str
            To be in force from here on; "": the present one.

        Raises
        ------
        InputError
            When there is no such strategy.
        WorkerError
            When it cannot be made, with why: what stood before stands again.
        """
        known = self._settings.strategy
        if strategy and strategy not in known:
            names = ", ".join(known)
            raise InputError(f"expected a strategy ({names}), was {strategy!r}; name one of these")
        self._strategy = strategy or self._strategy
        await self._solve()

    async def renew(self) -> None:
        """Make the proposal again on new bars, keeping the what-if, once no ticket waits."""
        while self.held():  # noqa: ASYNC110  a ticket also ends by the clock
            await asyncio.sleep(HOLD_S)
        await self._solve()

    async def follow_fills(self, sent: WhatIf) -> str:
        """Make the proposal again on the book that fills of a proposal on `sent` made.

        What was bent for it is done: one more step drops it, which undo takes back. What was bent
        further meanwhile stays.

        Returns
        -------
        str
            What was dropped, as it would be typed; "" for nothing.

        Raises
        ------
        WorkerError
            When it cannot be made: nothing is dropped then.
        """
        if self._steps.previewing or self._steps.base != sent or sent.empty:
            await self._solve()
            return ""
        self._steps.push(WhatIf())
        await self._solve()
        return " ".join(assignments(sent))

    async def bend(self, text: str, *, preview: bool = False) -> None:
        """Ask what would be with the assignments of `text` besides; a step of the what-if.

        Parameters
        ----------
        preview : bool
            Still being typed: in the place of the preview before, one step with what settles it.

        Raises
        ------
        InputError
            When they are none, out of their ranges, or of a contract that is not proposed on.
        WorkerError
            When it cannot be solved: what stood before stands again.
        """
        bent = bend_all(self._steps.base, assignments_in(text))
        if bent == self._steps.base and not assignments_in(text):
            raise InputError("expected an assignment, was none; write it like gross_max=2")
        await self._step(bent, preview=preview)

    async def unbend(self, key: str = "") -> None:
        """Drop the assignment of one key, or all when it is ""; a step of the what-if.

        Raises
        ------
        InputError
            When nothing of it is bent.
        """
        await self._step(unbend(self._steps.base, key))

    async def withdraw(self) -> None:
        """Take the preview back.

        Raises
        ------
        InputError
            When none stands.
        """
        self._steps.withdraw()
        await self._solve()

    async def relax(self, name: str) -> None:
        """Take the relaxation that the clash names for one member; a step of the what-if.

        Raises
        ------
        InputError
            When the proposal's clash has no such member, or no relaxation of it is enough.
        """
        await self._step(relaxed(self._steps.base, self._picture.clash, name))

    async def reduce(self, share: float) -> None:
        """Fix every position's target at 1 - `share` of what it is; a step of the what-if.

        Raises
        ------
        InputError
            When `share` is not in (0, 1], or nothing is held.
        """
        await self._step(reduced(self._steps.base, self._picture.proposal, share))

    def keep(self, slot: str) -> None:
        """Keep what stands under `slot`.

        Raises
        ------
        InputError
            For another slot, or while nothing settled stands.
        """
        settled = self._picture.state == "ready"
        self._shelf.keep(slot, self._job if settled else None, self._picture.proposal)
        self._show()

    def forget(self, slot: str) -> None:
        """Drop what is kept under `slot`.

        Raises
        ------
        InputError
            When nothing is.
        """
        self._shelf.forget(slot)
        self._show()

    async def recall(self, slot: str) -> None:
        """Make the what-if kept under `slot` the next step.

        Raises
        ------
        InputError
            When nothing is kept there.
        """
        await self._step(self._shelf.at(slot).proposal.what_if)

    async def compare(self) -> None:
        """Solve what is kept again on the market of what stands; see `Shelf.compare`."""
        self._shelf.stop()
        await self._shelf.compare(self._job, self._picture.proposal)
        self._show()

    def draw_frontier(self, *, on: bool) -> None:
        """Trace the frontier around what stands, now and after each solve; or stop."""
        self._draws_frontier = on
        self._trace()
        self._show()

    async def undo(self) -> None:
        """Step back.

        Raises
        ------
        InputError
            When there is nothing before.
        """
        self._steps.undo()
        await self._solve()

    async def redo(self) -> None:
        """Step forward again.

        Raises
        ------
        InputError
            When there is nothing after.
        """
        self._steps.redo()
        await self._solve()

    async def _step(self, bent: WhatIf, *, preview: bool = False) -> None:
        self._refuse(bent)
        asked, stands = self._steps.now, self._picture.proposal
        if preview:
            self._steps.preview(bent)
        else:
            self._steps.push(bent)
        if bent != asked or self._picture.state not in {"ready", "solving"}:
            await self._solve()
            return
        # A preview that is settled stands already, or is on its way.
        if stands is not None and stands.what_if == bent:
            self._stood = self._steps.mark()
        self._show()

    def _refuse(self, bent: WhatIf) -> None:
        if self._settings.desk.mode == "view":
            raise InputError("expected a desk that proposes, was in view mode; set desk.mode")
        refuse_strangers(bent, self._picture.proposal)
        refuse_out_of_range(bent, self._settings)

    async def _solve(self) -> None:
        """Solve for what is asked; where that fails, what stood before stands again."""
        self._asked += 1
        mine = self._asked
        self._frontier.drop()
        self._clashes.stop()
        self._shelf.stop()
        self._show(state="solving", failure="")
        try:
            await self._ask(self._newest_snapshot())
        except SupersededError:
            return
        except WorkerError as error:
            if mine == self._asked:
                self._fall_back(str(error))
            raise

    def _fall_back(self, failure: str) -> None:
        stands = self._picture.proposal
        again = stands is None or self._steps.now == stands.what_if
        self._steps.restore(self._stood)
        self._strategy = self._picture.strategy
        self._clashes.resume()
        self._show(
            state="failed" if stands is None else "ready",
            # A step that failed was answered; what could not be renewed goes on saying so.
            failure=failure if again else "",
        )
        self._trace()

    def _newest_snapshot(self) -> MarketSnapshot:
        snapshot = self._snapshot()
        if isinstance(snapshot, str):
            raise WorkerError(f"nothing to propose from: {snapshot}")
        return self.at_hand(snapshot) if self._steps.previewing else snapshot

    def job_on(self, snapshot: MarketSnapshot, what_if: WhatIf | None = None) -> ProposeJob:
        """Return what is asked of the quant process on a snapshot, by default of the newest."""
        what_if = self._steps.now if what_if is None else what_if
        known = self._settings.strategy
        parameters = known[what_if.strategy or self._strategy]
        return ProposeJob(
            snapshot,
            parameters,
            self._settings.limits,
            what_if,
            self._exposures.before(parameters.name, snapshot.as_of_ms),
            tuple(known[name] for name in parameters.blend),
            names_clash=False,
            stress=self._settings.stress,
        )

    async def _ask(self, snapshot: MarketSnapshot) -> None:
        mine, asked = self._asked, self.job_on(snapshot)
        job: ProposeJob | EstimateJob = asked
        if self._settings.desk.mode == "view":
            job = EstimateJob(snapshot, asked.strategy, asked.exposure_before)
        result = await self._worker.ask(job, "solving", SOLVE_TIMEOUT_S, replaces="solve")
        if not isinstance(result, ProposeDone | EstimateDone):
            raise WorkerError(f"expected a proposal, was {type(result).__name__}; solve again")
        if mine != self._asked:
            raise SupersededError("expected the latest what-if, was an earlier one; ignore it")
        if not asked.what_if.parameters:
            regime = result.estimates.regime
            self._exposures.keep(asked.strategy.name, snapshot.as_of_ms, regime.exposure)
        self._stand(result, asked)

    def _stand(self, result: ProposeDone | EstimateDone, job: ProposeJob) -> None:
        self._job, self._stood = None, self._steps.mark()
        self._clashes.drop()
        if isinstance(result, ProposeDone):
            self._job = job
            self._shelf.take(job, result.proposal)
            self._shelf.follow(job, result.proposal)
            if result.proposal.status == "infeasible":
                self._clashes.look(job)
        now, lasts = self._clock.monotonic(), self._settings.confirmation.proposal_s
        self._picture = self._picture.solved(result, job, now, now + lasts)
        self._show(strategy=self._strategy)
        self._trace()

    def _trace(self) -> None:
        job, stands = self._job, self._picture
        solved = stands.proposal is not None and stands.proposal.solver.status == "optimal"
        if not self._draws_frontier or job is None or stands.state != "ready" or not solved:
            self._frontier.drop()
            return
        bent = job.what_if.parameters.get("risk_aversion", job.strategy.risk_aversion)
        own = None if job.what_if.empty else self.job_on(job.snapshot, WhatIf())
        self._frontier.trace(job, float(bent), own)

    def _show(self, **new: object) -> None:
        self._picture = msgspec.structs.replace(
            self._picture,
            what_if=self._steps.now,
            preview=self._stood.preview is not None,
            can_undo=self._steps.can_undo,
            can_redo=self._steps.can_redo,
            kept=self._shelf.all,
            **self._clashes.fields(),
            frontier=self._frontier.points,
            frontier_wanted=self._frontier.wanted,
            frontier_own=self._frontier.own,
            **new,
        )
        self._changed()
