"""Answer a `ProposeJob`: estimate where needed, optimise, round, check, and sign with a digest."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from functools import lru_cache

import msgspec

from perptui.history.dataset import History
from perptui.model.bent import bent_strategy, shown_only
from perptui.model.canonical import digest_of, digest_of_made
from perptui.model.explanation import FrontierPoint
from perptui.model.forecast import Estimates
from perptui.model.freed import only_reducing, reduction_in
from perptui.model.jobs import EstimateJob, FrontierJob, ProposeJob
from perptui.model.proposal import Proposal, TargetRow
from perptui.model.snapshot import MarketSnapshot
from perptui.optimization.compose import compose, now_of
from perptui.optimization.frontier import frontier_point
from perptui.quant.answer import Told, answered, explained, posed, posing
from perptui.quant.estimate import Estimator
from perptui.quant.scenarios import stressed

LEDGER_MAX = 1e-6
"""What the terms of a contract's ledger may leave, bp of equity a year per unit of weight."""


def propose(
    job: ProposeJob, history: History, estimator: Estimator | None = None
) -> tuple[Proposal, Estimates]:
    """Return the proposal of a job, and the estimates it rests on, the what-if not in them.

    Parameters
    ----------
    estimator : Estimator or None
        Of the same history, with what earlier jobs left of theirs; None: estimates are made.

    Raises
    ------
    EstimationError, HistoryError
        When the history does not carry estimates.
    OptimizationError
        When the program cannot be posed. Limits that contradict each other are no error: the
        proposal's status says so.
    """
    estimator = estimator or Estimator(history)
    told = told_of(job, estimator)
    return proposal_of(job, told, parents_of(job, estimator)), told.estimates


def prepare(job: ProposeJob, estimator: Estimator) -> Generator[None, None, Estimates]:
    """Work out what every what-if on the job's market rests on, step by step; return estimates.

    What is kept here is what `propose` finds: nothing but the optimum is left to it.

    Raises
    ------
    EstimationError, HistoryError, OptimizationError
        As `propose` does.
    """
    strategies = (bent_strategy(job.what_if, job.strategy), *job.blended)
    for strategy in strategies:
        estimator.estimate(EstimateJob(job.snapshot, strategy, job.exposure_before))
        yield
    told = told_of(job, estimator)
    yield
    own = posed(job, told, parents_of(job, estimator)).own
    yield
    now_of(own)
    yield
    _snapshot_digest(job.snapshot)
    return told.estimates


def told_of(job: ProposeJob, estimator: Estimator) -> Told:
    """Return what is estimated for a job: its strategy with the what-if's parameters.

    Raises
    ------
    EstimationError, HistoryError
        When the history does not carry estimates.
    """
    strategy = bent_strategy(job.what_if, job.strategy)
    asked = EstimateJob(job.snapshot, strategy, job.exposure_before)
    estimates = estimator.estimate(asked)
    scenarios = estimator.scenarios(asked, estimates)
    stress = job.stress.bent(job.what_if.stresses)
    return Told(estimates, stressed(scenarios, estimates, stress))


def parents_of(job: ProposeJob, estimator: Estimator) -> tuple[Told, ...]:
    """Return the same of each strategy that a hybrid blends, each over its own horizon.

    Raises
    ------
    EstimationError, HistoryError
        As `told_of` does.
    """
    return tuple(
        told_of(msgspec.structs.replace(job, strategy=parent, blended=()), estimator)
        for parent in job.blended
    )


def proposal_of(job: ProposeJob, told: Told, parents: Sequence[Told] = ()) -> Proposal:
    """Return the proposal that given estimates and scenarios lead to."""
    programs = posed(job, told, parents)
    started = time.perf_counter()
    found = answered(programs)
    seconds = time.perf_counter() - started
    bent = programs.bent
    proposal = compose(
        found.inputs,
        found.answer,
        bent.snapshot,
        bent.estimates,
        bent.strategy,
        _snapshot_digest(job.snapshot),
        names_clash=job.names_clash,
        pose=posing(job, told, parents),
    )
    shorts = bent.strategy.hedge_shorts
    proposal = msgspec.structs.replace(
        proposal,
        rows=tuple(_named_hedge(row) if row.id in shorts else row for row in proposal.rows),
        explanation=explained(programs, found, proposal),
        hedges=programs.hedges,
        blend=found.blend,
        reasons=(*proposal.reasons, *found.notes),
    )
    proposal = exact_or_kept(_with_what_if(proposal, job))
    proposal = _with_freed(proposal, job, told, parents)
    digest = digest_of_made(proposal)
    timed = msgspec.structs.replace(proposal.solver, seconds=seconds)
    return msgspec.structs.replace(proposal, digest=digest, solver=timed)


def _with_freed(
    proposal: Proposal, job: ProposeJob, told: Told, parents: Sequence[Told]
) -> Proposal:
    """Return the proposal with where only reducing leads once no target is in its way.

    Only where limits clash by name: else that is looked for with what clashes.
    """
    explanation = proposal.explanation
    if not explanation.clash or explanation.reduction is not None:
        return proposal
    asked, freed = only_reducing(job)
    if not freed:
        return proposal
    reduction = reduction_in(proposal_of(asked, told, parents), freed)
    return msgspec.structs.replace(
        proposal, explanation=msgspec.structs.replace(explanation, reduction=reduction)
    )


def exact_or_kept(proposal: Proposal) -> Proposal:
    """Return the proposal; one whose ledger does not add up is shown and never sent."""
    left = max((abs(row.residual) for row in proposal.explanation.ledger), default=0.0)
    if not proposal.exportable or left <= LEDGER_MAX:
        return proposal
    why = f"the optimum is not exact, its ledger misses {left:.2g} bp a year: it cannot be sent"
    return msgspec.structs.replace(proposal, exportable=False, reasons=(*proposal.reasons, why))


@lru_cache(maxsize=4)
def _snapshot_digest(snapshot: MarketSnapshot) -> str:
    return digest_of(snapshot)


def frontier_of(
    job: FrontierJob, told: Told, parents: Sequence[Told] = ()
) -> tuple[FrontierPoint, ...]:
    """Return a point for each risk aversion that has an optimum, in the order asked for.

    Of a hybrid they are its own program's, under the tighter limits.

    Raises
    ------
    OptimizationError
        When the program cannot be posed, or a risk aversion is not positive.
    """
    inputs = posed(job.asked, told, parents).own
    points = (frontier_point(inputs, aversion) for aversion in job.risk_aversions)
    return tuple(point for point in points if point is not None)


def _named_hedge(row: TargetRow) -> TargetRow:
    """Return the row of a contract that is only sold as a hedge, named so where it is traded."""
    return msgspec.structs.replace(row, why="hedge") if row.trade_usd and not row.edited else row


def _with_what_if(proposal: Proposal, job: ProposeJob) -> Proposal:
    """Return the proposal with its what-if; one that is only supposed may not be sent."""
    why = shown_only(job.what_if, job.limits, job.strategy, job.blended)
    reasons = (*(f"shown, not sent: {reason}" for reason in why), *proposal.reasons)
    return msgspec.structs.replace(
        proposal,
        what_if=job.what_if,
        exportable=proposal.exportable and not why,
        reasons=reasons,
    )
