"""The quant process: spawned, fed one job at a time, killed when it hangs, restarted when it dies.

It is started by module name over a socketpair and shares nothing but `perptui.model.jobs` with the
desk, so a crash of a C library there loses no order and no market data here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from perptui.model.clock import Clock
from perptui.model.errors import WorkerError
from perptui.model.jobs import (
    NO_MARKET,
    Job,
    JobFailed,
    JobRequest,
    JobResult,
    ProposedAgain,
    ProposeDone,
    decode_reply,
    encode,
    market_of,
    on_market,
)
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.frames import MAX_FRAME, frame
from perptui.settings.credentials import without_secrets

MODULE = "perptui.quant.serve"
NICE = 5
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
PATIENCE_S = 1.0
"""How long a process may take to end by itself after EOF."""
STEADY_S = 30.0
"""A life longer than this ends a series of restarts: the next delay is the first again."""

_LENGTH = struct.Struct(">I")
_log = logging.getLogger(__name__)


class SupersededError(WorkerError):
    """A newer job of the same kind took this one's place before it began."""


class Pending(msgspec.Struct, eq=False):
    """A job that waits or runs, and the future its asker awaits."""

    job: Job
    name: str
    timeout_s: float
    done: asyncio.Future[JobResult]
    replaces: str = ""
    background: bool = False


class QuantWorker:
    """One quant process and its queue.

    Parameters
    ----------
    history : Path
        Directory of market history that the process keeps.
    log : Path
        Its log; also its fd 1 and 2, where C libraries print.
    clock : Clock
        For how long the present job runs.
    name : str
        ``quant`` or ``batch``, for words on screen.
    changed : callable
        Called whenever `status` may read differently.
    """

    def __init__(
        self,
        history: Path,
        log: Path,
        clock: Clock,
        name: str = "quant",
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._history = history
        self._log_file = log
        self._clock = clock
        self._name = name
        self._changed = changed
        self._queue: deque[Pending] = deque()
        self._wake = asyncio.Event()
        self._running: Pending | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._number = 0
        self._held: ProposeDone | None = None
        self._market: MarketSnapshot | None = None
        self._status = "starting"
        self._closing = False
        self.restarts = 0

    @property
    def status(self) -> str:
        """What it does, in words: starting, idle, the job's name, restarting."""
        return self._status

    @property
    def pid(self) -> int | None:
        """Process id, None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Spawn the process now and keep it alive until `close`."""
        self._task = asyncio.create_task(self._live(), name=f"{self._name} worker")

    async def ask(
        self,
        job: Job,
        name: str,
        timeout_s: float,
        replaces: str = "",
        *,
        background: bool = False,
    ) -> JobResult:
        """Return the answer to `job`, after those before it.

        Parameters
        ----------
        name : str
            The job in a word, for the status line: "solving", "estimating"; "": not shown.
        timeout_s : float
            Monotonic seconds of running after which the process is killed.
        replaces : str
            A waiting job with the same word here is dropped: the latest what-if wins.
        background : bool
            After every job that is not.

        Raises
        ------
        WorkerError
            When the process refused the job, died in it, or took too long.
        SupersededError
            When a newer job took this one's place.
        """
        done: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        pending = Pending(job, name, timeout_s, done, replaces, background)
        if replaces:
            self._drop_waiting(replaces)
        self._queue.append(pending)
        self._wake.set()
        result = await pending.done
        if isinstance(result, JobFailed):
            raise WorkerError(result.text)
        return result

    async def close(self) -> None:
        """End the process: EOF first, a kill when that is not enough. Waiting jobs fail."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        error = WorkerError(f"expected a running {self._name} process, was closed; ask no more")
        self._end_running(error)
        while self._queue:
            _settle(self._queue.popleft(), error)

    def _drop_waiting(self, replaces: str) -> None:
        for pending in [entry for entry in self._queue if entry.replaces == replaces]:
            self._queue.remove(pending)
            _settle(
                pending,
                SupersededError("expected the latest what-if, was an earlier one; ignore it"),
            )

    async def _live(self) -> None:
        delay = FIRST_DELAY_S
        while True:
            born = self._clock.monotonic()
            await self._one_life()
            self.restarts += 1
            if self._clock.monotonic() - born > STEADY_S:
                delay = FIRST_DELAY_S
            self._say(f"restarting in {delay:.0f} s" if delay >= 1 else "restarting")
            _log.warning("%s process ended: starting another in %.1f s", self._name, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)

    async def _one_life(self) -> None:
        ours, theirs = socket.socketpair()
        self._market = None
        try:
            with theirs:
                self._process = self._spawn(theirs.fileno())
            reader, writer = await asyncio.open_connection(sock=ours, limit=2**20)
            with closing(writer):
                self._say("idle")
                await self._serve(reader, writer)
        except (OSError, EOFError, TimeoutError, msgspec.MsgspecError) as error:
            self._end_running(error)
        finally:
            ours.close()
            await self._reap()

    def _spawn(self, fd: int) -> subprocess.Popen[bytes]:
        arguments = ["--fd", str(fd), "--history", str(self._history), "--log", str(self._log_file)]
        with self._log_file.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 (our own module, arguments made here)
                [sys.executable, "-m", MODULE, *arguments],
                pass_fds=(fd,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=without_secrets(os.environ),
            )
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        return process

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.create_task(_read_frame(reader))
        try:
            while True:
                await self._next_job(ended)
                self._running = pending = self._take()
                writer.write(frame(encode(self._request(pending.job))))
                if pending.name:
                    self._say(pending.name)
                async with asyncio.timeout(pending.timeout_s):
                    payload = await ended
                ended = asyncio.create_task(_read_frame(reader))
                self._answer(payload, pending)
        finally:
            ended.cancel()
            with suppress(asyncio.CancelledError, OSError, EOFError):
                await ended

    def _request(self, job: Job) -> JobRequest:
        """Return the next request: what the process has already is not sent again."""
        self._number += 1
        holds = "" if self._held is None else self._held.estimates_id
        same = self._market is not None and market_of(job) is self._market
        return JobRequest(self._number, on_market(job, NO_MARKET) if same else job, holds, same)

    def _waiting(self) -> bool:
        """Return whether a job waits whose asker has not gone away meanwhile."""
        for pending in [entry for entry in self._queue if entry.done.done()]:
            self._queue.remove(pending)
        return bool(self._queue)

    def _take(self) -> Pending:
        """Take the first job out of the queue that is not in the background, else the first."""
        pending = next((entry for entry in self._queue if not entry.background), self._queue[0])
        self._queue.remove(pending)
        return pending

    async def _next_job(self, ended: asyncio.Task[bytes]) -> None:
        """Wait for a job; an answer or an end that nobody asked for is the end of this life."""
        while not self._waiting():
            self._say("idle")
            self._wake.clear()
            wake = asyncio.create_task(self._wake.wait())
            await asyncio.wait({wake, ended}, return_when=asyncio.FIRST_COMPLETED)
            wake.cancel()
            if ended.done():
                ended.result()
                raise EOFError("expected no answer without a job, was one; restart the process")

    def _answer(self, payload: bytes, pending: Pending) -> None:
        reply = decode_reply(payload)
        if reply.number != self._number:
            raise EOFError(
                f"expected answer {self._number}, was {reply.number}; restart the process"
            )
        result = self._whole(reply.result)
        self._running = None
        self._keep_market(pending.job, result)
        _log.info("%s %s: %.3f s", self._name, pending.name, reply.seconds)
        if not pending.done.done():
            pending.done.set_result(result)

    def _keep_market(self, job: Job, result: JobResult) -> None:
        """Note which market the process has: that of a job it answered."""
        market = market_of(job)
        if market is not None:
            self._market = None if isinstance(result, JobFailed) else market

    def _whole(self, result: JobResult | ProposedAgain) -> JobResult:
        """Return an answer with the estimates that were not sent again, and keep new ones."""
        if isinstance(result, ProposedAgain):
            if self._held is None:
                raise EOFError("expected estimates with a proposal, was none; restart the process")
            return msgspec.structs.replace(self._held, proposal=result.proposal)
        if isinstance(result, ProposeDone):
            self._held = result
        return result

    def _end_running(self, error: Exception) -> None:
        pending, self._running = self._running, None
        if pending is None:
            return
        if isinstance(error, TimeoutError):
            text = (
                f"expected {pending.name} within {pending.timeout_s:g} s, took longer; "
                "it was stopped, ask again"
            )
        else:
            text = f"expected an answer to {pending.name}, was the end of the process; ask again"
        _settle(pending, WorkerError(text))

    async def _reap(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if self._closing:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, PATIENCE_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)

    def _say(self, status: str) -> None:
        if status != self._status:
            self._status = status
            self._changed()


def _settle(pending: Pending, error: WorkerError) -> None:
    if not pending.done.done():
        pending.done.set_exception(error)


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_FRAME:
        raise EOFError(
            f"expected a frame up to {MAX_FRAME} bytes, was {length}; restart the process"
        )
    return await reader.readexactly(length)
