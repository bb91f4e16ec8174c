"""The steps of a what-if, back and forth, and the one that is still being typed."""

from __future__ import annotations

from typing import NamedTuple

from perptui.model.assignment import assignments
from perptui.model.errors import InputError
from perptui.model.whatif import WhatIf
from perptui.protocol.views_rebalance import Author


class Step(NamedTuple):
    """A what-if and whose terminal made it; None: the desk itself."""

    what_if: WhatIf
    by: Author | None


class Mark(NamedTuple):
    """Where `Steps` stood, to come back to."""

    steps: tuple[Step, ...]
    at: int
    preview: Step | None

    @property
    def now(self) -> WhatIf:
        """What was asked for there: the preview where there was one."""
        return (self.preview or self.steps[self.at]).what_if

    @property
    def tried(self) -> tuple[str, ...]:
        """The assignments that only the preview makes, or makes otherwise; () without one."""
        if self.preview is None:
            return ()
        kept = assignments(self.steps[self.at].what_if)
        return tuple(text for text in assignments(self.preview.what_if) if text not in kept)


class Steps:
    """What-ifs in the order they were made; every one is a whole, none is edited in place.

    A preview stands for what is being typed. The next one takes its place, a step settles it, and
    stepping back makes it the step that is undone.
    """

    def __init__(self) -> None:
        self._steps: tuple[Step, ...] = (Step(WhatIf(), None),)
        self._at = 0
        self._preview: Step | None = None

    @property
    def base(self) -> WhatIf:
        """The step that stands, without the preview."""
        return self._steps[self._at].what_if

    @property
    def now(self) -> WhatIf:
        """What is asked for: the preview where there is one."""
        return self.base if self._preview is None else self._preview.what_if

    @property
    def typed(self) -> Step | None:
        """The preview; None where none stands."""
        return self._preview

    @property
    def undoes(self) -> Author | None:
        """Whose step `undo` takes back; None where it was the desk's, or there is none."""
        return self._steps[self._at].by if self._preview is None else self._preview.by

    @property
    def previewing(self) -> bool:
        """Whether a preview stands."""
        return self._preview is not None

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to step back from."""
        return self._at > 0 or self.previewing

    @property
    def can_redo(self) -> bool:
        """Whether there is a later step."""
        return self._at + 1 < len(self._steps) and not self.previewing

    def mark(self) -> Mark:
        """Return where this stands."""
        return Mark(self._steps, self._at, self._preview)

    def restore(self, mark: Mark) -> None:
        """Go back to where `mark` was taken."""
        self._steps, self._at, self._preview = mark

    def preview(self, what_if: WhatIf, by: Author | None = None) -> None:
        """Let `what_if` stand until it is settled or withdrawn."""
        self._preview = Step(what_if, by)

    def push(self, what_if: WhatIf, by: Author | None = None) -> None:
        """Make `what_if` the next step, in the place of a preview and of what was undone."""
        self._preview = None
        if what_if != self.base:
            self._steps = (*self._steps[: self._at + 1], Step(what_if, by))
            self._at += 1

    def withdraw(self) -> None:
        """Take the preview away."""
        self._preview = None

    def undo(self) -> None:
        """Step back; from a preview, to what stood before it. `redo` comes back to either.

        Raises
        ------
        InputError
            When there is nothing before.
        """
        if not self.can_undo:
            raise InputError("expected an earlier what-if, was the first; nothing to undo")
        if self._preview is not None:
            undone, self._preview = self._preview, None
            if undone.what_if == self.base:
                return  # nothing was bent by it: what was undone before may still be redone
            self._steps = (*self._steps[: self._at + 1], undone)
        else:
            self._at -= 1

    def redo(self) -> None:
        """Step forward again.

        Raises
        ------
        InputError
            When there is nothing after.
        """
        if not self.can_redo:
            raise InputError("expected a later what-if, was the last; nothing to redo")
        self._at += 1
