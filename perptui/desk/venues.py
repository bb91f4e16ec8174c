"""The configured venues, opened with the keys that belong to each."""

from __future__ import annotations

from pathlib import Path

from perptui.model.clock import Clock
from perptui.settings import credentials
from perptui.settings.credentials import Secret
from perptui.settings.schema import Settings
from perptui.venues.base import Venue
from perptui.venues.open import open_venue

SIMULATED_KEY = "simulated"
"""The simulated venue takes any key: nothing there is worth a secret."""


def open_venues(settings: Settings, clock: Clock, socket: Path | None) -> list[Venue]:
    """Return the configured venues, not connected yet.

    Parameters
    ----------
    socket : Path | None
        Of the simulated venue, where one is configured.

    Raises
    ------
    InputError, ConfigError
        For a venue that is not supported, a symbol that is none, or keys that are not safe.
    """
    found = []
    for name, venue in settings.venues.items():
        simulated = venue.endpoint == "simulated"
        key: Secret | None = Secret(SIMULATED_KEY)
        secret: Secret | None = Secret(SIMULATED_KEY)
        if not simulated:
            keys = credentials.find(name, venue.account)
            key, secret = (None, None) if keys is None else (keys.api_key, keys.secret)
        found.append(
            open_venue(
                name,
                clock=clock,
                socket=socket if simulated else None,
                key=key,
                secret=secret,
                symbols=venue.symbols,
                testnet=venue.endpoint == "testnet",
            )
        )
    return found
