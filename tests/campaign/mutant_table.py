"""The broken order paths: what somebody could write, and what must never get through."""

from __future__ import annotations

from tests.campaign.broken_guards import GUARDS
from tests.campaign.broken_journal import JOURNAL
from tests.campaign.broken_sending import SENDING
from tests.campaign.mutants import SEEDS, Caught, hunt

MUTANTS = [*SENDING, *JOURNAL, *GUARDS]
"""All of them, as the campaign hunts them."""


def hunt_named(name: str, seeds: int = SEEDS) -> Caught:
    """Hunt one by its name, which goes to another process where its patches cannot."""
    (mutant,) = (one for one in MUTANTS if one.name == name)
    return hunt(mutant, seeds)
