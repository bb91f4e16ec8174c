"""From a job and what is told of it to a book: posed, hedged, and for a hybrid blended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from perptui.model.assignment import bend
from perptui.model.errors import OptimizationError
from perptui.model.explanation import Explanation
from perptui.model.forecast import Estimates
from perptui.model.jobs import ProposeJob
from perptui.model.proposal import HedgeRow, Proposal
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import PutQuote
from perptui.optimization.explain.blended import blended
from perptui.optimization.explain.drift import drift_of, usd_a_day
from perptui.optimization.explain.existence import Pose
from perptui.optimization.explain.ledger import TRADED_MIN, ledger_of
from perptui.optimization.explain.prices import limit_prices
from perptui.optimization.hedges import (
    bought,
    harm,
    held_rows,
    not_bought,
    spread_over,
    withheld,
    withheld_rows,
)
from perptui.optimization.hybrid import hybrid_rebalance, mixture_of, part_of, tactical_share
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs, rules_of
from perptui.optimization.program.solution import Solution
from perptui.optimization.puts import Puts, held_already, put_offer
from perptui.optimization.rebalance import rebalance
from perptui.optimization.rebalanced import Rebalance
from perptui.optimization.scenarios import HorizonScenarios
from perptui.optimization.strategies import InForce, tighter
from perptui.optimization.what_if import Applied, applied, with_impact

SILENT = "none were asked for"


class Told(NamedTuple):
    """Estimates of one strategy, and the scenarios of their horizon."""

    estimates: Estimates
    scenarios: HorizonScenarios | None = None


class Posed(NamedTuple):
    """Programs of a job; `parts` are a hybrid's core and tactical, under the limits of `own`.

    `views` are the parts' own views of the job; `hedges` are the puts bought, which `own` and
    `parts` hold, and those that are not, with why.
    """

    bent: Applied
    own: ProgramInputs
    parts: tuple[ProgramInputs, ...] = ()
    views: tuple[Applied, ...] = ()
    hedges: tuple[HedgeRow, ...] = ()


class Answered(NamedTuple):
    """A book in lots, the inputs it was made with, and what else a proposal says of it.

    `mixture` holds the two optima that it is mixed of, where it is.
    """

    inputs: ProgramInputs
    answer: Rebalance
    blend: float | None = None
    notes: tuple[str, ...] = ()
    mixture: tuple[Solution, ...] = ()


def posed(job: ProposeJob, told: Told, parents: Sequence[Told] = ()) -> Posed:
    """Return the programs of a job with its what-if in them, and the puts that are bought.

    Parameters
    ----------
    parents : sequence of Told
        Of the strategies of `job.blended`, in their order; a hybrid has two.

    Raises
    ------
    OptimizationError
        When the program cannot be posed.
    """
    bent = applied(job, told.estimates)
    views = _parents(job, bent, parents)
    rules = _common(views, parents)
    own = _program(job, bent, told, rules)
    parts = tuple(
        _program(job, view, parent, rules) for view, parent in zip(views, parents, strict=True)
    )
    hedged = _hedged(job, Posed(bent, own, parts, tuple(views)), told, parents)
    return hedged._replace(parts=tuple(part_of(hedged.own, part) for part in hedged.parts))


def posing(job: ProposeJob, told: Told, parents: Sequence[Told] = ()) -> Pose:
    """Return what poses the job's own program with one assignment more.

    No limit is read by estimates: those at hand serve.
    """

    def pose(assignment: str) -> ProgramInputs:
        bent = msgspec.structs.replace(job, what_if=bend(job.what_if, assignment))
        return posed(bent, told, parents).own

    return pose


def answered(programs: Posed) -> Answered:
    """Return the book in lots that the programs lead to."""
    if not programs.parts:
        return Answered(programs.own, rebalance(programs.own))
    share = tactical_share(programs.bent.estimates.regime)
    penalty = programs.bent.strategy.tracking_penalty
    found = hybrid_rebalance(programs.own, programs.parts, share, penalty)
    if found.mixed:
        return Answered(programs.own, found.answer, share, found.notes, found.parts)
    return Answered(found.inputs, found.answer, share, found.notes)


def explained(programs: Posed, found: Answered, proposal: Proposal) -> Explanation:
    """Return a proposal's explanation; of a mixture with its parts' ledgers, prices and worth."""
    own = proposal.explanation
    if found.blend is None or own.drift is None:
        return own
    if not found.mixture:
        return own if found.inputs is programs.own else _tracked(programs.own, found, own)
    parts = [
        Explanation(
            ledger=ledger_of(part, solution),
            limits=limit_prices(part, solution, proposal.limits),
            drift=drift_of(part, solution.exact),
            objective_usd_per_day=usd_a_day(part, float(part.objective(solution.exact))),
        )
        for part, solution in zip(programs.parts, found.mixture, strict=True)
    ]
    moved = np.abs(found.answer.target - found.inputs.before) > TRADED_MIN
    return blended(own, parts, found.blend, moved.tolist())


def _tracked(own: ProgramInputs, found: Answered, said: Explanation) -> Explanation:
    """Return the explanation of a tracked mixture with what its book is worth to the hybrid."""
    book = found.answer.solution.exact
    worth = usd_a_day(own, float(own.objective(book)))
    return msgspec.structs.replace(
        said,
        drift=drift_of(own, book),
        objective_usd_per_day=worth,
        tracking=True,
        mixture_held=True,
        tracking_penalty_usd_per_day=worth - usd_a_day(own, float(found.inputs.objective(book))),
    )


def _parents(job: ProposeJob, bent: Applied, parents: Sequence[Told]) -> list[Applied]:
    """Return each parent's view of the job, with the stricter of their clusters."""
    if not parents:
        return []
    strict = {
        "cluster_correlation": min(one.cluster_correlation for one in bent.blended),
        "cluster_gross_max": min(one.cluster_gross_max for one in bent.blended),
    }
    views = []
    for strategy, parent in zip(job.blended, parents, strict=True):
        asked = msgspec.structs.replace(job, strategy=strategy, blended=())
        view = applied(asked, parent.estimates)
        views.append(view._replace(strategy=msgspec.structs.replace(view.strategy, **strict)))
    return views


def _common(views: Sequence[Applied], parents: Sequence[Told]) -> InForce | None:
    """Return the tighter of both parents' limits; None without parents."""
    rules: InForce | None = None
    for view, parent in zip(views, parents, strict=True):
        one = rules_of(view.snapshot, view.estimates, view.strategy, view.limits, parent.scenarios)
        rules = one if rules is None else tighter(rules, one)
    return rules


def _program(job: ProposeJob, bent: Applied, told: Told, rules: InForce | None) -> ProgramInputs:
    inputs = program_inputs(
        bent.snapshot,
        bent.estimates,
        bent.strategy,
        bent.limits,
        job.what_if.targets,
        scenarios=told.scenarios,
        rules=rules,
        reduce_only=job.what_if.reduce_only,
        stresses=job.stress.bent(job.what_if.stresses).moves,
    )
    return with_impact(inputs, job.what_if.costs)


def _hedged(job: ProposeJob, programs: Posed, told: Told, parents: Sequence[Told]) -> Posed:
    """Return the programs with the puts held, and those that the strategy's own program buys."""
    every = (told, *parents)
    programs, kept = _with_held(job, programs, every)
    strategy, regime = programs.bent.strategy, programs.bent.estimates.regime.label
    quotes, rows = _offered(job, strategy, regime)
    offer, refused = _offer_to(programs.own, strategy, told, job, quotes)
    _refuse_asked(job, quotes, refused)
    rows = (*kept, *rows, *refused)
    if offer is None:
        return programs._replace(hedges=rows)
    equity = float(programs.own.equity)
    own, chosen = bought(programs.own, offer, equity)
    if own is programs.own:
        return programs._replace(hedges=(*rows, *chosen))
    parts = []
    for part, parent, view in zip(programs.parts, parents, programs.views, strict=True):
        like, _ = _offer_to(part, view.strategy, parent, job, quotes)
        parts.append(spread_over(part, like, chosen, equity))
    hedged = programs._replace(own=own, parts=tuple(parts), hedges=(*rows, *chosen))
    if why := _harm(hedged, programs.own):
        return programs._replace(hedges=(*rows, *not_bought(chosen, why)))
    return hedged


def _harm(hedged: Posed, bare: ProgramInputs) -> str:
    """Return what puts raise of a mixture's risk: its own program chose them for another book."""
    if not hedged.parts:
        return ""
    share = tactical_share(hedged.bent.estimates.regime)
    mixture = mixture_of(hedged.own, hedged.parts, share)
    return "" if mixture is None else harm(mixture, hedged.own.limits, bare.limits)


def _offer_to(
    program: ProgramInputs,
    strategy: StrategyParameters,
    told: Told,
    job: ProposeJob,
    quotes: Sequence[PutQuote],
) -> tuple[Puts | None, tuple[HedgeRow, ...]]:
    scenarios = told.scenarios or HorizonScenarios.none(SILENT)
    marks = {quote.id: float(quote.mark) for quote in job.snapshot.quotes}
    return put_offer(program, quotes, strategy, scenarios, job.snapshot.as_of_ms, marks)


def _with_held(
    job: ProposeJob, programs: Posed, every: Sequence[Told]
) -> tuple[Posed, tuple[HedgeRow, ...]]:
    """Return the programs with the puts that the desk says it holds, in any regime; their rows."""
    quotes = tuple(quote for quote in programs.bent.strategy.puts if quote.held > 0.0)
    if not quotes:
        return programs, ()
    strategies = (programs.bent.strategy, *(view.strategy for view in programs.views))
    holding: list[ProgramInputs] = []
    rows: tuple[HedgeRow, ...] = ()
    for program, strategy, told in zip(
        (programs.own, *programs.parts), strategies, every, strict=True
    ):
        offer, refused = _offer_to(program, strategy, told, job, quotes)
        holding.append(program if offer is None else held_already(program, offer))
        rows = rows or held_rows(quotes, offer, refused)
    return programs._replace(own=holding[0], parts=tuple(holding[1:])), rows


def _refuse_asked(job: ProposeJob, quotes: Sequence[PutQuote], refused: Sequence[HedgeRow]) -> None:
    """Refuse a what-if's own quote that cannot be used; one of the desk's is only left out."""
    asked = {quote.name for quote in quotes if quote in job.what_if.puts}
    for row in refused:
        if row.name in asked:
            raise OptimizationError(f"put on {row.coin}: {row.why.removeprefix('refused: ')}")


def _offered(
    job: ProposeJob, strategy: StrategyParameters, regime: str
) -> tuple[tuple[PutQuote, ...], tuple[HedgeRow, ...]]:
    """Return the puts to choose from, and rows of those that wait for another regime.

    What the trader asks about is always looked at.
    """
    why = withheld(strategy.puts, strategy, regime)
    if not why:
        return strategy.puts, ()
    asked = tuple(quote for quote in strategy.puts if quote in job.what_if.puts)
    others = tuple(quote for quote in strategy.puts if quote not in job.what_if.puts)
    return asked, withheld_rows(others, why)
