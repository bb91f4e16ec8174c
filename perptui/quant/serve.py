"""The quant process: jobs in, answers out, over one end of a socketpair.

``python -m perptui.quant.serve --fd N --history DIR [--log FILE]``. It ends when the other end
closes, or when its parent dies. Frames never travel on fd 0 to 2, which C libraries print to.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from perptui.model.jobs import (
    JobFailed,
    JobReply,
    JobRequest,
    JobResult,
    ProposedAgain,
    ProposeDone,
    decode_request,
    encode,
    on_market,
)
from perptui.model.pauses import spare
from perptui.protocol.frames import MAX_FRAME, Deframer, frame
from perptui.quant.threads import one_thread

if TYPE_CHECKING:
    from perptui.quant.worker import Worker

NICE = 5
READ_BYTES = 1 << 20
FIRST_WAIT_S = 1.0
"""How long the first request may take before imports go first."""
_PR_SET_PDEATHSIG = 1
_log = logging.getLogger(__name__)


class Numbered(msgspec.Struct):
    """The number of a request whose job cannot be read."""

    number: int


def main(argv: Sequence[str] | None = None) -> int:
    """Run the process until EOF; return its exit code."""
    args = _parser().parse_args(argv)
    _stand_apart(args.log)
    one_thread()
    with socket.socket(fileno=args.fd) as connection:
        serve(connection, _worker(args.history))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perptui.quant.serve", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="this end of the socketpair")
    parser.add_argument("--history", type=Path, required=True, help="directory of market history")
    parser.add_argument("--log", type=Path, help="file that fd 1 and 2 and the log go to")
    return parser


def _stand_apart(log: Path | None) -> None:
    """Leave the parent's session, yield to it, die with it, and print nowhere near it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    with suppress(PermissionError):
        os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if log is not None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.captureWarnings(capture=True)


def _worker(history: Path) -> Worker:
    from perptui.history.dataset import History
    from perptui.quant.worker import Worker

    return Worker(History(history))


def serve(connection: socket.socket, worker: Worker) -> None:
    """Answer requests in their order until the other end closes.

    What proposals need is imported in the pauses, a step a time: the desk's first question, what
    history there is, is answered before that, and whatever it sends meanwhile after one step.
    """
    deframer = Deframer()
    steps: Iterator[str] = worker.warm_up()
    warm = False
    wait_s = FIRST_WAIT_S
    _log.info("ready")
    while True:
        while not warm and not select.select([connection], [], [], wait_s)[0]:
            wait_s = 0.0
            warm = next(steps, None) is None
            if warm:
                # What was imported stays: a collection that looked through it took 60 ms.
                spare()
            _log.log(logging.INFO if warm else logging.DEBUG, "warm" if warm else "warming up")
        data = _received(connection)
        if not data:
            return
        for payload in deframer.feed(data):
            connection.sendall(answer_frame(payload, worker))
            wait_s = 0.0


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(READ_BYTES)
    except ConnectionResetError:
        return b""


def answer_frame(payload: bytes, worker: Worker) -> bytes:
    """Return the framed reply to one framed request's payload.

    Raises
    ------
    msgspec.MsgspecError
        When not even the request's number can be read: there is nobody to answer.
    """
    started = time.perf_counter()
    request = _request(payload)
    if isinstance(request, JobReply):
        return frame(encode(request))
    result = _without_held(_answered(request, worker), request.holds)
    seconds = time.perf_counter() - started
    reply = encode(JobReply(request.number, result, seconds))
    if len(reply) > MAX_FRAME:
        text = f"expected an answer up to {MAX_FRAME} bytes, was {len(reply)}; ask for less"
        reply = encode(JobReply(request.number, JobFailed("ProtocolError", text), seconds))
    return frame(reply)


def _answered(request: JobRequest, worker: Worker) -> JobResult:
    if not request.same_market:
        return worker.answer(request.job)
    if worker.market is None:
        return JobFailed("ProtocolError", "expected a market before the job, was none; ask again")
    return worker.answer(on_market(request.job, worker.market))


def _without_held(result: JobResult, held: str) -> JobResult | ProposedAgain:
    """Return an answer without the estimates that its asker holds."""
    if held and isinstance(result, ProposeDone) and result.estimates_id == held:
        return ProposedAgain(result.proposal)
    return result


def _request(payload: bytes) -> JobRequest | JobReply:
    try:
        return decode_request(payload)
    except msgspec.MsgspecError as error:
        number = msgspec.msgpack.decode(payload, type=Numbered).number
        text = f"expected a job: {error}; update perptui"
        return JobReply(number, JobFailed("ProtocolError", text), 0.0)


if __name__ == "__main__":
    sys.exit(main())
