"""The garbage collector's pauses, which a key would wait for, in each process of a desk."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""How many objects come before a collection of the youngest: a repainted view makes thousands."""
RARELY = 500
"""How many collections of the middle generation come before one of all, which takes many ms."""


def spare() -> None:
    """Let the collector pass over all that stands now, and look through the rest but rarely."""
    gc.freeze()
    _, middle, _ = gc.get_threshold()
    gc.set_threshold(YOUNG, middle, RARELY)
