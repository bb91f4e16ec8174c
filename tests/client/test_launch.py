"""Finding a desk or starting one: who owns it, what is said when it does not start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perptui.client.demo import COINS, assigned, coins_of, put_aside
from perptui.client.launch import ENDED, Launcher, Market, last_line, place_of
from perptui.desk.lifecycle import Lock, SimulatedVenue, listens
from perptui.model.clock import ManualClock, SystemClock, parse_iso
from perptui.model.errors import ConfigError, InputError
from perptui.protocol.frames import encode
from perptui.settings import paths
from perptui.settings.credentials import HANDED
from perptui.settings.load import assignments, load
from perptui.settings.schema import SimulatorSettings
from tests.canary import CANARY
from tests.desk.attached import Terminal
from tests.desk.users import LISTENER, listening

GENERATED = SimulatorSettings(seed=7, data="", start="", speed=1.0)
LIVE_KEYS = ("--set", 'venues.binanceusdm.endpoint="live"')
NO_VENUE = ("--set", "venues.binanceusdm.socket=/nowhere/venue.sock")


@pytest.fixture
def way() -> Launcher:
    return Launcher(place_of("main"), SystemClock(), NO_VENUE)


def test_the_demos_one_trader_needs_nobody_for_any_ticket_that_its_limits_allow() -> None:
    """Nobody else could approve there: closing a large book must not take a second person."""
    given = assigned(COINS, Path("/run/venue.sock"))
    demo = load(paths.resource("config.toml"), assignments(given)).settings
    shipped = load(paths.resource("config.toml")).settings
    assert shipped.approval.notional_usd < shipped.limits.ticket_notional_max_usd
    assert demo.approval.notional_usd > demo.limits.ticket_notional_max_usd
    assert demo.approval.margin_ratio == shipped.approval.margin_ratio
    assert (demo.desk.name, demo.desk.mode) == ("demo", "paper")


def test_only_one_terminal_owns_a_desk(way: Launcher) -> None:
    other = Launcher(place_of("main"), SystemClock(), NO_VENUE)
    assert way.claim()
    assert not other.claim()
    assert way.owner
    assert not other.owner
    way.end()
    assert other.claim()
    other.end()


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to listen as another user")
def test_another_users_socket_in_the_desks_place_is_not_joined() -> None:
    """Its tickets and its HALTED would be anybody's tale."""
    place = place_of("main")
    joiner = Launcher(place, SystemClock())
    with (
        listening(place.socket, LISTENER),
        pytest.raises(ConfigError, match=f"was a process of uid {LISTENER}: it may be anybody's"),
    ):
        asyncio.run(joiner.connect())


def test_a_desk_that_listens_is_joined_not_owned(way: Launcher) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as desk:
        desk.bind(str(place_of("main").socket))
        desk.listen()
        assert listens(place_of("main").socket)
        assert not way.claim()
    assert not listens(place_of("main").socket)
    assert way.claim()
    way.end()


def test_without_a_command_a_desk_is_only_joined() -> None:
    joiner = Launcher(place_of("main"), SystemClock())
    assert not joiner.claim()
    with pytest.raises(FileNotFoundError):
        asyncio.run(joiner.connect())
    with pytest.raises(FileNotFoundError):
        asyncio.run(joiner.relaunch())
    joiner.end()


@pytest.mark.slow
def test_a_desk_that_cannot_start_says_why() -> None:
    way = Launcher(place_of("main"), SystemClock(), ("--set", "desk.moode=paper"))
    assert way.claim()
    way.start()
    with pytest.raises(ConfigError, match="did you mean mode"):
        asyncio.run(way.connect())
    way.end()


@pytest.mark.slow
def test_a_venue_that_cannot_start_is_named() -> None:
    state = paths.state_dir("main")
    nowhere = SimulatorSettings(seed=7, data="/nowhere", start="", speed=1.0)
    market = Market(state / "venue.sock", state / "simulator.log", nowhere)
    slow_clock = ManualClock(0)
    way = Launcher(place_of("main"), slow_clock, ("--config", "/dev/stdin"), market)
    assert way.claim()
    way.start()
    assert way.venue_pid is not None
    os.waitid(os.P_PID, way.venue_pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ConfigError, match=r"simulated venue ended: expected .*/nowhere"):
        asyncio.run(way.connect())
    assert way.venue_failure().startswith("the simulated venue ended: expected ")
    way.end()


async def attached(way: Launcher, *, again: bool = False) -> None:
    _, writer = await (way.relaunch() if again else way.connect())
    writer.close()
    await writer.wait_closed()


@pytest.mark.slow
def test_a_private_desk_is_joined_lost_and_replaced(way: Launcher) -> None:
    assert way.claim()
    way.start()
    asyncio.run(attached(way))
    first = way.desk_pid
    assert first is not None
    # A desk that only dropped the line is joined again, not doubled.
    asyncio.run(attached(way, again=True))
    assert way.desk_pid == first
    os.kill(first, signal.SIGKILL)
    asyncio.run(attached(way, again=True))
    assert way.desk_pid not in {first, None}
    assert way.desk == "main"
    way.end()
    assert not listens(place_of("main").socket)


@pytest.mark.slow
def test_keys_in_a_descriptor_reach_the_desk_that_a_terminal_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, f'[binanceusdm-main]\napi_key="{CANARY}-1"\nsecret="{CANARY}-2"\n'.encode())
    os.close(theirs)
    monkeypatch.setenv(HANDED, str(ours))
    way = Launcher(place_of("main"), SystemClock(), (*NO_VENUE, *LIVE_KEYS))
    assert way.claim()
    way.start()
    try:
        asyncio.run(attached(way))
        terminal = Terminal(place_of("main").socket)
        told = f"keys of binanceusdm from descriptor {ours}".encode()
        terminal.until(lambda view: told in encode(view))
        terminal.close()
    finally:
        way.end()
        os.close(ours)


@pytest.mark.asyncio
async def test_a_joined_desk_that_was_ended_is_waited_for_not_started_anew(way: Launcher) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    path = place_of("main").socket
    for joins in (way.connect, way.relaunch):
        server = await asyncio.start_unix_server(serve, path)
        reader, writer = await joins()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        path.unlink(missing_ok=True)
        with pytest.raises(ConfigError, match=ENDED):
            await way.relaunch()
        assert not way.owner
        assert way.desk_pid is None


def until_ended(way: Launcher) -> None:
    """Wait for the end of what was left."""
    while way.left_running:
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_desk_that_was_first_while_ours_started_is_joined_not_owned(way: Launcher) -> None:
    """`perptui desk & perptui`: whoever ends that desk meant it; quitting leaves it alone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    first = Lock(paths.state_dir("main") / "desk.lock")
    assert first.take()
    assert way.claim()
    server = await asyncio.start_unix_server(serve, place_of("main").socket)
    _, writer = await way.connect()
    assert not way.owner
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    place_of("main").socket.unlink(missing_ok=True)
    with pytest.raises(ConfigError, match=ENDED):
        await way.relaunch()
    await asyncio.to_thread(until_ended, way)
    assert "was one running; attach to it" in last_line(place_of("main").output)
    first.give_back()
    way.end()


def test_the_last_line_of_a_process_that_said_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    assert "said nothing" in last_line(tmp_path / "out")
    (tmp_path / "out").write_text("one\nperptui: two\n")
    assert last_line(tmp_path / "out") == "perptui: two"


def test_a_path_that_no_socket_can_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = Path(os.environ["XDG_RUNTIME_DIR"]) / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(ConfigError, match="107 bytes"):
        place_of("main")


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom perptui.desk.lifecycle import Lock\n"
        "lock = Lock(Path(sys.argv[1]))\nprint(lock.take(), flush=True)\nsys.stdin.read()\n"
    )
    file = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        lock = Lock(file)
        assert not lock.take()
        holder.kill()
        holder.wait()
        assert lock.take()
        lock.give_back()
        lock.give_back()


def test_the_demo_trades_what_the_history_holds(tmp_path: Path) -> None:
    assert coins_of(GENERATED) == COINS
    (tmp_path / "binance").mkdir()
    (tmp_path / "binance" / "SOLUSDT-1h.parquet").touch()
    replay = SimulatorSettings(seed=7, data=str(tmp_path), start="2024-08-04T12:00Z", speed=60.0)
    assert coins_of(replay) == ("SOL",)
    empty = SimulatorSettings(seed=7, data=str(tmp_path / "binance"), start="", speed=1.0)
    with pytest.raises(InputError, match="point --data"):
        coins_of(empty)
    with pytest.raises(InputError, match="2024-08-04T12:00Z"):
        coins_of(SimulatorSettings(seed=7, data="", start="yesterday", speed=1.0))


def test_a_new_demo_keeps_the_earlier_journal_and_forgets_its_market() -> None:
    state = paths.state_dir("demo")
    for part in ("", "-wal"):
        (state / f"journal.db{part}").write_text(f"old{part}")
    (state / "history").mkdir()
    (state / "KILL").touch()
    put_aside(ManualClock(parse_iso("2024-08-05T07:20:00Z") + 123))
    assert (state / "journal-20240805T072000Z.db").read_text() == "old"
    assert (state / "journal-20240805T072000Z.db-wal").read_text() == "old-wal"
    assert not (state / "journal.db").exists()
    assert not (state / "history").exists()
    assert not (state / "KILL").exists()
    put_aside(SystemClock())


def test_a_simulated_venue_that_is_killed_says_its_code_and_is_reaped(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("what an earlier one said\n")
    venue = SimulatedVenue(tmp_path / "venue.sock", tmp_path / "log")
    venue.spawn(GENERATED)
    assert venue.process is not None
    venue.process.kill()
    os.waitid(os.P_PID, venue.process.pid, os.WEXITED | os.WNOWAIT)
    assert venue.failure.startswith("the simulated venue was ended by signal 9; see ")
    with pytest.raises(ChildProcessError):
        os.waitpid(venue.process.pid, os.WNOHANG)
    venue.end()


def test_a_simulated_venue_that_was_never_started_ends_quietly(tmp_path: Path) -> None:
    venue = SimulatedVenue(tmp_path / "venue.sock", tmp_path / "log")
    assert venue.failure == ""
    venue.end()
