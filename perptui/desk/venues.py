"""The configured venues, opened with the keys that belong to each."""

from __future__ import annotations

from perptui.desk.simulated_venue import Sockets
from perptui.model.clock import Clock
from perptui.settings import credentials
from perptui.settings.credentials import Credentials, Secret
from perptui.settings.schema import Settings, VenueSettings
from perptui.venues.base import Venue
from perptui.venues.open import Way, open_venue
from perptui.venues.permission import UNCHECKED

SIMULATED_KEY = "simulated"
"""The simulated venue takes any key: nothing there is worth a secret."""


def open_venues(settings: Settings, clock: Clock, sockets: Sockets) -> list[Venue]:
    """Return the configured venues, not connected yet.

    Nothing but reads leaves for a real venue in any mode but live, and in live mode only once what
    its key may do is known (`perptui.desk.permissions`).

    Parameters
    ----------
    sockets : Sockets
        Of the simulated venues, where any are configured.

    Raises
    ------
    InputError, ConfigError
        For a venue that is not supported, a symbol that is none, or keys that are not safe.
    """
    found = []
    for name, venue in settings.venues.items():
        keys = keys_of(name, venue)
        found.append(
            open_venue(
                name,
                clock=clock,
                key=None if keys is None else keys.api_key,
                secret=None if keys is None else keys.secret,
                symbols=venue.symbols,
                way=_way(settings, venue, sockets),
            )
        )
    credentials.forget_environment()
    return found


def keys_of(name: str, venue: VenueSettings) -> Credentials | None:
    """Return the keys of a venue; those of a simulated one are no secret.

    Raises
    ------
    ConfigError
        When a source has them and cannot be trusted or read.
    """
    if venue.endpoint == "simulated":
        return Credentials(Secret(SIMULATED_KEY), Secret(SIMULATED_KEY), "none needed")
    return credentials.find(name, venue.account)


def _way(settings: Settings, venue: VenueSettings, sockets: Sockets) -> Way:
    mode = settings.desk.mode
    if venue.endpoint == "simulated":
        return Way(socket=sockets.venue)
    closed = UNCHECKED if mode == "live" else f"mode {mode} sends nothing to the venue"
    return Way(
        socket=venue.socket or None,
        paper=sockets.paper,
        testnet=venue.endpoint == "testnet",
        closed=closed,
        simulated=False,
    )
