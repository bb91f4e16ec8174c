"""The settings that sessions take in turn."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perptui.settings.schema import Settings
from tests.desk.dealing import settings_of

APPROVAL_S = 20.0
DEAD_MAN_S = 12.0


def _variants() -> tuple[Settings, ...]:
    paper = settings_of("paper")
    replaced = msgspec.structs.replace
    limits = replaced(paper.limits, messages_per_second=2)
    watchdog = replaced(paper.watchdog, dead_man_s=DEAD_MAN_S)
    paper = replaced(paper, limits=limits, watchdog=watchdog)
    approval = replaced(paper.approval, notional_usd=Decimal(3_000), expiry_s=APPROVAL_S)
    desk = replaced(paper.desk, socket_dir="/run/perptui")
    shared = replaced(paper, desk=desk, approval=approval)
    going_on = replaced(paper.confirmation, on_rejection="go_on")
    bold = replaced(paper, confirmation=going_on)
    stops = replaced(paper.stops, sigmas=0.2, distance_min=0.006)
    tight = replaced(limits, gross_max=0.4)
    return (
        paper,
        shared,
        replaced(bold, stops=stops),
        paper,
        replaced(shared, stops=stops),
        bold,
        replaced(shared, limits=tight),
    )


VARIANTS = _variants()
"""Settings that sessions take in turn: seven, so that every one meets every hundredth seed too."""


def settings_in_turn(seed: int, *, stops: bool | None) -> Settings:
    """Return the settings of a session; `stops`: of those alone that have them, or have none."""
    fit = [one for one in VARIANTS if stops is None or (one.stops.sigmas > 0) == stops]
    return fit[seed % len(fit)]
