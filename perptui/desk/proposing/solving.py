"""One solve after the other: the newest question wins, and what fails leaves what stood."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from perptui.desk.proposing.posing import Posing
from perptui.desk.proposing.stands import Stands
from perptui.desk.proposing.steps import Mark, Step, Steps
from perptui.desk.worker import QuantWorker, SupersededError
from perptui.model.clock import Clock
from perptui.model.errors import WorkerError
from perptui.model.jobs import EstimateDone, ProposeDone, ProposeJob
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf

SOLVE_TIMEOUT_S = 60.0
"""Long enough for the first job, which also pays the process's imports on a busy machine."""


Answer = tuple[ProposeDone | EstimateDone, ProposeJob]


class Request(msgspec.Struct, eq=False):
    """A solve that is asked for, and where the steps and the strategy stood then."""

    mark: Mark
    strategy: str
    turn: asyncio.Event
    overtaken: bool = False


class Solving:
    """Asks the quant process for what is asked of the desk, and lets the answer stand.

    Parameters
    ----------
    clock : Clock
        Monotonic time, for the proposal's age.
    market : callable
        Returns the market to solve on, or why there is none.
    lasts_s : float
        How long a proposal may be planned with.
    """

    def __init__(
        self,
        worker: QuantWorker,
        posing: Posing,
        steps: Steps,
        stands: Stands,
        clock: Clock,
        market: Callable[[], MarketSnapshot | str],
        lasts_s: float,
    ) -> None:
        self._worker = worker
        self._posing = posing
        self._steps = steps
        self._stands = stands
        self._clock = clock
        self._market = market
        self._lasts_s = lasts_s
        self._open: list[Request] = []

    @property
    def typed(self) -> tuple[Step, ...]:
        """The previews under way: each comes back where all that was asked after it fails."""
        previews = (request.mark.preview for request in self._open)
        return tuple(preview for preview in previews if preview is not None)

    async def solve(self) -> None:
        """Solve for what is asked; where that fails, what stood before stands again.

        A newer question takes the place of one under way. That one is answered with it: done once
        the newer one stands; where the newer one fails, it is its own turn again.

        Raises
        ------
        WorkerError
            When it cannot be made, with why.
        """
        request = Request(self._steps.mark(), self._posing.strategy, asyncio.Event())
        self._open.append(request)
        self._stands.await_answer()
        try:
            while not request.overtaken and not await self._solved(request):
                pass
        except WorkerError as error:
            self._give_up(request, str(error))
            raise
        finally:
            self._end(request)

    def settle(self, bent: WhatIf) -> None:
        """Note a step whose answer stands already, and may be under way again."""
        for request in self._open:
            if request.mark.now == bent:
                request.mark = self._steps.mark()
        self._stands.settle(bent)

    async def _solved(self, request: Request) -> bool:
        """Ask once; return whether the answer stands."""
        try:
            answer: Answer | WorkerError | None = await self._ask()
        except SupersededError:
            answer = None
        except WorkerError as error:
            answer = error
        while self._open[-1:] != [request] and not request.overtaken:
            request.turn.clear()
            await request.turn.wait()
        if request.overtaken or answer is None:
            return request.overtaken
        if isinstance(answer, WorkerError):
            raise answer
        self._take(*answer)
        return True

    async def _ask(self) -> Answer:
        market = self._market()
        if isinstance(market, str):
            raise WorkerError(f"nothing to propose from: {market}")
        job = self._posing.job(market, self._steps.now)
        result = await self._worker.ask(
            self._posing.sent(job), "solving", SOLVE_TIMEOUT_S, replaces="solve"
        )
        if not isinstance(result, ProposeDone | EstimateDone):
            raise WorkerError(f"expected a proposal, was {type(result).__name__}; solve again")
        return result, job

    def _take(self, result: ProposeDone | EstimateDone, job: ProposeJob) -> None:
        """Let an answer stand: whatever was asked before it is answered too."""
        for request in self._open:
            request.overtaken = True
            request.turn.set()
        self._open.clear()
        self._posing.learn(job, result)
        self._stands.take(result, job, self._clock.monotonic(), self._lasts_s)

    def _give_up(self, request: Request, failure: str) -> None:
        """Go back to what stands, or to the one before that is under way."""
        if self._open == [request]:
            self._stands.fall_back(failure)

    def _end(self, request: Request) -> None:
        """Give the turn to the one before; a no of it is one that waits for nothing more."""
        if request not in self._open:
            return
        newest = self._open[-1] is request
        self._open.remove(request)
        if newest and self._open:
            before = self._open[-1]
            self._steps.restore(before.mark)
            self._posing.strategy = before.strategy
            self._stands.await_answer()
            before.turn.set()
