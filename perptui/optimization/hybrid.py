"""The hybrid: a balanced core that hands over to tactical as stress grows likely (method §7).

w = (1 - a) w_B + a w_T, both solved under the tighter of their limits as the hybrid's own horizon
and estimates state them: each part keeps only its own objective. What is convex the mixture keeps,
then; the correlation with the market it may not. Trades that are too small to be made are left out,
every limit is held against it again, and on any breach, or where lots break one, the hybrid's own
program is solved with a penalty on its way from the mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perptui.model.forecast import RegimeForecast
from perptui.model.strategy import REGIMES
from perptui.optimization.explain.ledger import expected_funding
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.lots import too_small
from perptui.optimization.program.solution import RESIDUAL_MAX, Solution
from perptui.optimization.program.solve import solve
from perptui.optimization.rebalance import rebalance
from perptui.optimization.rebalanced import Rebalance
from perptui.optimization.rounding import round_to_lots
from perptui.risk.arrays import limit_excess

STRESS = REGIMES.index("stress")
CORE, TACTICAL = 0, 1
NAMED = 3
"""Positions in which the two parts differ most, that the notes name."""
APART = 5e-4
"""Difference of weights from which it is worth a word."""


@dataclass(frozen=True, eq=False)
class Hybrid:
    """Answer of a hybrid.

    Attributes
    ----------
    inputs : ProgramInputs
        That the answer was rounded with: the hybrid's own, tracking the mixture.
    answer : Rebalance
    mixed : bool
        Whether the mixture itself is proposed; else the program that tracks it.
    parts : tuple of Solution
        Core's and tactical's; empty where one of them has no optimum.
    notes : tuple of str
        What each part wanted, and what became of the mixture.
    """

    inputs: ProgramInputs
    answer: Rebalance
    mixed: bool
    parts: tuple[Solution, ...]
    notes: tuple[str, ...]


def tactical_share(regime: RegimeForecast) -> float:
    """Return a = P(stress or crisis) x confidence, the weight of the tactical part, in [0, 1].

    Confidence is how far the regime's models agree: 1 less half the range of their own
    P(stress or crisis); 1 where fewer than two speak. It rises in both.
    """
    said = [sum(vote.probabilities[STRESS:]) for vote in regime.votes if vote.probabilities]
    confidence = 1.0 - 0.5 * (max(said) - min(said)) if len(said) > 1 else 1.0
    share = sum(regime.probabilities[STRESS:]) * confidence
    return min(max(share, 0.0), 1.0)


def part_of(own: ProgramInputs, part: ProgramInputs) -> ProgramInputs:
    """Return a part's objective over the hybrid's horizon, under the hybrid's limits and bounds.

    The objective is restated as so many of the part's horizons one after another: its optimum stays
    as it is, and prices and worth of all programs are in one unit.

    Parameters
    ----------
    own, part : ProgramInputs
        Of the same contracts; puts held stand in both already.
    """
    times = own.horizon_days / part.horizon_days
    return replace(
        own,
        expected_return=times * part.expected_return,
        funding=times * expected_funding(part),
        uncertainty=times * part.uncertainty,
        ellipsoid=times * part.ellipsoid,
        omega_root=part.omega_root,
        covariance=part.covariance,
        sigma=part.charged_sigma,
        covariance_uncertainty=part.charged_uncertainty,
        factors=None,
        specific=None,
        risk_aversion=times * part.risk_aversion,
        cost_aversion=times * part.cost_aversion,
        linear_cost=part.linear_cost,
        impact=part.impact,
        holding_cost=None if part.holding_cost is None else times * part.holding_cost,
        stablecoin_yield=times * part.stablecoin_yield,
        pull=None if part.pull is None else times * part.pull,
        constant=times * part.constant,
        unhedged=None,
    )


def mixture_of(
    own: ProgramInputs, parts: Sequence[ProgramInputs], share: float
) -> FloatArray | None:
    """Return (1 - a) w_B + a w_T, (N,), of parts with limits of their own; None without both."""
    solutions = [solve(part_of(own, part)) for part in parts]
    if any(solution.status != "optimal" for solution in solutions):
        return None
    core, tactical = (solution.weights for solution in solutions)
    return np.asarray((1.0 - share) * core + share * tactical)


def tracking(inputs: ProgramInputs, mixture: FloatArray, penalty: float) -> ProgramInputs:
    """Return the program less ½ eta (w - w_mix)'Sigma(w - w_mix), eta = `penalty`.

    That is the same program with gamma + eta, and eta·Sigma w_mix more to gain, less the penalty on
    no book at all. The robust share of
    the covariance, ½ gamma rho_S (sigma'|w|)², grows along, which leans toward smaller positions.
    """
    if penalty <= 0.0:
        return inputs
    pull = penalty * (inputs.covariance @ mixture)
    aversion = inputs.risk_aversion + penalty
    return replace(
        inputs,
        risk_aversion=aversion,
        pull=pull if inputs.pull is None else inputs.pull + pull,
        constant=inputs.constant - 0.5 * float(pull @ mixture),
    )


def hybrid_rebalance(
    own: ProgramInputs, parts: Sequence[ProgramInputs], share: float, penalty: float
) -> Hybrid:
    """Return the hybrid's book in lots.

    Parameters
    ----------
    own : ProgramInputs
        Of the hybrid's own horizon and estimates, under the tighter limits.
    parts : sequence of two ProgramInputs
        Of the core and of the tactical strategy, as `part_of` poses them.
    share : float
        a, see `tactical_share`.
    penalty : float
        eta, see `tracking`.
    """
    solutions = tuple(solve(part) for part in parts)
    without = [
        name
        for name, solution in zip(("core", "tactical"), solutions, strict=True)
        if solution.status != "optimal"
    ]
    if without:
        note = f"the {' and the '.join(without)} part has no optimum: the hybrid's own is proposed"
        return Hybrid(own, rebalance(own), mixed=False, parts=(), notes=(note,))
    weights = [solution.weights for solution in solutions]
    mixture = (1.0 - share) * weights[CORE] + share * weights[TACTICAL]
    mixture = _without_small_trades(np.clip(mixture, own.lower, own.upper), own)
    posed = tracking(own, mixture, penalty)
    wanted = _wanted(own, weights, share)
    broken = _broken(own, mixture)
    if not broken:
        rounded = round_to_lots(mixture, _nearest(own, mixture))
        if rounded.excess <= 0.0:
            solution = _mixed(own, parts, solutions, share, mixture)
            answer = Rebalance(solution, mixture, rounded.steps, rounded.weights)
            return Hybrid(posed, answer, mixed=True, parts=solutions, notes=wanted)
        broken = ("a limit in lots",)
    note = (
        f"the mixture would break {', '.join(broken)}: the hybrid's own program tracks it; ledger "
        "and prices are those of tracking this mixture, held as it is where a limit moves; the "
        "objective leaves the penalty out"
    )
    return Hybrid(posed, rebalance(posed), mixed=False, parts=solutions, notes=(*wanted, note))


def _nearest(own: ProgramInputs, mixture: FloatArray) -> ProgramInputs:
    """Return inputs whose objective is only to be near the mixture, in risk: to round by."""
    return replace(
        own,
        expected_return=own.covariance @ mixture,
        uncertainty=np.zeros_like(mixture),
        linear_cost=np.zeros_like(mixture),
        impact=np.zeros_like(mixture),
        risk_aversion=1.0,
        pull=None,
        holding_cost=None,
        ellipsoid=0.0,
        stablecoin_yield=0.0,
    )


def _without_small_trades(mixture: FloatArray, inputs: ProgramInputs) -> FloatArray:
    """Return the mixture with each trade that is too small to be made left out."""
    free = np.array([identifier not in inputs.edited for identifier in inputs.ids])
    return np.where(too_small(mixture, inputs) & free, inputs.before, mixture)


def _broken(inputs: ProgramInputs, mixture: FloatArray) -> tuple[str, ...]:
    """Return the hard limits, by name, that a book breaks."""
    excess = limit_excess(mixture[None, :], inputs.before, inputs.limits)
    return tuple(
        name
        for name, over in excess.items()
        if name not in inputs.soft_prices and float(over.max(initial=-1.0)) > RESIDUAL_MAX
    )


def _mixed(
    own: ProgramInputs,
    parts: Sequence[ProgramInputs],
    solutions: Sequence[Solution],
    share: float,
    mixture: FloatArray,
) -> Solution:
    """Return the mixture as a solution: a limit's price is what both parts pay, by their shares.

    Exact where `part_of` posed the parts.
    """
    prices: dict[str, FloatArray] = {}
    for part, solution, weight in zip(parts, solutions, (1.0 - share, share), strict=True):
        scale = weight * own.horizon_days / part.horizon_days
        for name, price in solution.prices.items():
            before = prices.get(name)
            if before is None:
                prices[name] = scale * price
            elif before.shape == price.shape:
                prices[name] = before + scale * price
    return replace(
        solutions[CORE],
        weights=mixture,
        exact=mixture,
        residual=max(solution.residual for solution in solutions),
        detail=f"mixture of two optima, {share:.1%} tactical",
        prices=prices,
        iterations=sum(solution.iterations for solution in solutions),
        seconds=sum(solution.seconds for solution in solutions),
    )


def _wanted(own: ProgramInputs, weights: Sequence[FloatArray], share: float) -> tuple[str, ...]:
    """Return in words what each part wanted: gross and net, and where they differ most."""
    core, tactical = weights
    gross = [float(np.abs(one).sum()) for one in weights]
    lines = [
        f"{share:.1%} tactical: the core alone would hold gross {gross[CORE]:.2f}, net "
        f"{core.sum():+.2f}; tactical gross {gross[TACTICAL]:.2f}, net {tactical.sum():+.2f}"
    ]
    apart = np.argsort(-np.abs(core - tactical), kind="stable")[:NAMED]
    named = [
        f"{own.ids[index]} {core[index]:+.1%} against {tactical[index]:+.1%}"
        for index in apart
        if abs(core[index] - tactical[index]) > APART
    ]
    if named:
        lines.append("core against tactical: " + ", ".join(named))
    return tuple(lines)
