"""Answer a `ProposeJob`: estimate where needed, optimise, round, check, and sign with a digest."""

from __future__ import annotations

import time

import msgspec

from perptui.history.dataset import History
from perptui.model.bent import bent_strategy, shown_only
from perptui.model.canonical import digest_of
from perptui.model.explanation import FrontierPoint
from perptui.model.forecast import Estimates
from perptui.model.jobs import EstimateJob, FrontierJob, ProposeJob
from perptui.model.proposal import Proposal
from perptui.optimization.compose import compose
from perptui.optimization.frontier import frontier_point
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from perptui.optimization.scenarios import HorizonScenarios
from perptui.optimization.what_if import Applied, applied, with_impact
from perptui.quant.estimate import Estimator


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
    asked, estimator = estimates_asked(job), estimator or Estimator(history)
    estimates = estimator.estimate(asked)
    return proposal_of(job, estimates), estimates


def estimates_asked(job: ProposeJob) -> EstimateJob:
    """Return what has to be estimated for a job: its strategy with the what-if's parameters."""
    strategy = bent_strategy(job.what_if, job.strategy)
    return EstimateJob(job.snapshot, strategy, job.exposure_before)


def proposal_of(
    job: ProposeJob, estimates: Estimates, scenarios: HorizonScenarios | None = None
) -> Proposal:
    """Return the proposal that given estimates and scenarios lead to."""
    bent = applied(job, estimates)
    inputs = _posed(job, bent, scenarios)
    started = time.perf_counter()
    answer = rebalance(inputs)
    seconds = time.perf_counter() - started
    proposal = compose(
        inputs, answer, bent.snapshot, bent.estimates, bent.strategy, digest_of(job.snapshot)
    )
    proposal = _with_what_if(proposal, job)
    digest = digest_of(proposal)
    timed = msgspec.structs.replace(proposal.solver, seconds=seconds)
    return msgspec.structs.replace(proposal, digest=digest, solver=timed)


def frontier_of(
    job: FrontierJob, estimates: Estimates, scenarios: HorizonScenarios | None = None
) -> tuple[FrontierPoint, ...]:
    """Return a point for each risk aversion that has an optimum, in the order asked for.

    Raises
    ------
    OptimizationError
        When the program cannot be posed, or a risk aversion is not positive.
    """
    inputs = _posed(job.asked, applied(job.asked, estimates), scenarios)
    points = (frontier_point(inputs, aversion) for aversion in job.risk_aversions)
    return tuple(point for point in points if point is not None)


def _posed(job: ProposeJob, bent: Applied, scenarios: HorizonScenarios | None) -> ProgramInputs:
    inputs = program_inputs(
        bent.snapshot,
        bent.estimates,
        bent.strategy,
        bent.limits,
        job.what_if.targets,
        scenarios=scenarios,
        reduce_only=job.what_if.reduce_only,
    )
    return with_impact(inputs, job.what_if.costs)


def _with_what_if(proposal: Proposal, job: ProposeJob) -> Proposal:
    """Return the proposal with its what-if; one that is only supposed may not be sent."""
    why = shown_only(job.what_if, job.limits, job.strategy)
    reasons = (*(f"shown, not sent: {reason}" for reason in why), *proposal.reasons)
    return msgspec.structs.replace(
        proposal,
        what_if=job.what_if,
        exportable=proposal.exportable and not why,
        reasons=reasons,
    )
