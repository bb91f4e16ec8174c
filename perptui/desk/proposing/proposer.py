"""What may be asked of the desk's proposals: each request is a step of the what-if, then a solve.

Every step of a what-if, back and forth too, is solved anew on the newest snapshot (of a preview:
the newest at hand, see `ahead`), so nothing that stands was made in place or from old prices. A
solve that fails leaves what stood before it, with the steps that led there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from perptui.desk.proposing.posing import Posing
from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.desk.proposing.solving import Solving
from perptui.desk.proposing.stands import Stands
from perptui.desk.proposing.steps import Step, Steps
from perptui.desk.proposing.what_ifs import reduced, refuse_strangers, relaxed
from perptui.desk.worker import QuantWorker
from perptui.model.assignment import assignments, assignments_in, bend_all, unbend, without
from perptui.model.clock import Clock
from perptui.model.errors import InputError
from perptui.model.jobs import ProposeJob
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.protocol.views_rebalance import Author
from perptui.settings.bent import refuse_out_of_range
from perptui.settings.schema import Settings

HOLD_S = 0.25
"""How often an automatic solve looks whether the ticket that holds it up has ended."""


class Proposer:
    """Turns requests into steps and has them solved.

    A request goes one way: to the steps (`steps`), posed for the quant process (`posing`), asked of
    it (`solving`), and its answer stands with what is made of it (`stands`).

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
        self._settings = settings
        self._snapshot = snapshot
        self.held: Callable[[], bool] = bool
        self.at_hand: Callable[[MarketSnapshot], MarketSnapshot] = lambda newest: newest
        lasts_s = settings.confirmation.proposal_s
        self._steps = steps = Steps()
        self._posing = posing = Posing(settings)
        self._stands = stands = Stands(worker, posing, steps, changed)
        self._solving = Solving(worker, posing, steps, stands, clock, self._market, lasts_s)

    @property
    def picture(self) -> ProposalPicture:
        """What stands now."""
        return self._stands.picture

    @property
    def previewing(self) -> bool:
        """Whether a what-if is being typed."""
        return self._steps.previewing

    def job_on(self, snapshot: MarketSnapshot) -> ProposeJob:
        """Return what would be asked of the quant process on a snapshot."""
        return self._posing.job(snapshot, self._steps.now)

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
        if strategy:
            self._posing.refuse_stranger(strategy)
            self._posing.strategy = strategy
        await self._solving.solve()

    async def renew(self) -> None:
        """Make the proposal again on new bars, keeping the what-if, once no ticket waits."""
        while self.held():  # noqa: ASYNC110  a ticket also ends by the clock
            await asyncio.sleep(HOLD_S)
        await self._solving.solve()

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
            await self._solving.solve()
            return ""
        self._steps.push(WhatIf())
        await self._solving.solve()
        return " ".join(assignments(sent))

    @property
    def undoes(self) -> Author | None:
        """Whose step `undo` takes back; None where it was no terminal's, or there is none."""
        return self._steps.undoes

    async def bend(self, text: str, *, preview: bool = False, by: Author | None = None) -> None:
        """Ask what would be with the assignments of `text` besides; a step of the what-if.

        Parameters
        ----------
        preview : bool
            Still being typed: in the place of the preview before, one step with what settles it.
        by : Author, optional
            Whose terminal asks, here and below.

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
        await self._step(bent, by, preview=preview)

    async def unbend(self, key: str = "", by: Author | None = None) -> None:
        """Drop the assignment of one key, or all when it is ""; a step of the what-if.

        A preview goes with it.

        Raises
        ------
        InputError
            When nothing of it is bent, by a preview neither.
        """
        unbend(self._steps.now, key)
        await self._step(without(self._steps.base, key), by)

    def typed_by(self, author: Author) -> tuple[Step, ...]:
        """Return the previews of a terminal that stand, or are under way.

        Also those that another one is to take the place of: they come back where that one cannot be
        solved.
        """
        return tuple(one for one in self._typed() if one.by == author)

    def holds(self, typed: Sequence[Step]) -> bool:
        """Return whether any of these previews stands, or comes back where another's fails."""
        return any(one is held for one in typed for held in self._typed())

    def _typed(self) -> tuple[Step, ...]:
        found = (self._steps.typed, self._stands.typed, *self._solving.typed)
        return tuple(one for one in found if one is not None)

    async def withdraw(self, typed: Sequence[Step]) -> None:
        """Take these previews back; nothing, while another is asked for in their place.

        Raises
        ------
        WorkerError
            When what was before cannot be solved: the preview stands again.
        """
        if any(one is self._steps.typed for one in typed):
            self._steps.withdraw()
            await self._solving.solve()

    async def relax(self, name: str, by: Author | None = None) -> None:
        """Take the relaxation that the clash names for one member; a step of the what-if.

        Raises
        ------
        InputError
            When the proposal's clash has no such member, or no relaxation of it is enough.
        """
        await self._step(relaxed(self._steps.base, self.picture.clash, name), by)

    async def reduce(self, share: float, by: Author | None = None) -> None:
        """Fix every position's target at 1 - `share` of what it is; a step of the what-if.

        Raises
        ------
        InputError
            When `share` is not in (0, 1], or nothing is held.
        """
        await self._step(reduced(self._steps.base, self.picture.proposal, share), by)

    def keep(self, slot: str) -> None:
        """Keep what stands under `slot`.

        Raises
        ------
        InputError
            For another slot, or while nothing settled stands.
        """
        self._stands.keep(slot)

    def forget(self, slot: str) -> None:
        """Drop what is kept under `slot`.

        Raises
        ------
        InputError
            When nothing is.
        """
        self._stands.forget(slot)

    async def recall(self, slot: str, by: Author | None = None) -> None:
        """Make the what-if kept under `slot` the next step.

        Raises
        ------
        InputError
            When nothing is kept there.
        """
        await self._step(self._stands.kept(slot).proposal.what_if, by)

    def tell_by(self, tell: Callable[[str], None]) -> None:
        """Have what fails in the background, and was answered before, made news by `tell`."""
        self._stands.tell_by(tell)

    def compare(self) -> None:
        """Have what is kept solved again on the market of what stands, in the background.

        Raises
        ------
        InputError
            When nothing is kept, or nothing stands.
        """
        self._stands.compare()

    def draw_frontier(self, *, on: bool) -> None:
        """Trace the frontier around what stands, now and after each solve; or stop."""
        self._stands.draw_frontier(on=on)

    async def undo(self) -> None:
        """Step back.

        Raises
        ------
        InputError
            When there is nothing before.
        """
        self._steps.undo()
        await self._solving.solve()

    async def redo(self) -> None:
        """Step forward again.

        Raises
        ------
        InputError
            When there is nothing after.
        """
        self._steps.redo()
        await self._solving.solve()

    async def _step(self, bent: WhatIf, by: Author | None, *, preview: bool = False) -> None:
        self._refuse(bent)
        asked = self._steps.now
        if preview:
            self._steps.preview(bent, by)
        else:
            self._steps.push(bent, by)
        stands = self.picture.proposal
        if bent == asked and stands is not None and stands.what_if == bent:
            self._solving.settle(bent)
        else:
            await self._solving.solve()

    def _refuse(self, bent: WhatIf) -> None:
        if self._posing.only_views:
            raise InputError("expected a desk that proposes, was in view mode; set desk.mode")
        refuse_strangers(bent, self.picture.proposal)
        refuse_out_of_range(bent, self._settings)

    def _market(self) -> MarketSnapshot | str:
        """Return the market to solve on: of a preview, the one at hand."""
        newest = self._snapshot()
        if isinstance(newest, str) or not self._steps.previewing:
            return newest
        return self.at_hand(newest)
