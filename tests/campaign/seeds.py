"""Seeds that once showed a fault of the desk, kept for ever: (seed, why)."""

from __future__ import annotations

REGRESSIONS: tuple[tuple[int, str], ...] = (
    (297, "a lost order and another hand in the same contract: neither was ever settled"),
    (737, "the same after the desk's process had died while it was being sent"),
    (621, "a change outside that the ticket already showed came to the journal before it was sent"),
    (448, "another hand in a contract whose own order was still being filled"),
)
"""Numbers name sessions only as long as the model draws as it does: a changed model changes them.
What they found also has a test of its own beside what was mended."""
