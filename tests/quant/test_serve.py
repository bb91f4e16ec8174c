import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from perptui.history.dataset import History
from perptui.model.jobs import (
    NO_MARKET,
    AppendHistory,
    AskHistory,
    BarSeries,
    EstimateDone,
    EstimateJob,
    HistoryReach,
    Job,
    JobFailed,
    JobReply,
    JobRequest,
    JobResult,
    ProposedAgain,
    ProposeDone,
    ProposeJob,
    decode_reply,
    encode,
    identity_of,
    on_market,
)
from perptui.protocol.frames import Deframer, frame
from perptui.quant.estimate import estimate
from perptui.quant.serve import answer_frame, serve
from perptui.quant.worker import Worker
from perptui.settings.load import load
from tests.quant.markets import BALANCED, bars_of, closes, market, snapshot

PATIENCE_S = 60.0


class Asker:
    """The desk's end of a socketpair."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.settimeout(PATIENCE_S)
        self._deframer = Deframer()
        self._number = 0

    def ask(self, job: Job, holds: str = "") -> JobReply:
        self._number += 1
        self.connection.sendall(frame(encode(JobRequest(self._number, job, holds))))
        reply = self.reply()
        assert reply.number == self._number
        return reply

    def reply(self) -> JobReply:
        while True:
            data = self.connection.recv(1 << 20)
            assert data, "expected an answer, was the end of the process"
            for payload in self._deframer.feed(data):
                return decode_reply(payload)


def start(history: Path, log: Path) -> tuple[Asker, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "perptui.quant.serve", "--fd", str(theirs.fileno())]
    command += ["--history", str(history), "--log", str(log)]
    with theirs:
        process = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
    return Asker(ours), process


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[Asker, subprocess.Popen[bytes]]]:
    market(History(tmp_path / "history"), [("binanceusdm", "BTC"), ("binanceusdm", "ETH")], 60)
    asker, running = start(tmp_path / "history", tmp_path / "quant.log")
    yield asker, running
    asker.connection.close()
    if running.poll() is None:
        running.kill()
    running.wait(PATIENCE_S)


@pytest.mark.slow
def test_the_process_answers_every_kind_of_job_and_ends_at_eof(
    process: tuple[Asker, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    asker, running = process
    history = History(tmp_path / "history")
    reach = asker.ask(AskHistory()).result
    assert isinstance(reach, HistoryReach)
    assert reach.last_ms == history.reach()
    kept = asker.ask(
        AppendHistory((BarSeries("binanceusdm", "XRPUSDT", "1h", bars_of(closes(2, 3))),))
    ).result
    assert isinstance(kept, HistoryReach)
    assert "binanceusdm/XRPUSDT-1h" in kept.last_ms

    contracts = market(history, [("binanceusdm", "BTC"), ("binanceusdm", "ETH")], 60)
    job = EstimateJob(snapshot(contracts), BALANCED)
    first = asker.ask(job)
    assert isinstance(first.result, EstimateDone)
    assert encode(first.result.estimates) == encode(estimate(job, history))
    assert 0 < first.seconds < PATIENCE_S

    settings = load(None, {"desk.mode": "paper"}).settings
    proposed = asker.ask(ProposeJob(job.snapshot, BALANCED, settings.limits)).result
    assert isinstance(proposed, ProposeDone)
    assert proposed.proposal.status in {"ok", "no_trade"}
    assert encode(proposed.estimates) == encode(first.result.estimates)
    assert proposed.estimates_id == identity_of(first.result.estimates)
    again = asker.ask(ProposeJob(job.snapshot, BALANCED, settings.limits), proposed.estimates_id)
    assert isinstance(again.result, ProposedAgain)
    assert again.result.proposal.digest == proposed.proposal.digest
    other = asker.ask(ProposeJob(job.snapshot, BALANCED, settings.limits), "of another hour")
    assert isinstance(other.result, ProposeDone)

    asker.connection.close()
    assert running.wait(PATIENCE_S) == 0


@pytest.mark.slow
def test_the_process_stands_apart_and_prints_to_its_log_only(
    process: tuple[Asker, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    asker, running = process
    asker.ask(AskHistory())
    assert os.getsid(running.pid) == running.pid
    assert os.getpriority(os.PRIO_PROCESS, running.pid) >= 5
    log = tmp_path / "quant.log"
    for fd in (1, 2):
        assert Path(f"/proc/{running.pid}/fd/{fd}").readlink() == log
    assert log.stat().st_mode & 0o777 == 0o600
    assert "ready" in log.read_text()
    running.send_signal(signal.SIGINT)
    assert isinstance(asker.ask(AskHistory()).result, HistoryReach)


@pytest.mark.slow
def test_the_process_dies_with_its_parent(tmp_path: Path) -> None:
    """The parent holds both ends open and is killed: no EOF ends the child, its death does."""
    script = (
        "import socket, subprocess, sys, time\n"
        "a, b = socket.socketpair()\n"
        "for end in (a, b): end.set_inheritable(True)\n"
        "child = subprocess.Popen([sys.executable, '-m', 'perptui.quant.serve', '--fd',\n"
        "    str(b.fileno()), '--history', sys.argv[1], '--log', sys.argv[2]], close_fds=False)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    log = tmp_path / "quant.log"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(log)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + PATIENCE_S
    while not (log.is_file() and "ready" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait(PATIENCE_S)
    parent.stdout.close()
    while _alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(History(tmp_path))


def test_requests_are_answered_in_their_order_until_eof(worker: Worker) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        both = b"".join(frame(encode(JobRequest(n, AskHistory()))) for n in (7, 8))
        ours.sendall(both)
        ours.shutdown(socket.SHUT_WR)
        serve(theirs, worker)
        deframer = Deframer()
        numbers = [decode_reply(p).number for p in deframer.feed(ours.recv(1 << 16))]
        assert numbers == [7, 8]


def test_a_reset_connection_is_an_end(worker: Worker) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    linger = (1).to_bytes(4, sys.byteorder) + (0).to_bytes(4, sys.byteorder)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    ours.close()
    with theirs, listener:
        serve(theirs, worker)
        # It came back because the line was reset, and the reset was taken off the line.
        assert theirs.recv(1) == b""


def test_a_job_that_cannot_be_read_is_refused_by_its_number(worker: Worker) -> None:
    payload = msgspec.msgpack.encode({"number": 41, "job": {"type": "Nonsense"}})
    (answer,) = Deframer().feed(answer_frame(payload, worker))
    reply = decode_reply(answer)
    assert reply.number == 41
    assert isinstance(reply.result, JobFailed)
    assert reply.result.kind == "ProtocolError"
    with pytest.raises(msgspec.MsgspecError):
        answer_frame(b"\xc1", worker)


def test_a_job_on_the_market_before_is_answered_as_if_it_were_sent(tmp_path: Path) -> None:
    history = History(tmp_path)
    contracts = market(history, [("binanceusdm", "BTC"), ("binanceusdm", "ETH")], 60)
    worker, job = Worker(history), EstimateJob(snapshot(contracts), BALANCED)

    def answered(number: int, asked: Job, *, same_market: bool = False) -> JobResult:
        payload = encode(JobRequest(number, asked, same_market=same_market))
        (answer,) = Deframer().feed(answer_frame(payload, worker))
        result = decode_reply(answer).result
        assert not isinstance(result, ProposedAgain)
        return result

    bare = on_market(job, NO_MARKET)
    refused = answered(1, bare, same_market=True)
    assert isinstance(refused, JobFailed)
    assert refused.text == "expected a market before the job, was none; ask again"
    whole = answered(2, job)
    assert isinstance(whole, EstimateDone)
    assert answered(3, bare, same_market=True) == whole
    # A job about no market leaves it alone.
    assert isinstance(answered(4, on_market(AskHistory(), NO_MARKET)), HistoryReach)
    assert answered(5, bare, same_market=True) == whole
    assert len(encode(bare)) < len(encode(job)) / 2


def test_an_answer_too_long_for_a_frame_is_refused(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perptui.quant.serve.MAX_FRAME", 20)
    (answer,) = Deframer().feed(answer_frame(encode(JobRequest(5, AskHistory())), worker))
    result = decode_reply(answer).result
    assert isinstance(result, JobFailed)
    assert "ask for less" in result.text
