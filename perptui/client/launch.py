"""Find a running desk, or start one that lives and dies with its terminal.

Start-up is serialised by a lock that the owning terminal holds for its life: whoever comes second
attaches. The owner holds one end of a socketpair; the desk ends in order when that end is gone,
however the terminal ended. A desk that was only joined is never started anew: whoever ended it
meant it. A simulated venue has a leash of the same kind, held by terminal and
desk, so that it outlives whichever of the two is lost.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perptui.desk.lifecycle import LEFT, Lock, SimulatedVenue, listens
from perptui.model.clock import Clock
from perptui.model.errors import ConfigError
from perptui.settings import paths
from perptui.settings.credentials import handed_descriptors
from perptui.settings.schema import SimulatorSettings
from perptui.settings.sockets import peer_credentials, require_desk_of

LOOK_S = 0.01
START_S = 60.0
"""How long a desk may take to listen; it does so before anything slow, but machines swap."""
LOST_S = 1.0
"""How long a desk that closed its line is given to end before it is joined again."""
ENDED = "the desk was ended: waiting for it to start again, q quits"
END_S = 15.0
"""How long a desk may take to end in order: sends in flight are journalled and reconciled."""


class Place(msgspec.Struct, frozen=True):
    """Where a desk is found, and the files its terminal keeps.

    Attributes
    ----------
    socket : Path
        Where terminals attach.
    lock : Path
        Held by the terminal that owns the desk.
    output : Path
        The desk's own fd 1 and 2: why it did not start.
    """

    desk: str
    socket: Path
    lock: Path
    output: Path


def place_of(desk: str, socket_dir: str = "") -> Place:
    """Return where the desk named `desk` is, or would be.

    Raises
    ------
    ConfigError
        When a directory cannot be used or the socket's path is too long.
    """
    state = paths.state_dir(desk)
    return Place(
        desk=desk,
        socket=paths.socket_file(desk, socket_dir),
        lock=state / "terminal.lock",
        output=state / "desk.out",
    )


class Market(msgspec.Struct, frozen=True):
    """A simulated venue that the terminal starts for its desk."""

    socket: Path
    log: Path
    settings: SimulatorSettings


class Launcher:
    """A terminal's way to a desk: joins a running one, else owns a private one.

    Parameters
    ----------
    command : sequence of str, optional
        Arguments of ``perptui desk``; without them a desk is only joined.
    market : Market, optional
        A simulated venue to start first.
    clock : Clock
        For how long a start may take.
    """

    def __init__(
        self,
        place: Place,
        clock: Clock,
        command: Sequence[str] = (),
        market: Market | None = None,
    ) -> None:
        self._place = place
        self._clock = clock
        self._command = tuple(command)
        self._market = market
        self._lock = Lock(place.lock)
        self._venue: SimulatedVenue | None = None
        self._line: socket.socket | None = None
        self._desk: subprocess.Popen[bytes] | None = None
        self._owner = False
        self._joined = False
        self._left: list[subprocess.Popen[bytes]] = []

    @property
    def desk(self) -> str:
        """Name of the desk."""
        return self._place.desk

    @property
    def owner(self) -> bool:
        """True when the desk is ours and ends with us."""
        return self._owner

    @property
    def desk_pid(self) -> int | None:
        """Process id of our desk, None when it is not ours."""
        return None if self._desk is None else self._desk.pid

    @property
    def venue_pid(self) -> int | None:
        """Process id of our simulated venue, None when there is none."""
        process = None if self._venue is None else self._venue.process
        return None if process is None else process.pid

    def venue_failure(self) -> str:
        """Return why our simulated venue ended and what to do; "" while it runs or is none.

        It is not started anew under the desk: another market would contradict the journal.
        """
        failure = "" if self._venue is None else self._venue.failure
        return f"{failure}; q, then start anew" if failure else ""

    @property
    def left_running(self) -> bool:
        """True while a desk that we left, or its venue, goes on."""
        return any(process.poll() is None for process in self._left)

    def claim(self) -> bool:
        """Return True when the desk is ours to start: nobody else has it and none listens."""
        if not self._command or not self._lock.take():
            return False
        if listens(self._place.socket):
            self._lock.give_back()
            return False
        self._owner = True
        return True

    def start(self) -> None:
        """Start our simulated venue, if any, and our desk; after a `claim` that was true."""
        if self._market is not None and (self._venue is None or self._venue.failure):
            self._venue = SimulatedVenue(self._market.socket, self._market.log)
            self._venue.spawn(self._market.settings)
        self._spawn_desk()

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        """Return a connection to the desk as soon as it listens; a claimed one is started first.

        Raises
        ------
        ConfigError
            When our desk ended instead of listening, none listened in time, or another user's
            process did.
        OSError
            When we joined a desk and none listens.
        """
        if self._owner and self._desk is None:
            self.start()
        deadline = self._clock.monotonic() + START_S
        while True:
            try:
                connection = await asyncio.open_unix_connection(str(self._place.socket))
            except (FileNotFoundError, ConnectionRefusedError):
                if not self._owner:
                    raise
                self._require_hope(deadline)
            else:
                self._require_trusted(connection[1])
                self._join(connection[1])
                return connection
            await asyncio.sleep(LOOK_S)

    def _require_trusted(self, writer: StreamWriter) -> None:
        try:
            require_desk_of(writer.get_extra_info("socket"), self._place.socket)
        except ConfigError:
            writer.close()
            raise

    def _join(self, writer: StreamWriter) -> None:
        """Note whose desk it is: another may have listened while ours was still starting."""
        listener, *_ = peer_credentials(writer.get_extra_info("socket"))
        if self._owner and listener != self.desk_pid:
            self.leave()  # ours is refused as the second one, and ends
        self._joined = not self._owner

    async def relaunch(self) -> tuple[StreamReader, StreamWriter]:
        """Return a connection after a desk was lost: to another one on the same venue.

        A desk that we joined is waited for: an operator's stop is not undone by a terminal.

        Raises
        ------
        ConfigError, OSError
            As `connect`; ConfigError too while a desk that we joined does not run.
        """
        if self._owner:
            if await self._ended():
                self.start()
        elif not listens(self._place.socket):
            if self._joined:
                raise ConfigError(ENDED)
            if self.claim():
                self.start()
        return await self.connect()

    async def _ended(self) -> bool:
        """Return True when our desk is gone: its line closes a moment before its process ends."""
        deadline = self._clock.monotonic() + LOST_S
        while self._desk is not None and self._desk.poll() is None:
            if self._clock.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def leave(self) -> None:
        """Forget the desk, which goes on without us."""
        self._owner = False
        venue = None if self._venue is None else self._venue.process
        self._left = [process for process in (self._desk, venue) if process is not None]
        self._desk = None
        if self._venue is not None and self._venue.leash is not None:
            self._venue.leash.close()
        self._venue = None
        self._close_line()
        self._lock.give_back()

    def end(self) -> None:
        """End what we started: the desk first, in order, then its venue.

        A desk that said it goes on (`Quit.leave_desk`) is left alone, with its venue.
        """
        if self._goes_on():
            self.leave()
            return
        self._close_line()
        if self._desk is not None:
            try:
                self._desk.wait(END_S)
            except subprocess.TimeoutExpired:
                # It journals and reconciles what is in flight: it ends by itself, never by a kill.
                self.leave()
                return
        if self._venue is not None:
            self._venue.end()
        self._lock.give_back()

    def _goes_on(self) -> bool:
        if self._line is None:
            return False
        self._line.setblocking(False)
        try:
            return bool(self._line.recv(len(LEFT)))
        except OSError:
            return False

    def _spawn_desk(self) -> None:
        self._close_line()
        self._line, theirs = socket.socketpair()
        kept = [theirs.fileno()]
        arguments = ["--private-fd", str(theirs.fileno())]
        if self._venue is not None and self._venue.leash is not None:
            kept.append(self._venue.leash.fileno())
            arguments += ["--hold-fd", str(self._venue.leash.fileno())]
        with theirs, self._place.output.open("wb") as output:
            self._desk = subprocess.Popen(  # noqa: S603 (our own module, arguments made here)
                [sys.executable, "-m", "perptui", "desk", *self._command, *arguments],
                pass_fds=(*kept, *handed_descriptors()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _require_hope(self, deadline: float) -> None:
        if self._venue is not None and self._venue.failure:
            raise ConfigError(self._venue.failure)
        if self._desk is not None and self._desk.poll() is not None:
            raise ConfigError(
                f"expected the desk to start, was its end: {last_line(self._place.output)}"
            )
        if self._clock.monotonic() > deadline:
            raise ConfigError(
                f"expected a desk at {self._place.socket} within {START_S:.0f} s, was none; "
                f"see {self._place.output}"
            )

    def _close_line(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def last_line(path: Path) -> str:
    """Return the last line of a process's output, or that there is none, and why it may be."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if lines:
        return lines[-1]
    if not os.statvfs(path.parent).f_bavail:
        return f"its disk is full: free space ({path.parent})"
    return f"it said nothing; see {path.parent}"
