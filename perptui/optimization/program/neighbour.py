"""The optimum by way of a quadratic program beside it.

Impact and the ellipsoid of the mean are what needs cones, and to second order about a book they are
quadratic; the risk limit is a cone too, and a larger risk aversion stands for it. Such a quadratic
program takes a fraction of the time, its answer is a neighbour of the optimum, and polishing goes
on from there. Only what polishing proves to be the optimum is an answer: else a solver of cones is
asked (`convex`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.active import OWN, RISK
from perptui.optimization.program.answer import Attempt
from perptui.optimization.program.convex import Nearby
from perptui.optimization.program.polish import polished
from perptui.optimization.program.solution import RESIDUAL_MAX, Solution
from perptui.optimization.program.workspaces import PIQP
from perptui.risk.arrays import robust_risk

ROUGH, QUICK = Attempt(PIQP, 1.0, 1e-7), Attempt(PIQP, 1.0, 1e-9)
"""To know a book to curve about, and to know what binds: polishing finds the last digits."""
ROUNDS_MAX = 4
FIRST_SIZE = 0.03
"""Trade and position of each contract, weight units, about which the first round is curved."""
TRADE_LEAST = 1e-4
"""Trade, weight units, below which its impact's curvature, which has no bound, grows no more."""
LENGTH_LEAST = 1e-9
"""Nothing is divided by a shorter |W w|."""
RISK_NEAR = 0.02
"""Relative distance from the risk limit at which a larger risk aversion has met it."""
LIMIT_LEAST = 1e-9
"""Nothing is divided by a smaller risk limit."""


def _any(_: FloatArray) -> bool:
    return True


def proved(inputs: ProgramInputs, may_be: Callable[[FloatArray], bool] = _any) -> Solution | None:
    """Return the exact optimum, None where it was not proved; CVaR is not judged.

    Parameters
    ----------
    may_be : callable
        Whether a book near the optimum may be it: the neighbour of one that may not is returned as
        it is, not polished.

    Raises
    ------
    OptimizationError
        When an input is not finite.
    """
    if OWN & inputs.soft_prices.keys():
        return None
    started = perf_counter()
    # About which book to curve can only be guessed at first: the answer is no neighbour yet.
    guessed = int(bool(inputs.impact.any()) or inputs.ellipsoid > 0.0)
    weights: FloatArray | None = None
    programs: Nearby | None = None
    aversion, most = 1.0, _risk_max(inputs)
    for turn in range(ROUNDS_MAX):
        asked = _beside(inputs, weights, aversion)
        programs = programs or Nearby(asked, PIQP)
        weights = programs.weights(asked, QUICK if turn >= guessed else ROUGH)
        if weights is None:
            return None
        over = float(robust_risk(weights[None, :], inputs.limits)[0]) / most
        met = abs(over - 1.0) <= RISK_NEAR if aversion > 1.0 else over <= 1.0
        if (met and turn >= guessed) or turn == ROUNDS_MAX - 1:
            near = programs.solution(weights)
            if not may_be(weights):
                return near
            price = (aversion - 1.0) * inputs.risk_aversion * most
            prices = {**near.prices, RISK[0]: np.array([price])}
            found = polished(inputs, replace(near, prices=prices))
            if found.polished:
                kept = found.residual <= RESIDUAL_MAX
                return found.timed(perf_counter() - started) if kept else None
        aversion = max(aversion * over, 1.0)
    return None


def moved(inputs: ProgramInputs, near: Solution) -> Solution | None:
    """Return the exact optimum from that of a neighbouring program, None where it was not proved.

    Parameters
    ----------
    near : Solution
        Optimal, of a program with other bounds.
    """
    started = perf_counter()
    start = np.clip(near.exact, inputs.lower, inputs.upper)
    found = polished(inputs, replace(near, exact=start, polished=False))
    if not found.polished or found.residual > RESIDUAL_MAX:
        return None
    return found.timed(perf_counter() - started)


def _risk_max(inputs: ProgramInputs) -> float:
    """Return the risk limit and its room; none at all of a soft one, which polishing prices."""
    limits = inputs.limits
    if inputs.soft_prices.get(RISK[0]):
        return np.inf
    most = limits.volatility_max + float(np.sum(limits.room.get(RISK[0], 0.0)))
    return max(most, LIMIT_LEAST)


def _beside(inputs: ProgramInputs, weights: FloatArray | None, aversion: float) -> ProgramInputs:
    """Return the quadratic program beside the inputs about a book, None of which is known at first.

    Parameters
    ----------
    aversion : float
        Multiple of the risk aversion.
    """
    asked = inputs
    if aversion > 1.0:
        asked = replace(inputs, risk_aversion=aversion * inputs.risk_aversion)
    if inputs.ellipsoid > 0.0 and inputs.omega_root is not None:
        asked = _with_smooth_doubt(asked, inputs.omega_root, weights)
    return with_smooth_impact(asked, weights) if inputs.impact.any() else asked


def _with_smooth_doubt(
    inputs: ProgramInputs, root: FloatArray, weights: FloatArray | None
) -> ProgramInputs:
    """Return the inputs with ½ k|W w|²/L in place of k|W w|, L being |W w| of a book.

    It has the same slope there, and is nowhere less but for a constant.
    """
    if weights is None:
        length = FIRST_SIZE * float(np.linalg.norm(root))
    else:
        length = float(np.linalg.norm(root @ weights))
    scale = inputs.ellipsoid / max(length, LENGTH_LEAST) / inputs.risk_aversion
    return replace(
        inputs,
        ellipsoid=0.0,
        omega_root=None,
        covariance=inputs.covariance + scale * (root.T @ root),
        factors=None,
        specific=None,
    )


def with_smooth_impact(inputs: ProgramInputs, weights: FloatArray | None) -> ProgramInputs:
    """Return the inputs with |z|^{3/2} as a + b|z| + ½ c z², equal to second order at a book.

    b = ¾ sqrt|z_k| and c = ¾ / sqrt|z_k|: no cone is needed. The cost of a trade is part of the
    linear cost then, and its curvature of the covariance. Where no book is known b is 0, and c has
    the slope right at trades of `FIRST_SIZE`.
    """
    if weights is None:
        size = np.full_like(inputs.before, FIRST_SIZE)
        linear, curve = 0.0 * size, 1.5 / np.sqrt(size)
    else:
        size = np.maximum(np.abs(weights - inputs.before), TRADE_LEAST)
        linear, curve = 0.75 * np.sqrt(size), 0.75 / np.sqrt(size)
    curve = inputs.cost_aversion * inputs.impact * curve
    return replace(
        inputs,
        impact=np.zeros_like(inputs.impact),
        linear_cost=inputs.linear_cost + inputs.impact * linear,
        covariance=inputs.covariance + np.diag(curve / inputs.risk_aversion),
        expected_return=inputs.expected_return + curve * inputs.before,
        factors=None,
        specific=None,
    )
