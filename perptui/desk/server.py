"""The desk's socket: terminals attach, get everything, then only what changed.

Who a terminal is says the kernel (SO_PEERCRED), never the terminal. A slow one keeps no more than
the newest of each panel waiting; the desk never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from perptui.desk.reading import MAX_ASK, read_frame
from perptui.model.errors import PerptuiError, ProtocolError
from perptui.protocol.frames import (
    PANELS,
    PROTOCOL,
    Hello,
    Look,
    Observed,
    Refused,
    Replace,
    Reply,
    ToTerminal,
    Whole,
    decode_to_desk,
    encode,
    frame,
)
from perptui.protocol.intents import Intent
from perptui.protocol.views import DeskView, Panel
from perptui.settings.paths import checked_socket
from perptui.settings.roles import ROLES
from perptui.settings.sockets import BoundSocket, peer_credentials, require_own_folder

PRIVATE_MODE = 0o600
SHARED_MODE = 0o660
MAX_REPLIES = 64
"""Answers that may wait for a slow terminal; beyond it the terminal is cut off."""
MAX_ASKING = 256
"""Intents of one terminal that are carried out at once; beyond it the terminal is cut off."""
REFUSAL_S = 1.0
"""How long whoever is not let in has for reading why; of many lines of theirs, none has."""
MAX_OF_USER = 32
"""Connections of one user: nobody takes the descriptors that the desk needs for its venues."""

_NAMES = {kind: name for name, kind in PANELS.items()}
_log = logging.getLogger(__name__)


class Peer(msgspec.Struct, frozen=True):
    """A process at the other end of a socket, as the kernel says; `connection` counts ours."""

    pid: int
    uid: int
    gid: int
    connection: int = 0


Answer = Callable[[Intent, Peer], Awaitable[str]]
"""Carries out an intent; returns a line for the trader, raises PerptuiError with why not."""


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end of a UNIX socket."""
    return Peer(*peer_credentials(connection))


def _nobody(_: Peer) -> None:
    """Tell nobody."""


def _everybody(_: Peer) -> bool:
    """Take each terminal for the one that a private desk ends with."""
    return True


def _all_roles(_: int) -> tuple[str, ...]:
    """Give everybody every role."""
    return ROLES


class Terminal:
    """One attached terminal: what still has to be sent to it."""

    def __init__(self, peer: Peer, writer: asyncio.StreamWriter) -> None:
        self.peer = peer
        self._writer = writer
        self._panels: dict[str, Panel] = {}
        self._observed: dict[str, float] = {}
        self._first: list[ToTerminal] = []
        self._replies: list[Reply] = []
        self._wake = asyncio.Event()
        self._seq = 0
        self.looks_at: frozenset[str] = frozenset(PANELS)

    def greet(self, hello: Hello, view: DeskView) -> None:
        """Send who the desk is, then everything."""
        self._first = [hello, Whole(seq=0, view=view)]
        self._wake.set()

    async def refuse(self, text: str, reader: asyncio.StreamReader, patience_s: float) -> None:
        """Say why this user is not let in, and what to do about it.

        What was asked meanwhile is read away: a line closed over it would drop the words too.
        """
        self._writer.write(frame(encode(Refused(text))))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._writer.drain()
                self._writer.write_eof()
                while await reader.read(MAX_ASK):
                    continue

    def replace(self, panel: str, view: Panel) -> None:
        """Send a panel anew; one that still waits is overtaken."""
        self._panels[panel] = view
        self._observed.pop(panel, None)
        self._wake.set()

    def observe(self, panel: str, view: Panel, observed_mono: float) -> None:
        """Say when a panel was observed, which is all that changed; one that waits says it too."""
        if panel in self._panels:
            self._panels[panel] = view
        else:
            self._observed[panel] = observed_mono
        self._wake.set()

    def reply(self, reply: Reply) -> None:
        """Send an answer; a terminal that asks and never reads is cut off."""
        if len(self._replies) >= MAX_REPLIES:
            _log.warning("terminal %d does not read: cut off", self.peer.pid)
            self._writer.transport.abort()
            return
        self._replies.append(reply)
        self._wake.set()

    async def send_for_ever(self) -> None:
        """Write what waits, as fast as the terminal takes it."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            # In one piece: what belongs together arrives, and is painted, together.
            self._writer.writelines([frame(encode(message)) for message in self._take()])
            await self._writer.drain()

    def _take(self) -> list[ToTerminal]:
        messages: list[ToTerminal] = [*self._first]
        panels, self._panels = self._panels, {}
        observed, self._observed = self._observed, {}
        for panel, observed_mono in observed.items():
            self._seq += 1
            messages.append(Observed(self._seq, panel, observed_mono))
        for view in panels.values():
            self._seq += 1
            messages.append(Replace.of(self._seq, view))
        # What an intent changed is on the screen before its answer says that it is done.
        messages += self._replies
        self._first, self._replies = [], []
        return messages


class Server:
    """The UNIX socket of one desk.

    Parameters
    ----------
    path : Path
        At most 107 bytes.
    shared : bool
        True: the group may attach (0660); else only the owner (0600).
    hello : callable
        Builds the greeting for a uid.
    answer : Answer
        Carries out intents.

    Attributes
    ----------
    left : callable
        Told of a terminal that is gone.
    owned_by : callable
        Returns whether a private desk ends with that terminal; with the others it goes on.
    looked : callable
        Told that some terminal looks at other panels than before.
    roles_of : callable
        Returns the roles of a uid; who may not view is told so and let go.
    """

    def __init__(
        self, path: Path, desk: str, answer: Answer, view: DeskView, *, shared: bool, private: bool
    ) -> None:
        self._path = checked_socket(path)
        self._desk = desk
        self._answer = answer
        self._shared = shared
        self._private = private
        self._view = view
        self._terminals: set[Terminal] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._bound: BoundSocket | None = None
        self._connections = 0
        self._of_user: Counter[int] = Counter()
        self.left: Callable[[Peer], None] = _nobody
        self.owned_by: Callable[[Peer], bool] = _everybody
        self.looked: Callable[[], None] = lambda: None
        self.roles_of: Callable[[int], tuple[str, ...]] = _all_roles
        self.attached = asyncio.Event()

    @property
    def view(self) -> DeskView:
        """What terminals see."""
        return self._view

    @property
    def terminals(self) -> int:
        """How many are attached."""
        return len(self._terminals)

    @property
    def looked_at(self) -> frozenset[str]:
        """The panels that some terminal draws from."""
        return frozenset().union(*(terminal.looks_at for terminal in self._terminals))

    async def open(self) -> None:
        """Listen; the socket has its mode before anyone can connect.

        Raises
        ------
        InputError
            When the path cannot be bound, a file is there, another process listens there, or the
            folder of a shared desk is another user's.
        """
        if self._shared:
            require_own_folder(self._path)
        self._bound = BoundSocket(self._path, SHARED_MODE if self._shared else PRIVATE_MODE)
        self._server = await asyncio.start_unix_server(self._serve, sock=self._bound.listener)

    def publish(self, panels: dict[str, Panel]) -> None:
        """Keep these panels and send those that differ from what terminals have."""
        changed = {
            name: panel for name, panel in panels.items() if getattr(self._view, name) != panel
        }
        if not changed:
            return
        before, self._view = self._view, msgspec.structs.replace(self._view, **changed)
        for name, panel in changed.items():
            observed_mono = _observed_again(getattr(before, name), panel)
            for terminal in self._terminals:
                if observed_mono is None:
                    terminal.replace(name, panel)
                else:
                    terminal.observe(name, panel, observed_mono)

    async def close(self) -> None:
        """Stop listening, drop the terminals, remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self._bound is not None:
            self._bound.remove()
            self._bound = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._connections += 1
        peer = peer_of(writer.get_extra_info("socket"))
        terminal = Terminal(msgspec.structs.replace(peer, connection=self._connections), writer)
        self._of_user[peer.uid] += 1
        try:
            await self._attend(terminal, reader)
        except (OSError, EOFError):
            _log.info("terminal %d left", terminal.peer.pid)
        except ProtocolError as error:
            _log.warning("terminal %d: %s", terminal.peer.pid, error)
        except asyncio.CancelledError:
            # Only `close` cancels; letting it out would make asyncio log a lost exception.
            _log.info("terminal %d dropped: the desk ends", terminal.peer.pid)
        finally:
            self._of_user[peer.uid] -= 1
            self._terminals.discard(terminal)
            self.left(terminal.peer)
            writer.close()

    async def _attend(self, terminal: Terminal, reader: asyncio.StreamReader) -> None:
        roles = self.roles_of(terminal.peer.uid)
        why_not = self._why_not(terminal.peer.uid, roles)
        if why_not:
            few = self._of_user[terminal.peer.uid] <= MAX_OF_USER
            await terminal.refuse(why_not, reader, REFUSAL_S if few else 0.0)
            return
        hello = Hello(
            protocol=PROTOCOL,
            version=version("perptui"),
            desk=self._desk,
            pid=os.getpid(),
            uid=terminal.peer.uid,
            private=self._private and self.owned_by(terminal.peer),
            roles=roles,
        )
        terminal.greet(hello, self._view)
        self._terminals.add(terminal)
        self.attached.set()
        sender = asyncio.create_task(terminal.send_for_ever())
        asking: set[asyncio.Task[None]] = set()
        try:
            while True:
                ask = decode_to_desk(await read_frame(reader, sender))
                if isinstance(ask, Look):
                    terminal.looks_at = frozenset(ask.panels)
                    self.looked()
                    continue
                if len(asking) >= MAX_ASKING:
                    raise ProtocolError(
                        f"expected at most {MAX_ASKING} intents at once, was more; reconnect"
                    )
                task = asyncio.create_task(self._carry_out(terminal, ask.number, ask.intent))
                asking.add(task)
                task.add_done_callback(asking.discard)
                task.add_done_callback(partial(self._carried_out, terminal, ask.number))
        finally:
            sender.cancel()
            # Intents go on without their terminal: a send that began is journalled to its end.
            self._tasks |= asking
            for task in asking:
                task.add_done_callback(self._tasks.discard)
            await asyncio.gather(sender, return_exceptions=True)

    def _why_not(self, uid: int, roles: tuple[str, ...]) -> str:
        """Return why a user is not let in, "" where they are."""
        if "view" not in roles:
            _log.warning("uid %d has no role on this desk: let go", uid)
            return (
                f"expected a user of desk {self._desk}, was uid {uid}, whom [roles] of its "
                "config.toml does not name; have view = [...] name you, then start the desk again"
            )
        if self._of_user[uid] > MAX_OF_USER:
            _log.warning("uid %d has %d terminals: the next is let go", uid, MAX_OF_USER)
            return (
                f"expected at most {MAX_OF_USER} terminals of one user at desk {self._desk}, "
                "was one more; close some"
            )
        return ""

    async def _carry_out(self, terminal: Terminal, number: int, intent: Intent) -> None:
        try:
            text = await self._answer(intent, terminal.peer)
            reply = Reply(number=number, ok=True, text=text)
        except PerptuiError as error:
            reply = Reply(number=number, ok=False, text=str(error))
        if terminal in self._terminals:
            terminal.reply(reply)

    def _carried_out(self, terminal: Terminal, number: int, task: asyncio.Task[None]) -> None:
        """Answer also when carrying out failed by a fault of ours: nobody waits for ever."""
        if task.cancelled() or (fault := task.exception()) is None:
            return
        _log.critical("an intent failed", exc_info=fault)
        if terminal in self._terminals:
            text = f"the desk failed at this ({type(fault).__name__}); see its log"
            terminal.reply(Reply(number=number, ok=False, text=text))


def _observed_again(before: Panel, now: Panel) -> float | None:
    """Return when a panel was observed, where that is all that changed of it; else None."""
    observed_mono: float | None = getattr(now, "observed_mono", None)
    if observed_mono is None:
        return None
    same = msgspec.structs.replace(before, observed_mono=observed_mono) == now
    return observed_mono if same else None
