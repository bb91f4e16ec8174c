"""What stands of proposals on the desk, as views and tickets see it."""

from __future__ import annotations

import msgspec

from perptui.model.bent import bounds_set, shown_only
from perptui.model.explanation import Clash, FrontierPoint, Reduction
from perptui.model.forecast import Estimates
from perptui.model.jobs import BookFigures, EstimateDone, ProposeDone, ProposeJob
from perptui.model.proposal import BookRisk, Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.protocol.views_rebalance import Author

NOT_SOLVED = frozenset({"infeasible", "failed"})
"""Statuses of a proposal without a book."""


class Kept(msgspec.Struct, frozen=True):
    """A proposal that was kept under a slot's name; its what-if is `proposal.what_if`.

    `foreign`: what stands has another aim or rests on other estimates; `common` holds the figures
    by its yardstick, where it is the proposal of digest `common_with`.
    """

    slot: str
    job: ProposeJob
    proposal: Proposal
    foreign: bool = False
    common: BookFigures | None = None
    common_with: str = ""


class ProposalPicture(msgspec.Struct, frozen=True):
    """What stands: the newest proposal and estimates, and where the what-if is.

    Attributes
    ----------
    strategy : str
        In force; a what-if may name another.
    state : str
        none, solving, ready or failed; while solving, the old proposal is still shown.
    failure : str
        Why there is nothing newer than what stands, or nothing at all, in words; "": there is.
    what_if : WhatIf
        What is asked for; while it is being solved, what stands is of `proposal.what_if`.
    shown_only : tuple of str
        Why what stands may be looked at but never sent.
    settings : dict of str to float
        Limits as they are set where the proposal was made, by their key of config.toml.
    preview : bool
        What stands was solved for a what-if that is still being typed: it opens no ticket.
    tried : tuple of str
        Assignments of it that are not kept yet.
    typist, undoes : Author or None
        Who types it, and whose step would be taken back.
    robust : str
        Shape of the robust mean that the proposal was made with: box, ellipsoid or off.
    kept : tuple of Kept
        By slot.
    clash : tuple of Clash
        Where limits clash: one minimal set, found after the proposal, which says only that they do.
    clash_shown : tuple of str
        Members whose relaxation could be looked at but never sent.
    clash_words : str
        The same in words.
    clash_pending : bool
        It is still being looked for.
    reduction : Reduction or None
        Where limits clash: where only reducing leads, found after the proposal.
    frontier, frontier_wanted
        Points so far, and how many there will be.
    frontier_ended : bool
        No more points will come.
    frontier_own : BookRisk | None
        Of the desk's own target with nothing bent, by the yardstick of what stands; None where
        nothing is bent, or it is not known.
    estimated_mono : float | None
        When the estimates were made; a what-if that leaves them alone does not move it.
    solved_mono, expires_mono : float | None
        When the proposal was made, and when it is too old to be confirmed.
    exposure_before : float | None
        Exposure scale of the previous bar.
    snapshot : MarketSnapshot | None
        What the proposal rests on.
    """

    strategy: str
    state: str = "none"
    failure: str = ""
    proposal: Proposal | None = None
    estimates: Estimates | None = None
    what_if: WhatIf = WhatIf()
    preview: bool = False
    tried: tuple[str, ...] = ()
    typist: Author | None = None
    undoes: Author | None = None
    robust: str = ""
    shown_only: tuple[str, ...] = ()
    settings: dict[str, float] = {}
    can_undo: bool = False
    can_redo: bool = False
    kept: tuple[Kept, ...] = ()
    clash: tuple[Clash, ...] = ()
    clash_shown: tuple[str, ...] = ()
    clash_words: str = ""
    clash_pending: bool = False
    reduction: Reduction | None = None
    frontier: tuple[FrontierPoint, ...] = ()
    frontier_wanted: int = 0
    frontier_own: BookRisk | None = None
    frontier_ended: bool = False
    estimated_mono: float | None = None
    solved_mono: float | None = None
    expires_mono: float | None = None
    exposure_before: float | None = None
    snapshot: MarketSnapshot | None = None

    @property
    def target(self) -> Proposal | None:
        """The proposal, where it could be traded as it stands.

        None where it is only supposed (a market, regime, cost or looser limit that is not so) or
        no book keeps its limits: such a one is shown as a what-if, never beside the book that is.
        """
        stands = self.proposal
        if stands is None or self.shown_only or stands.what_if.hypothetical:
            return None
        return None if stands.status in NOT_SOLVED else stands

    def fresh(self, now_mono: float) -> bool:
        """Return True while the proposal may still be turned into a ticket."""
        return (
            self.state == "ready"
            and not self.preview
            and self.expires_mono is not None
            and now_mono <= self.expires_mono
        )

    def why_not(self, digest: str) -> str:
        """Return why the proposal of `digest`, which a terminal shows, may not be planned with."""
        stands = self.proposal
        if self.state == "solving":
            return "expected a solved proposal, was one being solved; wait for it, look, c again"
        if stands is None:
            return "expected a proposal, was none; r solves"
        if stands.digest != digest:
            new, old = stands.digest[:4], digest[:4]
            return f"expected #{new}, which stands by now, was #{old}; look at it, c again"
        if self.preview:
            return "expected a what-if that is kept, was one being typed; Enter keeps it"
        return f"expected a fresh proposal, was #{digest[:4]}, too old; r solves it again, then c"

    def solved(
        self, result: ProposeDone | EstimateDone, job: ProposeJob, now_mono: float, ends_mono: float
    ) -> ProposalPicture:
        """Return the picture with the answer to `job` in it, which stands until `ends_mono`."""
        proposal = result.proposal if isinstance(result, ProposeDone) else None
        return msgspec.structs.replace(
            self,
            state="none" if proposal is None else "ready",
            proposal=proposal,
            estimates=result.estimates,
            estimated_mono=self.estimated_mono if result.estimates is self.estimates else now_mono,
            solved_mono=now_mono,
            expires_mono=ends_mono,
            exposure_before=job.exposure_before,
            snapshot=job.snapshot,
            robust=str(job.what_if.parameters.get("robust", job.strategy.robust)),
            settings=bounds_set(job.what_if, job.limits, job.strategy),
            shown_only=shown_only(job.what_if, job.limits, job.strategy, job.blended),
        )
