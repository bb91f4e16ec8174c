"""What is typed of a what-if and tried at every key: a line, or a cell."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from perptui.model.assignment import assignments_in
from perptui.protocol.intents import Bend, Intent, Withdraw

_ZERO = re.compile(r"[+-]?0*\.?0*")


class Trial(ABC):
    """What is being typed, and what the desk has made of it.

    Attributes
    ----------
    wrong : str
        Why it cannot be tried, or was refused.
    asked : str
        What was asked for last of it, as a preview; "" where nothing was, or it was taken back.
    stands : str
        What was answered last of all that was asked for: the figures are of it.
    dropped : bool
        A step took the place of the preview: the figures are without it.
    """

    def __init__(self) -> None:
        self.wrong = ""
        self.asked = ""
        self.stands = ""
        self.dropped = False
        self._previews: list[Intent] = []
        self._rests = False

    @abstractmethod
    def assignments(self) -> str | None:
        """Return the what-if typed so far; None, and why in `wrong`, when it is none."""

    @abstractmethod
    def unfinished(self) -> bool:
        """Return whether what is no what-if may still become one."""

    def tries(self) -> str | None:
        """Return what is to be tried now; None while it may become that, or is `wrong`."""
        text = self.assignments()
        if text is None and self.unfinished():
            self.wrong = ""
        half = text is not None and any(map(half_typed, assignments_in(text)))
        self._rests = text is None or half
        return None if half else text

    @property
    def still(self) -> str:
        """What the figures are of where that is not what is typed by now; else ""."""
        return self.stands if self._rests and not self.wrong else ""

    def ask_for(self, text: str) -> Bend:
        """Return the preview that asks for `text`; its answer is waited for."""
        self.asked = text
        preview = Bend(text=text, preview=True)
        self._previews.append(preview)
        return preview

    def take_answer(self, intent: Bend) -> None:
        """Note that a preview is answered, if it is of this: those before it never will be."""
        for index, preview in enumerate(self._previews):
            if preview is intent:
                del self._previews[: index + 1]
                self.stands = intent.text
                return

    def is_past(self, intent: Intent) -> bool:
        """Return whether a refusal of `intent` says nothing of what is typed by now.

        Another text stands there than was tried, or one whose own fault is the nearer thing to say
        than that what was tried before it could not be taken back yet.
        """
        if isinstance(intent, Withdraw):
            return bool(self.wrong)
        return isinstance(intent, Bend) and intent.preview and intent.text != self.asked

    def look(self, *, preview: bool) -> None:
        """Note whether any preview stands on a desk that solves nothing."""
        self.dropped = bool(self.asked) and not preview

    def forget(self) -> None:
        """Forget what the desk made of it: that is taken back."""
        self.asked = self.stands = ""
        self._previews.clear()
        self.dropped = False


def half_typed(text: str) -> bool:
    """Return whether a cap or parameter is nothing so far: 0 and 0.0 on the way to 0.05.

    Such a what-if mostly has no book at all, and finding out why takes longer than typing on; Enter
    asks for it all the same. A target, view or shock of nothing means what it says.
    """
    key, _, value = text.partition("=")
    return ":" not in key and key not in {"shock", "cost"} and bool(_ZERO.fullmatch(value))
