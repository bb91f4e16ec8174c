"""Where a desk lives, that it lives once, and the simulated venue it may have as a child."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.model.clock import iso
from perptui.model.errors import ConfigError, InputError
from perptui.model.text import safe_text
from perptui.settings import paths
from perptui.settings.credentials import without_secrets
from perptui.settings.schema import Settings, SimulatorSettings
from perptui.settings.sockets import remove_stale

LEFT = b"left"
"""What a private desk writes to its terminal's line when it is asked to go on without it."""
JOURNAL_PARTS = ("", "-wal", "-shm")
PEAK = "peak"
"""File of the highest equity, in the state directory."""
PAPER = "paper.json"
"""File of the account of paper mode on a real market, in the state directory."""
READY = "ready "
"""How the line begins that a simulated venue says when it listens."""
PATIENCE_S = 3.0
"""How long a child may take to end by itself after EOF."""


class DeskPaths(msgspec.Struct, frozen=True):
    """Files of one desk. `history` is the quant process's own."""

    socket: Path
    lock: Path
    state: Path
    journal: Path
    history: Path
    log: Path
    quant_log: Path
    simulator_log: Path
    simulator_socket: Path
    peak: Path
    paper: Path


def desk_paths(settings: Settings) -> DeskPaths:
    """Return where the desk's files are; directories are made 0700.

    A simulated market's history is kept apart from real history, in the state directory.

    Raises
    ------
    ConfigError
        When a directory cannot be used, or a socket's path is too long.
    """
    name = settings.desk.name
    state = paths.state_dir(name)
    simulated = any(venue.endpoint == "simulated" for venue in settings.venues.values())
    history = state / "history" if simulated else paths.history_dir()
    return DeskPaths(
        socket=paths.socket_file(name, settings.desk.socket_dir),
        lock=state / "desk.lock",
        state=state,
        journal=paths.journal_file(name),
        history=paths.private_directory(history),
        log=paths.log_file(name, "desk"),
        quant_log=paths.log_file(name, "quant"),
        simulator_log=paths.log_file(name, "simulator"),
        simulator_socket=paths.socket_file(name, name="venue"),
        peak=state / PEAK,
        paper=state / PAPER,
    )


class Lock:
    """An advisory lock that its holder's end releases, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self) -> bool:
        """Return True when the lock is ours now; False while another process has it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def give_back(self) -> None:
        """Release the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def refuse_second(path: Path, desk: str) -> Lock:
    """Return the desk's lock.

    Raises
    ------
    ConfigError
        When a desk of this name runs already.
    """
    lock = Lock(path)
    if not lock.take():
        raise ConfigError(
            f"expected no other desk named {desk}, was one running; attach to it with `perptui`, "
            "or give this one another name"
        )
    return lock


def forget_market(files: DeskPaths, utc_ms: int) -> None:
    """Put aside what an earlier simulated market left, which a new market does not continue.

    Its journal is kept beside, under its time `utc_ms`: orders and positions of an account that is
    gone would all be changes that nobody here made.
    """
    shutil.rmtree(files.history, ignore_errors=True)
    paths.private_directory(files.history)
    files.peak.unlink(missing_ok=True)
    put_aside_journal(files.journal, utc_ms)


def put_aside_journal(journal: Path, utc_ms: int) -> None:
    """Rename a journal that no desk writes to, so that a new one can begin in its place."""
    if not journal.exists():
        return
    stamp = iso(utc_ms // 1000 * 1000).replace("-", "").replace(":", "")
    kept = journal.with_name(f"journal-{stamp}.db")
    for part in JOURNAL_PARTS:
        old = Path(f"{journal}{part}")
        if old.exists():
            old.rename(f"{kept}{part}")


def listens(path: Path) -> bool:
    """Return True when something accepts connections at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def end_by_signals(end: Callable[[], None]) -> None:
    """Have `end` called on the running loop by what ends a desk in order.

    A line that hangs up is none of it where that was to be ignored: `nohup perptui desk`.
    """
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, end)


class SimulatedVenue:
    """A simulated venue as a child: it ends when every holder of `leash` is gone.

    Parameters
    ----------
    path : Path
        Socket it listens on.
    log : Path
        Its output.
    """

    def __init__(self, path: Path, log: Path) -> None:
        self.path = path
        self._log = log
        self._log_start = 0
        self.leash: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self, market: SimulatorSettings, extra: tuple[str, ...] = ()) -> None:
        """Start it on a market of its own; it listens when `path` accepts connections."""
        self._spawn(
            (
                *("--seed", str(market.seed), "--speed", repr(market.speed)),
                *(("--data", market.data) if market.data else ()),
                *(("--start", market.start) if market.start else ()),
                *extra,
            )
        )

    def spawn_paper(self, account: Path, equity_usd: Decimal) -> None:
        """Start a paper account, kept in the file `account`, for a market that is fed to it."""
        self._spawn(("--paper", str(account), "--equity", str(equity_usd)))

    def _spawn(self, what: tuple[str, ...]) -> None:
        # The holder of the desk's lock takes over from a venue that is still ending.
        if self.path.is_socket():
            self.path.unlink(missing_ok=True)
        ours, theirs = socket.socketpair()
        arguments = [
            *("--socket", str(self.path), "--parent-fd", str(theirs.fileno())),
            *what,
        ]
        with theirs, self._log.open("ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(  # noqa: S603 (our own module, arguments made here)
                [sys.executable, "-m", "perptui", "simulate", *arguments],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=without_secrets(os.environ),
            )
        self.leash = ours

    @property
    def failure(self) -> str:
        """Why it ended, in words; "" while it runs."""
        if self.process is None or self.process.poll() is None:
            return ""
        said = self._log.read_bytes()[self._log_start :].decode("utf-8", "replace").splitlines()
        if not said or said[-1].startswith(READY):
            code = self.process.returncode
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            return f"the simulated venue {how}; see {self._log}"
        return f"the simulated venue ended: {safe_text(said[-1].removeprefix('perptui: '), 200)}"

    def end(self) -> None:
        """Let go of the leash and wait for its end; kill it when it does not come."""
        if self.leash is not None:
            self.leash.close()
            self.leash = None
        if self.process is None:
            return
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with suppress(InputError):
            remove_stale(self.path)
