"""Runs sessions one after another, checks each, and tells how it went."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import msgspec

from perptui.model.order import LegState
from tests.campaign.checker import check
from tests.campaign.coverage import Coverage, TierResult
from tests.campaign.record import read
from tests.campaign.session import Played, play, template
from tests.campaign.shell import collected_rarely
from tests.campaign.themes import Theme
from tests.campaign.truth import Calm, Life, Over
from tests.campaign.virtual import VirtualLoop

TWICE_EVERY = 100
"""Every so many seeds a session is played twice and must have the same history."""
REPLAYED_EVERY = 4
"""Every so many seeds, and wherever a process died, the journal is replayed for I12."""


class Verdict(msgspec.Struct, frozen=True):
    """What came of one session."""

    seed: int
    violations: list[str]
    history: bytes = b""


class Stage:
    """Where sessions are played: a folder in memory, an empty journal, an event loop."""

    def __enter__(self) -> Stage:
        memory = Path("/dev/shm")
        self._folder = Path(tempfile.mkdtemp(prefix="pt-", dir=memory if memory.is_dir() else None))
        self._template = template(self._folder)
        self._loop = VirtualLoop()
        asyncio.set_event_loop(self._loop)
        self.coverage = Coverage()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.close()
        asyncio.set_event_loop(None)
        shutil.rmtree(self._folder)

    def judge(self, seed: int, *, keep: bool = False, theme: Theme | None = None) -> Verdict:
        """Play a session and hold its journal against its truth; `keep` its history too."""
        folder = self._folder / str(seed)
        folder.mkdir(mode=0o700)
        try:
            played = play(seed, self._template, folder, self._loop, theme)
            self.coverage.add(played.coverage)
            self._note_parts(played)
            return Verdict(seed, self._violations(played), history_of(played) if keep else b"")
        finally:
            shutil.rmtree(folder)

    def _note_parts(self, played: Played) -> None:
        """Count the orders that the venue ended when a part of them was filled."""
        for over in played.truth.all(Over):
            if over.filled and over.state is not LegState.FILLED:
                self.coverage.note(f"partial fill, then {over.state}", "venue", "happened")

    def _violations(self, played: Played) -> list[str]:
        if played.problems and not played.truth.all(Calm):
            return [f"I5: {problem}" for problem in played.problems]
        died = any(life.what == "died" for life in played.truth.all(Life))
        return [
            *(f"I5: {problem}" for problem in played.problems),
            *check(
                played.truth.entries,
                played.journal,
                played.settings,
                replay=died or played.seed % REPLAYED_EVERY == 0,
            ),
        ]

    def judge_twice(self, seed: int) -> list[str]:
        """Return what is wrong with a session; every hundredth must repeat to the byte."""
        twice = seed % TWICE_EVERY == 0
        verdict = self.judge(seed, keep=twice)
        if twice and self.judge(seed, keep=True).history != verdict.history:
            return [*verdict.violations, f"played twice, the histories differ: seed {seed}"]
        return verdict.violations


def history_of(played: Played) -> bytes:
    """Return the true history and the journal's events but for the process that wrote them."""
    lines = [
        f"{line.seq} {line.ts} {line.uid} {line.kind} {_plain(line.body, line.text)}"
        for line in read(played.journal).lines
    ]
    return played.truth.lines() + "\n".join(lines).encode()


def _plain(body: dict[str, object], text: str) -> str:
    return text.replace(f'"pid":{body["pid"]},', "") if "pid" in body else text


def run_seeds(seeds: Iterable[int]) -> tuple[TierResult, Coverage]:
    """Judge the sessions of `seeds`."""
    began, done, violations = time.perf_counter(), 0, []
    wanted = list(seeds)
    with collected_rarely() as collect, Stage() as stage:
        for seed in wanted:
            found = stage.judge_twice(seed)
            violations += [f"{text}; {replay_command(seed)}" for text in found[:3]]
            done += 1
            collect()
    seconds = time.perf_counter() - began
    return TierResult("sessions", len(wanted), done, violations, seconds), stage.coverage


def replay_command(seed: int) -> str:
    """Return what a person types to see that session again."""
    return f"python -m tests.campaign --seed {seed}"
