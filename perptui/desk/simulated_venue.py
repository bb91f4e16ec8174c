"""The simulated venue of a desk: the one that config names, else a child of the desk's own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from perptui.desk.lifecycle import DeskPaths, SimulatedVenue, forget_market, listens
from perptui.desk.state import DeskState
from perptui.model.clock import Clock
from perptui.model.errors import InputError
from perptui.settings.schema import Settings

LOOK_S = 0.02
START_S = 15.0
"""How long it may take to listen before it is said to be absent."""
STARTING = "starting the simulated venue"
ABSENT = "no answer from the simulated venue"


async def listening_socket(
    settings: Settings, paths: DeskPaths, state: DeskState, clock: Clock, stack: AsyncExitStack
) -> Path | None:
    """Return the socket at which the simulated venue listens, once it does; None without one.

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
    if not simulated:
        return None
    if simulated[0].socket:
        return await _listening(Path(simulated[0].socket), None, settings, state, clock)
    forget_market(paths)
    child = SimulatedVenue(paths.simulator_socket, paths.simulator_log)
    child.spawn(settings.simulator)
    stack.callback(child.end)
    return await _listening(child.path, child, settings, state, clock)


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
    for name, venue in settings.venues.items():
        row = next(row for row in state.picture.venues if row.name == name)
        said = row.troubles["open"].text if "open" in row.troubles else ""
        if venue.endpoint == "simulated" and said != text:
            state.fail(name, "open", text)
