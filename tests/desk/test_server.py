"""The desk's socket: who attaches, what they get, and that nobody slows the desk."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from perptui.desk.reading import MAX_ASK
from perptui.desk.server import MAX_ASKING, MAX_OF_USER, REFUSAL_S, Peer, Server
from perptui.desk.views.desk_view import first_view
from perptui.desk.views.status import Identity, VenueTime
from perptui.model.errors import ConfigError, InputError
from perptui.protocol.frames import (
    PANELS,
    Ask,
    Deframer,
    Hello,
    Look,
    Observed,
    Refused,
    Replace,
    Reply,
    ToTerminal,
    Whole,
    decode_to_terminal,
    encode,
    frame,
)
from perptui.protocol.intents import Intent, Kill, Redo, Solve, Undo
from perptui.protocol.views import LimitRow, LimitsView, RegimeView

pytestmark = pytest.mark.asyncio
VIEW = first_view(Identity("PAPER", "main", "main"), VenueTime(1_722_840_000_000, 5.0, 1.0))


class Raw:
    """A terminal that reads frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._deframer = Deframer()
        self._got: list[ToTerminal] = []

    async def end(self) -> None:
        """Read until the desk closes the line."""
        while True:
            await self.next()

    async def next(self) -> ToTerminal:
        while not self._got:
            data = await asyncio.wait_for(self._reader.read(65536), 10)
            if not data:
                raise EOFError
            self._got += [decode_to_terminal(payload) for payload in self._deframer.feed(data)]
        return self._got.pop(0)

    def ask(self, number: int, intent: Intent) -> None:
        self.writer.write(frame(encode(Ask(number=number, intent=intent))))


async def answer(intent: Intent, peer: Peer) -> str:
    if isinstance(intent, Kill):
        raise InputError("expected a reason, was none; give one")
    if isinstance(intent, Undo):
        await asyncio.Event().wait()
    if isinstance(intent, Redo):
        raise KeyError("a fault of ours")
    if isinstance(intent, Solve) and intent.strategy:
        return intent.strategy
    return f"uid {peer.uid}"


@asynccontextmanager
async def serving(path: Path, *, shared: bool = False) -> AsyncIterator[Server]:
    server = Server(path, "main", answer, VIEW, shared=shared, private=True)
    await server.open()
    try:
        yield server
    finally:
        await server.close()
        while OPEN:
            writer = OPEN.pop()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


OPEN: list[asyncio.StreamWriter] = []


async def attach(path: Path) -> Raw:
    reader, writer = await asyncio.open_unix_connection(str(path))
    OPEN.append(writer)
    return Raw(reader, writer)


@pytest.fixture
def path() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "desk.sock"


async def test_a_terminal_gets_who_and_everything_then_what_changed(path: Path) -> None:
    async with serving(path) as server:
        terminal = await attach(path)
        hello, whole = await terminal.next(), await terminal.next()
        assert isinstance(hello, Hello)
        assert (hello.uid, hello.desk, hello.private) == (os.getuid(), "main", True)
        assert isinstance(whole, Whole)
        assert whole.view == VIEW
        regime = RegimeView(label="stress", waiting=None)
        server.publish({"regime": regime, "limits": VIEW.limits})
        change = await terminal.next()
        assert isinstance(change, Replace)
        assert (change.seq, change.panel, change.view()) == (1, "regime", regime)
        assert server.view == msgspec.structs.replace(VIEW, regime=regime)


async def test_what_is_looked_at_is_what_any_terminal_draws(path: Path) -> None:
    async with serving(path) as server:
        assert server.looked_at == set()
        first, second = await attach(path), await attach(path)
        for terminal in (first, second):
            await terminal.next()
        assert server.looked_at == set(PANELS)
        told = asyncio.Event()
        server.looked = told.set
        first.writer.write(frame(encode(Look(("limits",)))))
        await asyncio.wait_for(told.wait(), 10)
        assert server.looked_at == set(PANELS)  # the other has not said
        told.clear()
        second.writer.write(frame(encode(Look(("rebalance", "regime")))))
        await asyncio.wait_for(told.wait(), 10)
        assert server.looked_at == {"limits", "rebalance", "regime"}


async def test_of_a_panel_that_was_only_observed_again_no_more_is_sent(path: Path) -> None:
    async with serving(path) as server:
        terminal = await attach(path)
        await terminal.next()
        await terminal.next()
        regime = RegimeView(label="stress", observed_mono=1.0, waiting=None)
        server.publish({"regime": regime})
        first = await terminal.next()
        assert isinstance(first, Replace)
        later = msgspec.structs.replace(regime, observed_mono=2.5)
        server.publish({"regime": later})
        assert await terminal.next() == Observed(2, "regime", 2.5)
        assert server.view.regime == later
        other = msgspec.structs.replace(later, label="crisis", observed_mono=3.0)
        # One that still waits is sent whole, as it stands by now.
        server.publish({"regime": other})
        server.publish({"regime": msgspec.structs.replace(other, observed_mono=4.0)})
        last = await terminal.next()
        assert isinstance(last, Replace)
        assert last.view() == msgspec.structs.replace(other, observed_mono=4.0)


async def test_a_later_terminal_gets_the_newest_picture(path: Path) -> None:
    async with serving(path) as server:
        regime = RegimeView(label="crisis", waiting=None)
        server.publish({"regime": regime})
        terminal = await attach(path)
        await terminal.next()
        whole = await terminal.next()
        assert isinstance(whole, Whole)
        assert whole.view.regime == regime


def mode(path: Path) -> int | None:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


async def test_the_socket_has_its_mode_and_goes_with_the_desk(path: Path) -> None:
    async with serving(path):
        assert mode(path) == 0o600
    assert mode(path) is None
    async with serving(path, shared=True):
        assert mode(path) == 0o660


async def test_a_socket_left_by_a_killed_desk_is_replaced(path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with serving(path):
        assert isinstance(await (await attach(path)).next(), Hello)


async def test_each_intent_is_answered_with_who_the_kernel_says(path: Path) -> None:
    async with serving(path):
        terminal = await attach(path)
        terminal.ask(7, Solve())
        terminal.ask(8, Kill(reason=""))
        replies = [message async for message in _replies(terminal, 2)]
        assert Reply(7, ok=True, text=f"uid {os.getuid()}") in replies
        assert Reply(8, ok=False, text="expected a reason, was none; give one") in replies


async def _replies(terminal: Raw, count: int) -> AsyncIterator[Reply]:
    while count:
        message = await terminal.next()
        if isinstance(message, Reply):
            count -= 1
            yield message


async def test_garbage_ends_the_terminal_not_the_desk(path: Path) -> None:
    async with serving(path):
        bad = await attach(path)
        bad.writer.write(frame(b"\xc1 no msgpack"))
        with pytest.raises((EOFError, OSError)):
            await bad.end()
        huge = await attach(path)
        huge.writer.write(b"\xff\xff\xff\xff")
        with pytest.raises((EOFError, OSError)):
            await huge.end()
        assert isinstance(await (await attach(path)).next(), Hello)


async def test_a_terminal_that_does_not_read_gets_the_latest_only(path: Path) -> None:
    async with serving(path) as server:
        slow = await attach(path)
        await slow.next()
        quick = await attach(path)
        await quick.next()
        await quick.next()
        wide = tuple(LimitRow(f"gross:{n}", "x", 3.0, 1.0, "ok") for n in range(2000))
        for number in range(200):
            # 2000 rows a panel: far more than a socket buffers for one that does not read.
            sent = LimitsView(rows=wide, observed_mono=float(number), market=f"market {number}")
            server.publish({"limits": sent})
            change = await quick.next()
            assert isinstance(change, Replace)
        seen: list[float | None] = []
        while not seen or seen[-1] != 199.0:
            message = await slow.next()
            if isinstance(message, Replace):
                view = message.view()
                assert isinstance(view, LimitsView)
                seen.append(view.observed_mono)
        assert len(seen) < 100


async def test_a_terminal_that_asks_and_never_reads_is_cut_off(path: Path) -> None:
    async with serving(path) as server:
        flood = await attach(path)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await _flood(flood)
        terminal = await attach(path)
        assert isinstance(await terminal.next(), Hello)
        assert server.terminals == 1


async def _flood(terminal: Raw) -> None:
    """Ask until the desk has had enough; its answers fill the socket, which nobody reads."""
    wide = Solve(strategy="s" * 60_000)
    async with asyncio.timeout(30):
        for number in range(100_000):
            terminal.ask(number, wide)
            await terminal.writer.drain()


async def test_a_fault_of_ours_is_answered_and_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(path):
        terminal = await attach(path)
        terminal.ask(3, Redo())
        (reply,) = [message async for message in _replies(terminal, 1)]
        assert reply == Reply(3, ok=False, text="the desk failed at this (KeyError); see its log")
    assert "an intent failed" in caplog.text


async def test_a_path_that_no_socket_can_have_is_refused_with_the_cure(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 120)
    with pytest.raises(ConfigError, match="XDG_RUNTIME_DIR"):
        Server(long, "main", answer, VIEW, shared=False, private=False)
    missing = Path(os.environ["XDG_RUNTIME_DIR"]) / "absent" / "desk.sock"
    with pytest.raises(InputError, match="check the directory"):
        await Server(missing, "main", answer, VIEW, shared=False, private=False).open()


@pytest.fixture
def file(path: Path) -> Path:
    """A file where a socket is to be."""
    path.write_text("kept")
    return path


async def test_a_file_is_not_replaced(file: Path) -> None:
    with pytest.raises(InputError, match="was a file"):
        await Server(file, "main", answer, VIEW, shared=False, private=False).open()
    assert await asyncio.to_thread(file.read_text) == "kept"


async def test_a_desk_that_listens_is_not_replaced(path: Path) -> None:
    async with serving(path):
        with pytest.raises(InputError, match="was a process"):
            await Server(path, "main", answer, VIEW, shared=False, private=False).open()
        assert isinstance(await (await attach(path)).next(), Hello)


async def test_a_terminal_that_is_gone_is_told_of_by_its_connection(path: Path) -> None:
    async with serving(path) as server:
        gone: list[int] = []
        ended = asyncio.Event()

        def left(peer: Peer) -> None:
            assert peer.pid == os.getpid()
            gone.append(peer.connection)
            ended.set()

        server.left = left
        first, second = await attach(path), await attach(path)
        for terminal in (first, second):
            await terminal.next()
        second.writer.close()
        await asyncio.wait_for(ended.wait(), 10)
        assert gone == [2]
        assert server.terminals == 1


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to have another's folder")
async def test_a_shared_desk_listens_in_its_own_folder_alone(tmp_path: Path) -> None:
    """Terminals know its socket by who owns the folder."""
    os.chown(tmp_path, 61_005, -1)
    path = tmp_path / "d.sock"
    with pytest.raises(InputError, match="was uid 61005; chown it"):
        await Server(path, "main", answer, VIEW, shared=True, private=False).open()
    assert not path.exists()


async def test_who_may_not_look_is_told_the_cure_and_let_go(path: Path) -> None:
    async with serving(path) as server:
        server.roles_of = lambda uid: ()
        terminal = await attach(path)
        refused = await terminal.next()
        assert isinstance(refused, Refused)
        assert f"was uid {os.getuid()}" in refused.text
        assert "view = [...]" in refused.text
        terminal.ask(1, Kill(reason="anyway"))
        with pytest.raises(EOFError):
            await terminal.next()
        assert server.terminals == 0
        # Nor are the words lost where something was asked before they were read.
        hasty = await attach(path)
        hasty.ask(1, Kill(reason="at once"))
        await asyncio.sleep(0.05)
        assert isinstance(await hasty.next(), Refused)


async def test_one_user_cannot_take_all_connections(path: Path) -> None:
    """A desk that has no descriptor left can neither send nor cancel."""
    async with serving(path) as server:
        held = [await attach(path) for _ in range(MAX_OF_USER)]
        for terminal in held:
            assert isinstance(await terminal.next(), Hello)
        turned_away = await attach(path)
        refused = await turned_away.next()
        assert isinstance(refused, Refused)
        assert f"at most {MAX_OF_USER} terminals of one user at desk main" in refused.text
        with pytest.raises(EOFError):
            await turned_away.next()
        gone = asyncio.Event()
        server.left = lambda peer: gone.set() if peer.connection == 1 else None
        held[0].writer.close()
        await asyncio.wait_for(gone.wait(), 10)
        assert isinstance(await (await attach(path)).next(), Hello)


async def test_who_is_not_let_in_cannot_hold_on_to_many_connections(path: Path) -> None:
    async with serving(path) as server:
        server.roles_of = lambda uid: ()
        ended: list[int] = []
        most = asyncio.Event()

        def left(peer: Peer) -> None:
            ended.append(peer.connection)
            if len(ended) >= 2 * MAX_OF_USER:
                most.set()

        server.left = left
        for _ in range(3 * MAX_OF_USER):
            await attach(path)
        # Those beyond the first lines are closed at once.
        await asyncio.wait_for(most.wait(), REFUSAL_S / 2)


async def test_a_terminal_cannot_fill_the_desks_memory_with_a_frame(path: Path) -> None:
    async with serving(path):
        huge = await attach(path)
        huge.writer.write((MAX_ASK + 1).to_bytes(4, "big"))
        with pytest.raises((EOFError, OSError)):
            await huge.end()
        assert isinstance(await (await attach(path)).next(), Hello)


async def test_a_terminal_that_asks_without_end_is_cut_off(path: Path) -> None:
    async with serving(path) as server:
        flood = await attach(path)
        for number in range(MAX_ASKING + 1):
            flood.ask(number, Undo())
        with pytest.raises((EOFError, OSError)):
            await flood.end()
        assert server.terminals == 0


async def test_hello_says_what_its_user_may_do(path: Path) -> None:
    async with serving(path) as server:
        server.roles_of = lambda uid: ("view", "approve")
        hello = await (await attach(path)).next()
        assert isinstance(hello, Hello)
        assert (hello.uid, hello.roles) == (os.getuid(), ("view", "approve"))


async def test_a_private_desk_is_said_to_end_with_its_owner_alone(path: Path) -> None:
    owner = [True, False]
    async with serving(path) as server:
        server.owned_by = lambda _: owner.pop(0)
        for owned in (True, False):
            hello = await (await attach(path)).next()
            assert isinstance(hello, Hello)
            assert hello.private is owned
