"""The strategy in force, its proposal, and the stack of what-ifs around it.

A what-if is a set of fixed targets; every step of it, back and forth too, is solved anew on the
newest snapshot, so nothing that stands was made in place or from old prices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from perptui.desk.worker import QuantWorker, SupersededError
from perptui.model.clock import HOUR_MS, Clock
from perptui.model.errors import InputError, WorkerError
from perptui.model.forecast import Estimates
from perptui.model.jobs import EstimateDone, EstimateJob, ProposeDone, ProposeJob
from perptui.model.limit import Limits
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import WhatIf

SOLVE_TIMEOUT_S = 60.0
"""Long enough for the first job, which also pays the process's imports on a busy machine."""

HOLD_S = 0.25
"""How often an automatic solve looks whether the ticket that holds it up has ended."""

Edits = dict[str, float]


def _no_ticket() -> bool:
    return False


class ProposalPicture(msgspec.Struct, frozen=True):
    """What stands: the newest proposal and estimates, and where the what-if is.

    Attributes
    ----------
    state : str
        none, solving, ready or failed; while solving, the old proposal is still shown.
    failure : str
        Why the last solve failed, in words.
    edits : dict
        Fixed targets by instrument id.
    solved_mono, expires_mono : float | None
        When the proposal was made, and when it is too old to be confirmed.
    exposure_before : float | None
        Exposure scale of the previous bar.
    snapshot : MarketSnapshot | None
        What the proposal rests on.
    """

    strategy: str
    state: str = "none"
    failure: str = ""
    proposal: Proposal | None = None
    estimates: Estimates | None = None
    edits: Edits = {}
    can_undo: bool = False
    can_redo: bool = False
    solved_mono: float | None = None
    expires_mono: float | None = None
    exposure_before: float | None = None
    snapshot: MarketSnapshot | None = None

    def fresh(self, now_mono: float) -> bool:
        """Return True while the proposal may still be turned into a ticket."""
        return (
            self.state == "ready"
            and self.expires_mono is not None
            and now_mono <= self.expires_mono
        )


class Exposures:
    """Exposure scale of the bar before the present one, by strategy (for its rate limit)."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, float]] = {}
        self._before: dict[str, float] = {}

    def before(self, strategy: str, as_of_ms: int) -> float | None:
        """Return the scale of the bar before the one of `as_of_ms`."""
        last = self._last.get(strategy)
        if last is not None and last[0] < as_of_ms // HOUR_MS:
            return last[1]
        return self._before.get(strategy)

    def keep(self, strategy: str, as_of_ms: int, exposure: float) -> None:
        """Take the scale estimated at `as_of_ms`."""
        bar = as_of_ms // HOUR_MS
        last = self._last.get(strategy)
        if last is not None and last[0] < bar:
            self._before[strategy] = last[1]
        self._last[strategy] = (bar, exposure)


class Proposer:
    """Asks the quant process for proposals and keeps the newest.

    Parameters
    ----------
    snapshot : callable
        Returns the snapshot, or why there is none.
    max_age_s : float
        Monotonic seconds after which a proposal cannot be confirmed.
    proposes : bool
        False in view mode: estimates only.

    Attributes
    ----------
    held : callable
        True while a ticket waits for its confirmation, which nothing automatic may overtake.
    """

    def __init__(
        self,
        worker: QuantWorker,
        strategies: Mapping[str, StrategyParameters],
        limits: Limits,
        strategy: str,
        clock: Clock,
        snapshot: Callable[[], MarketSnapshot | str],
        max_age_s: float,
        proposes: bool = True,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._worker = worker
        self._strategies = strategies
        self._limits = limits
        self._clock = clock
        self._snapshot = snapshot
        self._max_age_s = max_age_s
        self._proposes = proposes
        self._changed = changed
        self.held: Callable[[], bool] = _no_ticket
        self._steps: list[Edits] = [{}]
        self._at = 0
        self._asked = 0
        self._exposures = Exposures()
        self._picture = ProposalPicture(strategy=strategy)

    @property
    def picture(self) -> ProposalPicture:
        """What stands now."""
        return self._picture

    async def solve(self, strategy: str = "") -> None:
        """Make a new proposal with `strategy` ("": the present one), without edits.

        Raises
        ------
        InputError
            When there is no such strategy.
        WorkerError
            When it cannot be made, with why.
        """
        if strategy and strategy not in self._strategies:
            known = ", ".join(self._strategies)
            raise InputError(f"expected a strategy ({known}), was {strategy!r}; name one of these")
        self._steps, self._at = [{}], 0
        self._show(strategy=strategy or self._picture.strategy)
        await self._solve()

    async def renew(self) -> None:
        """Make the proposal again on new bars, keeping the edits, once no ticket waits."""
        while self.held():  # noqa: ASYNC110  a ticket also ends by the clock
            await asyncio.sleep(HOLD_S)
        await self.reestimate()

    async def reestimate(self) -> None:
        """Make the proposal again from the newest bars and snapshot now, keeping the edits."""
        await self._solve()

    async def edit(self, identifier: str, weight: float) -> None:
        """Fix the target of one instrument; a step of the what-if.

        Raises
        ------
        InputError
            When the proposal has no such instrument.
        """
        proposal = self._picture.proposal
        if proposal is None or identifier not in {row.id for row in proposal.rows}:
            raise InputError(
                f"expected an instrument of the proposal, was {identifier!r}; solve first"
            )
        await self._step({**self._steps[self._at], identifier: weight})

    async def reset(self, identifier: str = "") -> None:
        """Drop the edit of one instrument, or all when it is ""; a step of the what-if."""
        now = self._steps[self._at]
        kept = {key: value for key, value in now.items() if identifier and key != identifier}
        if kept == now:
            raise InputError("expected an edited target, was none; nothing to reset")
        await self._step(kept)

    async def undo(self) -> None:
        """Step back.

        Raises
        ------
        InputError
            When there is nothing before.
        """
        if self._at == 0:
            raise InputError("expected an earlier what-if, was the first; nothing to undo")
        self._at -= 1
        await self._solve()

    async def redo(self) -> None:
        """Step forward again.

        Raises
        ------
        InputError
            When there is nothing after.
        """
        if self._at + 1 >= len(self._steps):
            raise InputError("expected a later what-if, was the last; nothing to redo")
        self._at += 1
        await self._solve()

    async def _step(self, edits: Edits) -> None:
        del self._steps[self._at + 1 :]
        self._steps.append(edits)
        self._at += 1
        await self._solve()

    async def _solve(self) -> None:
        self._asked += 1
        mine = self._asked
        self._show(state="solving", failure="")
        try:
            await self._ask(self._newest_snapshot())
        except SupersededError:
            return
        except WorkerError as error:
            if mine == self._asked:
                self._show(state="failed", failure=str(error))
            raise

    def _newest_snapshot(self) -> MarketSnapshot:
        snapshot = self._snapshot()
        if isinstance(snapshot, str):
            raise WorkerError(f"nothing to propose from: {snapshot}")
        return snapshot

    async def _ask(self, snapshot: MarketSnapshot) -> None:
        name, mine = self._picture.strategy, self._asked
        parameters = self._strategies[name]
        before = self._exposures.before(name, snapshot.as_of_ms)
        job: ProposeJob | EstimateJob
        if self._proposes:
            bent = WhatIf(targets=dict(self._steps[self._at]))
            job = ProposeJob(snapshot, parameters, self._limits, bent, before)
        else:
            job = EstimateJob(snapshot, parameters, before)
        result = await self._worker.ask(job, "solving", SOLVE_TIMEOUT_S, replaces="solve")
        if not isinstance(result, ProposeDone | EstimateDone):
            raise WorkerError(f"expected a proposal, was {type(result).__name__}; solve again")
        if mine != self._asked:
            raise SupersededError("expected the latest what-if, was an earlier one; ignore it")
        regime = result.estimates.regime
        self._exposures.keep(name, snapshot.as_of_ms, regime.exposure)
        self._keep(result, snapshot, before)

    def _keep(
        self, result: ProposeDone | EstimateDone, snapshot: MarketSnapshot, before: float | None
    ) -> None:
        now = self._clock.monotonic()
        self._show(
            state="ready" if isinstance(result, ProposeDone) else "none",
            proposal=result.proposal if isinstance(result, ProposeDone) else None,
            estimates=result.estimates,
            solved_mono=now,
            expires_mono=now + self._max_age_s,
            exposure_before=before,
            snapshot=snapshot,
        )

    def _show(self, **new: object) -> None:
        self._picture = msgspec.structs.replace(
            self._picture,
            edits=self._steps[self._at],
            can_undo=self._at > 0,
            can_redo=self._at + 1 < len(self._steps),
            **new,
        )
        self._changed()
