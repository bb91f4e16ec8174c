"""Answer a `ProposeJob`: estimate where needed, optimise, round, check, and sign with a digest."""

from __future__ import annotations

import time

import msgspec

from perptui.history.dataset import History
from perptui.model.canonical import digest_of
from perptui.model.forecast import Estimates
from perptui.model.jobs import EstimateJob, ProposeJob
from perptui.model.proposal import Proposal
from perptui.optimization.compose import compose
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from perptui.quant.estimate import estimate


def propose(
    job: ProposeJob, history: History, estimates: Estimates | None
) -> tuple[Proposal, Estimates]:
    """Return the proposal of a job, and the estimates it rests on.

    Parameters
    ----------
    estimates : Estimates or None
        Estimates of the same snapshot and strategy, where they are at hand (a what-if keeps
        them); None: they are made first.

    Raises
    ------
    EstimationError, HistoryError
        When the history does not carry estimates.
    OptimizationError
        When the program cannot be posed. Limits that contradict each other are no error: the
        proposal's status says so.
    """
    if estimates is None:
        asked = EstimateJob(job.snapshot, job.strategy, job.exposure_before)
        estimates = estimate(asked, history)
    return proposal_of(job, estimates), estimates


def proposal_of(job: ProposeJob, estimates: Estimates) -> Proposal:
    """Return the proposal that given estimates lead to."""
    inputs = program_inputs(job.snapshot, estimates, job.strategy, job.limits, job.what_if.targets)
    started = time.perf_counter()
    answer = rebalance(inputs)
    seconds = time.perf_counter() - started
    proposal = compose(
        inputs, answer, job.snapshot, estimates, job.strategy, digest_of(job.snapshot)
    )
    digest = digest_of(proposal)
    timed = msgspec.structs.replace(proposal.solver, seconds=seconds)
    return msgspec.structs.replace(proposal, digest=digest, solver=timed)
