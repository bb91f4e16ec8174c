"""The switches of the Rebalance view: keys that go round a few choices."""

from __future__ import annotations

STRATEGY, ROBUST = "strategy", "robust"
SWITCHES = {
    STRATEGY: ("strategy", ("balanced", "tactical", "hybrid")),
    ROBUST: ("robust mean", ("box", "ellipsoid", "off")),
}
"""Name in words and choices of each, by the key of its assignment."""


def next_of(key: str, now: str) -> str:
    """Return the choice of a switch after `now`, the first one when it is none of them."""
    _, choices = SWITCHES[key]
    index = choices.index(now) + 1 if now in choices else 0
    return choices[index % len(choices)]
