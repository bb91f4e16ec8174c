"""Seeds that once showed a fault of the desk, kept for ever: (seed, why)."""

from __future__ import annotations

REGRESSIONS: tuple[tuple[int, str], ...] = (
    (297, "a lost order and another hand in the same contract: neither was ever settled"),
    (737, "the same after the desk's process had died while it was being sent"),
    (621, "a change outside that the ticket already showed came to the journal before it was sent"),
    (448, "another hand in a contract whose own order was still being filled"),
    (268, "a stop died on its way with the desk, was never accepted, and nobody was told"),
    (251, "the venue's clock jumped by a minute: an order that still came was never accepted"),
    (49, "the same with an order that expired without a fill, and cancels before it came"),
    (29, "a kill while the order's answer hung: it is cancelled once the send has ended"),
    (4, "a stop whose queries found nothing during an outage, and that was there"),
    (5042, "an heir smaller than the position that its ticket left: the old stop stays beside it"),
    (5201, "a desk that ended while a countdown was on its way did not say so"),
)
"""Played without a theme."""
THEMED: tuple[tuple[int, str], ...] = (
    (54, "a venue's clock that was a minute behind kept an order from ever being given up"),
    (1292, "a refused stop was no alarm where the journal failed before it was written"),
    (1829, "the same of one that the gate refused"),
    (2109, "an order that was filled, forgotten, and hidden by a liquidation: what 6 answers say"),
    (2824, "questions that hung kept the dead man's switch from being set in time"),
)
"""Played with the theme of their number.

Numbers name sessions only as long as the model draws as it does: a changed model changes them. What
they found also has a test of its own beside what was mended.
"""
