"""The simulated venue of a desk: the one that config names, else a child of the desk's own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from perptui.desk.lifecycle import DeskPaths, SimulatedVenue, forget_market, listens
from perptui.desk.state import DeskState
from perptui.model.clock import Clock
from perptui.model.errors import InputError
from perptui.settings import credentials
from perptui.settings.schema import Settings

LOOK_S = 0.02
START_S = 15.0
"""How long it may take to listen before it is said to be absent."""
STARTING = "starting the simulated venue"
ABSENT = "no answer from the simulated venue"


def keyless(settings: Settings) -> bool:
    """Return True when a real venue is looked at without a key: then there is no account of ours.

    Raises
    ------
    ConfigError
        When a source has keys and cannot be trusted or read.
    """
    return settings.desk.mode in {"view", "export"} and any(
        venue.endpoint != "simulated" and credentials.find(name, venue.account) is None
        for name, venue in settings.venues.items()
    )


def on_paper(settings: Settings) -> bool:
    """Return True when the account is a paper account on a real market: paper mode, or no key."""
    real = all(venue.endpoint != "simulated" for venue in settings.venues.values())
    return real and (settings.desk.mode == "paper" or keyless(settings))


class Sockets(NamedTuple):
    """Where simulated venues listen; None where there is none.

    `paper` is the account of paper mode on a real market, or of a real market without a key.
    """

    venue: Path | None = None
    paper: Path | None = None


async def listening_sockets(
    settings: Settings, paths: DeskPaths, state: DeskState, clock: Clock, stack: AsyncExitStack
) -> Sockets:
    """Return the sockets at which simulated venues listen, once they do.

    Parameters
    ----------
    state : DeskState
        Is told what is waited for meanwhile.
    clock : Clock
        Monotonic time.
    stack : AsyncExitStack
        Ends a child.

    Raises
    ------
    InputError
        When a child ended instead of listening, with why.
    """
    simulated = [row for row in settings.venues.values() if row.endpoint == "simulated"]
    child = SimulatedVenue(paths.simulator_socket, paths.simulator_log)
    if not simulated:
        if not on_paper(settings):
            return Sockets()
        child.spawn_paper(paths.paper, settings.paper.equity_usd)
        stack.callback(child.end)
        return Sockets(paper=await _listening(child.path, child, settings, state, clock))
    if simulated[0].socket:
        return Sockets(await _listening(Path(simulated[0].socket), None, settings, state, clock))
    forget_market(paths, clock.utc_ms())
    child.spawn(settings.simulator)
    stack.callback(child.end)
    return Sockets(await _listening(child.path, child, settings, state, clock))


async def _listening(
    path: Path, child: SimulatedVenue | None, settings: Settings, state: DeskState, clock: Clock
) -> Path:
    since = clock.monotonic()
    while not listens(path):
        slow = clock.monotonic() - since > START_S
        _tell(settings, state, ABSENT if slow else STARTING)
        if child is not None and child.failure:
            raise InputError(child.failure)
        await asyncio.sleep(LOOK_S)
    return path


def _tell(settings: Settings, state: DeskState, text: str) -> None:
    """Show what the panels of simulated venues wait for."""
    for name in settings.venues:
        row = next(row for row in state.picture.venues if row.name == name)
        said = row.troubles["open"].text if "open" in row.troubles else ""
        if said != text:
            state.fail(name, "open", text)
