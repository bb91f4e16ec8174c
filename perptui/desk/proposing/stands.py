"""The proposal that stands, and what is made of it in the background: its clash, its frontier.

What is kept under a slot follows it too, so that it compares.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from perptui.desk.proposing.clashes import Clashes
from perptui.desk.proposing.frontier import Frontier
from perptui.desk.proposing.posing import Posing
from perptui.desk.proposing.proposal_picture import Kept, ProposalPicture
from perptui.desk.proposing.shelf import Shelf
from perptui.desk.proposing.steps import Step, Steps
from perptui.desk.worker import QuantWorker
from perptui.model.jobs import EstimateDone, ProposeDone, ProposeJob
from perptui.model.whatif import WhatIf


class Stands:
    """What stands of proposals, shown as one picture.

    Parameters
    ----------
    changed : callable
        Called whenever the picture may read differently.

    Attributes
    ----------
    picture : ProposalPicture
        What stands now.
    """

    def __init__(
        self, worker: QuantWorker, posing: Posing, steps: Steps, changed: Callable[[], None]
    ) -> None:
        self._posing = posing
        self._steps = steps
        self._changed = changed
        self._asked_at = steps.mark()
        self._job: ProposeJob | None = None
        self._shelf = Shelf(worker, self._show)
        self._frontier = Frontier(worker, self._show)
        self._clashes = Clashes(worker, self._show)
        self._draws_frontier = False
        self.picture = ProposalPicture(strategy=posing.strategy)

    @property
    def typed(self) -> Step | None:
        """The preview that the figures are of; None where they are of a step."""
        return self._asked_at.preview

    def tell_by(self, tell: Callable[[str], None]) -> None:
        """Have what fails in the background, and was answered before, made news by `tell`."""
        self._shelf.tell = tell

    # ---------------------------------------------------------------- one answer after the other

    def await_answer(self) -> None:
        """Show that a newer one is being solved: what is made of the old one has to wait."""
        self._frontier.drop()
        self._clashes.stop()
        self._shelf.stop()
        self._show(state="solving", failure="")

    def take(
        self, result: ProposeDone | EstimateDone, job: ProposeJob, now_mono: float, lasts_s: float
    ) -> None:
        """Let the answer to `job` stand; it may be planned with for `lasts_s` seconds."""
        self._job, self._asked_at = None, self._steps.mark()
        self._clashes.drop()
        if isinstance(result, ProposeDone):
            self._job = job
            self._shelf.take(job, result.proposal)
            self._shelf.follow(job, result.proposal)
            if result.proposal.status == "infeasible":
                self._clashes.look(job)
        self.picture = self.picture.solved(result, job, now_mono, now_mono + lasts_s)
        self._show(strategy=self._posing.strategy)
        self._trace()

    def fall_back(self, failure: str) -> None:
        """Go back to what stands, with the steps and the strategy that led there."""
        stands = self.picture.proposal
        again = stands is None or self._steps.now == stands.what_if
        self._steps.restore(self._asked_at)
        self._posing.strategy = self.picture.strategy
        self._clashes.resume()
        if self._job is not None and stands is not None:
            self._shelf.follow(self._job, stands)
        self._show(
            state="failed" if stands is None else "ready",
            # A step that failed was answered; what could not be renewed goes on saying so.
            failure=failure if again else "",
        )
        self._trace()

    def settle(self, bent: WhatIf) -> None:
        """Note a step whose answer stands already, or is on its way."""
        stands = self.picture.proposal
        if stands is not None and stands.what_if == bent:
            self._asked_at = self._steps.mark()
        self._show()

    # ---------------------------------------------------------------- what is kept beside it

    def keep(self, slot: str) -> None:
        """Keep what stands under `slot`; errors as `Shelf.keep`."""
        settled = self.picture.state == "ready"
        self._shelf.keep(slot, self._job if settled else None, self.picture.proposal)
        self._show()

    def kept(self, slot: str) -> Kept:
        """Return what is kept under `slot`; errors as `Shelf.at`."""
        return self._shelf.at(slot)

    def forget(self, slot: str) -> None:
        """Drop what is kept under `slot`; errors as `Shelf.forget`."""
        self._shelf.forget(slot)
        self._show()

    def compare(self) -> None:
        """Have what is kept solved again on the market of what stands; see `Shelf.compare`."""
        self._shelf.compare(self._job, self.picture.proposal)

    # ---------------------------------------------------------------- its frontier

    def draw_frontier(self, *, on: bool) -> None:
        """Trace the frontier around what stands, now and after each solve; or stop."""
        self._draws_frontier = on
        self._trace()
        self._show()

    def _trace(self) -> None:
        job, stands = self._job, self.picture
        solved = stands.proposal is not None and stands.proposal.solver.status == "optimal"
        if not self._draws_frontier or job is None or stands.state != "ready" or not solved:
            self._frontier.drop()
            return
        bent = job.what_if.parameters.get("risk_aversion", job.strategy.risk_aversion)
        own = None if job.what_if.empty else self._posing.job(job.snapshot, WhatIf())
        self._frontier.trace(job, float(bent), own)

    # ---------------------------------------------------------------- the picture

    def _show(self, **new: object) -> None:
        self.picture = msgspec.structs.replace(
            self.picture,
            what_if=self._steps.now,
            preview=self.typed is not None,
            tried=self._asked_at.tried,
            typist=None if self.typed is None else self.typed.by,
            undoes=self._steps.undoes,
            can_undo=self._steps.can_undo,
            can_redo=self._steps.can_redo,
            kept=self._shelf.all,
            **self._clashes.fields(),
            frontier=self._frontier.points,
            frontier_wanted=self._frontier.wanted,
            frontier_own=self._frontier.own,
            frontier_ended=self._frontier.ended,
            **new,
        )
        self._changed()
