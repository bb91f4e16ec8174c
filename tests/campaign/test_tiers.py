"""A small slice of each tier, and that each can fail."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from perptui.model.order import LegState
from tests.campaign import fuzz, machines, monkeys, wire
from tests.campaign.__main__ import OTHERS, arguments
from tests.campaign.coverage import Coverage
from tests.campaign.invariants import faults_of
from tests.campaign.mutant_table import MUTANTS
from tests.campaign.payload_parsers import Parser, documented, encoded, parsed, simulated
from tests.campaign.shell import replay
from tests.tui.terminal import ROOT

pytestmark = pytest.mark.unmeasured


def test_every_parser_reads_its_own_payload() -> None:
    for name, parser in {**documented(), **simulated()}.items():
        if name != "error":
            assert faults_of(parsed(parser, encoded(parser.payload))) == [], name


def test_a_slice_of_the_parser_fuzz_finds_nothing() -> None:
    result = fuzz.run(4000, 7)
    assert result.violations == []
    assert result.ok


def test_the_fuzz_is_the_same_for_the_same_seed() -> None:
    parsers = sorted(documented().items())
    assert fuzz.drawn(parsers, 3)[2] == fuzz.drawn(parsers, 3)[2]
    assert fuzz.drawn(parsers, 3)[2] != fuzz.drawn(parsers, 4)[2]


def test_the_fuzz_finds_a_parser_that_lets_things_through() -> None:
    """One that believes a fill beyond the order, and one that quotes what it was given."""
    good = documented()["queried"]

    def careless(body: bytes) -> object:
        report = good.parse(body)
        return type(report)(**{**_fields(report), "state": LegState.FILLED, "filled": 9})

    assert fuzz.broken(Parser(good.payload, careless), encoded(good.payload))
    hostile = Parser({}, lambda body: (body.decode(),))
    assert fuzz.broken(hostile, b"\x1b[2J")


def test_a_slice_of_the_kills_in_a_process_without_threads() -> None:
    command = [sys.executable, "-m", "tests.campaign.kills", "--sessions", "3", "--from-seed", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 kills" in done.stdout


def test_a_slice_of_the_machines_finds_nothing() -> None:
    assert machines.run(8, machines.STEPS, 5).violations == []


def test_the_machines_find_a_venue_that_takes_everything_twice() -> None:
    """A submit that goes out twice is seen at the first ticket that is sent."""

    class Careless(machines.OrderPath):
        def start(self) -> None:
            super().start()
            self.venue.before = self.venue.submitted.append

    path = Careless()
    path.start()
    path.reconcile()
    path.open_ticket(reduce_btc=True, reduce_eth=False, add=False)
    path.confirm()
    assert len(path.venue.submitted) == 2
    with pytest.raises(AssertionError):
        path.nothing_twice_and_nothing_unconfirmed()
    path.leave()


def test_a_few_monkeys_at_a_served_picture() -> None:
    for case in (0, 2):
        result = monkeys.run(1, case)
        assert result.violations == []


def _fields(record: object) -> dict[str, object]:
    names: tuple[str, ...] = getattr(record, "__struct_fields__", ())
    return {name: getattr(record, name) for name in names}


def test_a_slice_of_the_wire_sessions_finds_nothing() -> None:
    coverage = Coverage()
    result = wire.run(4, 3, coverage)
    assert result.violations == []
    assert len(coverage.rows()) >= 4


def test_a_wire_session_repeats_itself() -> None:
    first = asyncio.run(wire.play(12, Coverage()))
    assert first == asyncio.run(wire.play(12, Coverage()))
    assert len(first[1]) > 10


@pytest.mark.parametrize("tier", OTHERS)
def test_the_command_that_plays_a_case_again_is_one_that_the_campaign_takes(tier: str) -> None:
    words = replay(tier, 7).split()
    assert words[:3] == ["python", "-m", "tests.campaign"]
    given = arguments(words[3:])
    assert (given.only, given.seed) == (tier, 7)


def test_a_case_is_played_again_by_its_command() -> None:
    words = [sys.executable, *replay("fuzz", 7).split()[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fuzz 7: no violation" in done.stdout


def test_a_mutant_that_survives_can_be_hunted_alone_and_one_unknown_is_refused() -> None:
    assert arguments(["--mutant", MUTANTS[0].name]).mutants
    with pytest.raises(SystemExit):
        arguments(["--mutant", "none of them"])
