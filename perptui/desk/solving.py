"""One solve after the other: the newest question wins, and what fails leaves what stood."""

from __future__ import annotations

from collections.abc import Callable

from perptui.desk.posing import Posing
from perptui.desk.stands import Stands
from perptui.desk.steps import Steps
from perptui.desk.worker import QuantWorker, SupersededError
from perptui.model.clock import Clock
from perptui.model.errors import WorkerError
from perptui.model.jobs import EstimateDone, ProposeDone
from perptui.model.snapshot import MarketSnapshot

SOLVE_TIMEOUT_S = 60.0
"""Long enough for the first job, which also pays the process's imports on a busy machine."""


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
        self._asked = 0

    async def solve(self) -> None:
        """Solve for what is asked; where that fails, what stood before stands again.

        Raises
        ------
        WorkerError
            When it cannot be made, with why.
        """
        self._asked += 1
        mine = self._asked
        self._stands.await_answer()
        try:
            await self._ask(mine)
        except SupersededError:
            return
        except WorkerError as error:
            if mine == self._asked:
                self._stands.fall_back(str(error))
            raise

    async def _ask(self, mine: int) -> None:
        market = self._market()
        if isinstance(market, str):
            raise WorkerError(f"nothing to propose from: {market}")
        job = self._posing.job(market, self._steps.now)
        result = await self._worker.ask(
            self._posing.sent(job), "solving", SOLVE_TIMEOUT_S, replaces="solve"
        )
        if not isinstance(result, ProposeDone | EstimateDone):
            raise WorkerError(f"expected a proposal, was {type(result).__name__}; solve again")
        if mine != self._asked:
            raise SupersededError("expected the latest what-if, was an earlier one; ignore it")
        self._posing.learn(job, result)
        self._stands.take(result, job, self._clock.monotonic(), self._lasts_s)
