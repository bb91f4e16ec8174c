"""What stands of proposals on the desk, as views and tickets see it."""

from __future__ import annotations

import msgspec

from perptui.model.explanation import Clash, FrontierPoint
from perptui.model.forecast import Estimates
from perptui.model.jobs import ProposeJob
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf


class Kept(msgspec.Struct, frozen=True):
    """A proposal that was kept under a slot's name; its what-if is `proposal.what_if`."""

    slot: str
    job: ProposeJob
    proposal: Proposal


class ProposalPicture(msgspec.Struct, frozen=True):
    """What stands: the newest proposal and estimates, and where the what-if is.

    Attributes
    ----------
    strategy : str
        In force; a what-if may name another.
    state : str
        none, solving, ready or failed; while solving, the old proposal is still shown.
    failure : str
        Why the last solve failed, in words.
    what_if : WhatIf
        What is asked for: that of the proposal once it is solved.
    shown_only : tuple of str
        Why what stands may be looked at but never sent.
    preview : bool
        The what-if is still being typed: its proposal opens no ticket.
    robust : str
        Shape of the robust mean that the proposal was made with: box, ellipsoid or off.
    kept : tuple of Kept
        By slot.
    clash : tuple of Clash
        Where limits clash: one minimal set, found after the proposal, which says only that they do.
    clash_words : str
        The same in words.
    clash_pending : bool
        It is still being looked for.
    frontier, frontier_wanted
        Points so far, and how many there will be.
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
    robust: str = ""
    shown_only: tuple[str, ...] = ()
    can_undo: bool = False
    can_redo: bool = False
    kept: tuple[Kept, ...] = ()
    clash: tuple[Clash, ...] = ()
    clash_words: str = ""
    clash_pending: bool = False
    frontier: tuple[FrontierPoint, ...] = ()
    frontier_wanted: int = 0
    solved_mono: float | None = None
    expires_mono: float | None = None
    exposure_before: float | None = None
    snapshot: MarketSnapshot | None = None

    def fresh(self, now_mono: float) -> bool:
        """Return True while the proposal may still be turned into a ticket."""
        return (
            self.state == "ready"
            and not self.preview
            and self.expires_mono is not None
            and now_mono <= self.expires_mono
        )
