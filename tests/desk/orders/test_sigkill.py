"""SIGKILL between "confirmed" and "filled", in a real process at the real simulated venue.

After a restart: no order twice, none lost, positions agree, the chain verifies, sending unlocked.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from tests.desk.sigkill_desk import SPEED, STOPPING

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

ROOT = Path(__file__).resolve().parents[3]
CONTROL_HOST = "control.perptui"
ORDER = "/fapi/v1/order"
ALGO = "/fapi/v1/algoOrder"


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket, to the simulated venue's side door."""

    def __init__(self, path: str) -> None:
        super().__init__(CONTROL_HOST)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class SimulatedVenueProcess:
    """`perptui simulate` as a child."""

    def __init__(self, path: str) -> None:
        self.path = path
        command = [sys.executable, "-m", "perptui", "simulate", "--socket", path]
        self.child = subprocess.Popen(
            [*command, "--seed", "11", "--speed", str(SPEED)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.child.stdout is not None
        assert self.child.stdout.readline().startswith("ready")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        connection = SocketConnection(self.path)
        payload = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json", "X-Orig-Host": CONTROL_HOST}
        connection.request(method, path, payload, headers)
        answer = connection.getresponse().read()
        connection.close()
        return msgspec.json.decode(answer)

    def orders(self) -> Counter[str]:
        """Client ids of every order the exchange took, with how often."""
        taken = Counter[str]()
        for row in self.ask("GET", "/history"):
            if row["method"] == "POST" and row["path"] == ORDER and row["status"] == 200:
                fields = parse_qs(row["query"]) | parse_qs(row["body"])
                taken[fields["newClientOrderId"][0]] += 1
        return taken

    def stops(self) -> Counter[str]:
        """Client ids of every stop the exchange took, with how often."""
        taken = Counter[str]()
        for row in self.ask("GET", "/history"):
            if (row["method"], row["path"], row["status"]) == ("POST", ALGO, 200):
                fields = parse_qs(row["query"]) | parse_qs(row["body"])
                taken[fields["clientAlgoId"][0]] += 1
        return taken

    def end(self) -> None:
        self.child.terminate()
        self.child.wait(10)
        if self.child.stdout is not None:
            self.child.stdout.close()


@pytest.fixture
def venue() -> Iterator[SimulatedVenueProcess]:
    """A venue of its own: what earlier desks asked would count against this one's minute."""
    with tempfile.TemporaryDirectory(prefix="pt-") as folder:
        process = SimulatedVenueProcess(f"{folder}/venue.sock")
        yield process
        process.end()


def desk(venue: SimulatedVenueProcess, folder: Path, task: str, point: str = "") -> Any:
    """Start the desk process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.desk.sigkill_desk", venue.path, str(folder), task, point],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: Any) -> dict[str, Any]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    report: dict[str, Any] = msgspec.json.decode(output)
    return report


def require_whole(venue: SimulatedVenueProcess, report: dict[str, Any]) -> None:
    """No order twice, none unknown, positions agree without help, the chain verifies."""
    taken = venue.orders()
    assert all(taken[client_id] <= 1 for client_id in report["client_ids"])
    states = dict(zip(report["client_ids"], report["states"], strict=True))
    for client_id, state in states.items():
        assert (taken[client_id] == 1) == (state == "FILLED")
    assert report["ours"] == report["theirs"]
    assert (report["external"], report["alarms"]) == (0, 0)
    assert report["verified"] is True
    assert report["locked"] == ""
    assert report["tickets"] == ["DONE"]


@pytest.mark.parametrize(
    ("point", "states"),
    [
        ("confirmed", ["NOT_SENT", "NOT_SENT"]),
        ("sending", ["NEVER_ACCEPTED", "NOT_SENT"]),
        ("answered", ["FILLED", "NOT_SENT"]),
        ("recorded", ["FILLED", "NOT_SENT"]),
    ],
)
def test_a_killed_desk_starts_again_without_a_double(
    venue: SimulatedVenueProcess, tmp_path: Path, point: str, states: list[str]
) -> None:
    killed = desk(venue, tmp_path, "deal", point)
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    report = told(desk(venue, tmp_path, "recover"))
    assert report["states"] == states
    require_whole(venue, report)


def test_killed_while_the_venue_has_the_order_and_its_answer_hangs(
    venue: SimulatedVenueProcess, tmp_path: Path
) -> None:
    before = venue.orders().total()
    fault = {"endpoint": f"POST {ORDER}", "nth": 1, "kind": "hang", "seconds": 30.0}
    venue.ask("POST", "/faults", [fault])
    process = desk(venue, tmp_path, "deal")
    deadline = time.monotonic() + 60
    while venue.orders().total() == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None
    process.kill()
    process.communicate(timeout=60)
    venue.ask("POST", "/faults", [])
    report = told(desk(venue, tmp_path, "recover"))
    assert report["states"] == ["FILLED", "NOT_SENT"]
    require_whole(venue, report)


def test_a_desk_that_is_not_killed_fills_both_legs(
    venue: SimulatedVenueProcess, tmp_path: Path
) -> None:
    report = told(desk(venue, tmp_path, "deal"))
    assert report["states"] == ["FILLED", "FILLED"]
    assert report["phase"] == "done"
    require_whole(venue, report)


@pytest.mark.parametrize(
    ("point", "states", "alarms"),
    [
        # The stop never left: that what was filled is not protected is for a person to know.
        ("sending#2", ["FILLED", "NEVER_ACCEPTED", "NOT_SENT", "NOT_SENT"], 1),
        ("answered#2", ["FILLED", "OPEN", "NOT_SENT", "NOT_SENT"], 0),
    ],
)
def test_a_ticket_with_stops_is_killed_without_a_double_or_an_unknown(
    venue: SimulatedVenueProcess, tmp_path: Path, point: str, states: list[str], alarms: int
) -> None:
    folder = tmp_path / STOPPING
    folder.mkdir(mode=0o700)
    killed = desk(venue, folder, "deal", point)
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    report = told(desk(venue, folder, "recover"))
    assert report["states"] == states
    assert (report["locked"], report["verified"]) == ("", True)
    assert (report["external"], report["alarms"]) == (0, alarms)
    assert report["ours"] == report["theirs"]
    orders, stops = venue.orders(), venue.stops()
    legs = list(zip(report["client_ids"], states, strict=True))
    for place, (client_id, state) in enumerate(legs):
        taken = stops if place % 2 else orders
        assert taken[client_id] == (state in {"FILLED", "OPEN"})
