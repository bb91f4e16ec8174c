"""The broken order paths: what somebody could write, and what must never get through."""

from __future__ import annotations

from tests.campaign.broken_guards import GUARDS
from tests.campaign.broken_journal import JOURNAL
from tests.campaign.broken_sending import SENDING

MUTANTS = [*SENDING, *JOURNAL, *GUARDS]
"""All of them, as the campaign hunts them."""
