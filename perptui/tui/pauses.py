"""The collector's pauses, which a key would wait for."""

from __future__ import annotations

import gc

RARELY = 500
"""How many collections of the middle generation come before one of all, which takes many ms."""


def spare() -> None:
    """Let the collector pass over all that stands now, and look through the rest but rarely."""
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, RARELY)
