"""Pasted text: whatever field takes it, nothing in it can move the cursor."""

from __future__ import annotations

from textual.app import App
from textual.events import Event, Paste

from perptui.tui.picture import drawable


class PlainPaste(App[int]):
    """An app whose widgets are given pastes without control characters.

    Textual's own line of input, as in the palette, draws what is pasted as it came.
    """

    async def on_event(self, event: Event) -> None:
        """Take out of a paste what is not drawn before any widget has it."""
        if isinstance(event, Paste):
            event.text = "\n".join(map(drawable, event.text.splitlines()))
        await super().on_event(event)
