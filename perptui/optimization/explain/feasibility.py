"""Whether a book keeps a choice of limits, and how far one of them must give for it.

Phase 1 of method §6 as a cone program of its own, small enough to be asked a dozen times within one
what-if. CVaR enters by cuts, which are added until the book that is found keeps it by number or no
book keeps the cuts: exact both ways. The cap on the correlation with the market is not convex; it
enters by its safe linearisation (method §6, correlation cap), repeated from the book found last, so
that a conflict in which it takes part is one as far as that search sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import clarabel
import numpy as np
from scipy import sparse

from perptui.model.errors import OptimizationError
from perptui.optimization.explain.limit_rows import (
    CORRELATION,
    CVAR,
    TARGET,
    VOLATILITY,
    Key,
    Layout,
    Rows,
    definitions,
    limit_rows,
    shortfall_cut,
)
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import book_shortfall, plain_risk

TOLERANCE = 1e-7
"""Excess of a limit, weight units, that is the solver's rounding."""
PRICED = 1e-6
"""Share of the largest price above which a limit takes part in a conflict."""
SCALE_MIN = 0.05
"""Least effect of a unit of weight that is reckoned with: the solver sees no finer."""
ROUNDS = 60
"""Most cuts and linearisations of one question."""
ROOM = -1.0
"""Most room that is looked for, weight units: more says nothing new."""
ATTEMPTS = ((1e-9, True), (1e-9, False), (1e-8, True), (1e-7, False))
"""Tolerance and equilibration, tried in turn."""


@dataclass(frozen=True, eq=False)
class Found:
    """Answer of one question.

    Attributes
    ----------
    status : str
        "solved", "infeasible" or "failed".
    amount : float
        The scalar by which the chosen limits were widened, at its least.
    weights : (N,) array
        The book there.
    prices : mapping of Key to float
        Fall of `amount` per unit by which each limit is widened; at least 0.
    """

    status: str
    amount: float = float("inf")
    weights: FloatArray = field(default_factory=lambda: np.zeros(0))
    prices: Mapping[Key, float] = field(default_factory=dict)


class Feasibility:
    """The limits of one program's inputs, ready to be asked.

    Parameters
    ----------
    inputs : ProgramInputs
        Its soft limits take no part: they give at a price.
    """

    def __init__(self, inputs: ProgramInputs) -> None:
        self.inputs = inputs
        limits = inputs.limits
        self._layout = Layout(limits)
        self._definitions = definitions(inputs, self._layout)
        self._rows = limit_rows(inputs, self._layout)
        self._cone = _volatility_cone(inputs, self._layout)
        self._cuts: list[Rows] = []
        keys = [*dict.fromkeys(self._rows.keys), VOLATILITY]
        if limits.has_tail:
            keys.append(CVAR)
        if limits.caps_correlation:
            keys.append(CORRELATION)
        self.keys = tuple(key for key in keys if key[0] not in inputs.soft_prices)
        self._scale = _scales(inputs, self._rows)

    def conflict(self, kept: Set[Key]) -> Found:
        """Return the least common excess over the limits `kept`; above `TOLERANCE` they clash.

        Every limit is measured by the weight that moves it by as much.

        Raises
        ------
        OptimizationError
            When the solver gives no answer to trust.
        """
        give = {key: self._scale[key] for key in kept}
        if CORRELATION not in kept:
            found = self._convex(kept, give, ROOM, None)
        else:
            found = self._convex(kept - {CORRELATION}, give, ROOM, None)
            clear = found.amount > TOLERANCE or self._alike(found.weights) <= TOLERANCE
            if found.status == "solved" and not clear:
                starts = (found.weights, *self.least_alike(kept))
                found = self._descended(kept, give, ROOM, None, starts)
        if found.status != "solved":
            raise OptimizationError("expected an answer of phase 1, was none; scale the estimates")
        return found

    def clash(self, kept: Set[Key]) -> bool:
        """Return whether no book keeps all of `kept`."""
        return self.conflict(kept).amount > TOLERANCE

    def widened(self, give: Mapping[Key, float], most: float | None) -> Found:
        """Return the least t with which a book exists when each limit of `give` is wider by give·t.

        Parameters
        ----------
        most : float, optional
            Largest t; none is tried beyond it.

        Returns
        -------
        Found
            "infeasible" where no t will do.
        """
        whole = frozenset(self.keys)
        free = self.conflict(whole - set(give))
        if free.amount > TOLERANCE:
            return Found("infeasible")
        if CORRELATION not in whole:
            return self._convex(whole, give, 0.0, most)
        starts = (free.weights, *self.least_alike(whole - set(give)))
        return self._descended(whole, give, 0.0, most, starts)

    def less_alike(self, kept: Set[Key], weights: FloatArray, cap: float) -> Found:
        """Return the book least beyond a cap on correlation linearised at `weights`.

        All of `kept` holds; the amount is below zero where it is less alike than `cap`.
        """
        turned = self._turned(weights, cap)
        return self._convex(kept | {CORRELATION}, {CORRELATION: 1.0}, ROOM, None, turned)

    def least_alike(self, kept: Set[Key]) -> tuple[FloatArray, ...]:
        """Return the book that keeps `kept` with the least covariance with the market, if any."""
        found = self.less_alike(kept, self.inputs.before, 0.0)
        return (found.weights,) if found.status == "solved" else ()

    def _descended(
        self,
        kept: Set[Key],
        give: Mapping[Key, float],
        low: float,
        most: float | None,
        starts: Sequence[FloatArray],
    ) -> Found:
        """Return the least amount found, the correlation's cap linearised from book to book."""
        best = Found("infeasible")
        for start in starts:
            found = Found("solved", weights=start)
            for turn in range(ROUNDS):
                turned = self._turned(found.weights, self.inputs.limits.market_correlation_max)
                after = self._convex(kept, give, low, most, turned)
                stays = bool(turn) and after.amount > found.amount - TOLERANCE
                if after.status != "solved" or stays:
                    break
                found = after
                best = min(best, found, key=lambda one: one.amount)
                if low < 0.0 and best.amount <= TOLERANCE:
                    return best
        return best

    def _convex(
        self,
        kept: Set[Key],
        give: Mapping[Key, float],
        low: float,
        most: float | None,
        turned: Rows | None = None,
    ) -> Found:
        """Return the least amount under convex limits: CVaR by cuts, as many as it takes."""
        for _ in range(ROUNDS):
            found = self._solve(kept, give, (low, most), turned)
            conflict = low < 0.0 and found.amount > TOLERANCE
            if found.status != "solved" or CVAR not in kept or conflict:
                return found
            widest = self.inputs.limits.cvar_max + max(found.amount, 0.0) * give.get(CVAR, 0.0)
            value = float(book_shortfall(found.weights[None, :], self.inputs.limits)[0])
            if value <= widest + TOLERANCE:
                return found
            self._cut(found.weights)
        raise OptimizationError(f"expected an answer within {ROUNDS} cuts, was none; widen CVaR")

    def _cut(self, weights: FloatArray) -> None:
        slope, offset = shortfall_cut(weights, self.inputs.limits)
        bound = np.array([self.inputs.limits.cvar_max - offset])
        self._cuts.append(Rows(self._layout.place(w=slope[None, :]), bound, (CVAR,)))

    def _alike(self, weights: FloatArray) -> float:
        """Return by how much the correlation with the market exceeds its cap, weight units."""
        limits = self.inputs.limits
        risk = float(plain_risk(weights[None, :], limits)[0])
        return abs(float(limits.market @ weights)) - limits.market_correlation_max * risk

    def _turned(self, weights: FloatArray, cap: float) -> Rows:
        """Return ±market'w <= cap·s(w) with s linearised at a book: never wider than the cap."""
        limits = self.inputs.limits
        spread = limits.root @ weights + limits.root_offset
        risk = max(float(np.linalg.norm(spread)), TOLERANCE)
        slope = cap * (limits.root.T @ spread) / risk
        bound = np.full(2, cap * float(spread @ limits.root_offset) / risk)
        matrix = np.array([limits.market - slope, -limits.market - slope])
        return Rows(self._layout.place(w=matrix), bound, (CORRELATION, CORRELATION))

    def _solve(
        self,
        kept: Set[Key],
        give: Mapping[Key, float],
        span: tuple[float, float | None],
        turned: Rows | None,
    ) -> Found:
        """Return the least scalar t within `span` for which the rows of `kept` can be kept."""
        rows = Rows.joined([self._rows, *self._cuts, *([turned] if turned else [])])
        sides = _sides(rows, kept, give)
        matrix, bound = rows.matrix, rows.bound
        widen = np.array([give.get(rows.keys[index], 0.0) for index in sides.below])
        defined, at_most = self._definitions
        blocks = [
            (matrix[sides.equal], np.zeros(len(sides.equal)), bound[sides.equal]),
            (defined, np.zeros(len(at_most)), at_most),
            (matrix[sides.below], -widen, bound[sides.below]),
            _span_rows(span, self._layout.columns),
        ]
        cones: list[Any] = [
            clarabel.ZeroConeT(len(sides.equal)),
            clarabel.NonnegativeConeT(sum(len(block[2]) for block in blocks[1:])),
        ]
        if VOLATILITY in kept:
            cone, scalar, sizes = self._cone
            blocks.append((cone, scalar * give.get(VOLATILITY, 0.0), sizes))
            cones.append(clarabel.SecondOrderConeT(len(sizes)))
        answer = _solved(blocks, cones)
        if isinstance(answer, str):
            return Found(answer)
        point, duals = answer
        start = len(sides.equal) + len(at_most)
        prices = dict.fromkeys(kept, 0.0)
        for index, dual in zip(sides.below, duals[start:], strict=False):
            prices[rows.keys[index]] += max(float(dual), 0.0)
        if VOLATILITY in kept:
            prices[VOLATILITY] = max(float(duals[-len(self._cone[2])]), 0.0)
        return Found("solved", float(point[-1]), point[: self._layout.contracts], prices)


def _scales(inputs: ProgramInputs, rows: Rows) -> dict[Key, float]:
    """Return by how much one unit of weight, at most, moves each limit."""
    limits = inputs.limits
    sizes = abs(rows.matrix).max(axis=1).toarray().ravel()
    # Maintenance columns hold margins, not weights: by the steepest tier of any contract.
    steepest = float(limits.tier_rates.max())
    of_margin = {
        "margin_ratio": steepest,
        **{
            f"stress_{name}": (1.0 + limits.cushion) * steepest + float(np.abs(moves).max())
            for name, moves in zip(limits.stress_names, limits.stress, strict=True)
        },
    }
    scales = dict.fromkeys((VOLATILITY, CORRELATION), float(limits.sigma.max()))
    scales[CVAR] = float(np.abs(limits.scenarios).max(initial=0.0))
    scales |= {
        key: of_margin.get(key[0], float(size)) for key, size in zip(rows.keys, sizes, strict=True)
    }
    return {key: max(scale, SCALE_MIN) for key, scale in scales.items()}


Block = tuple[sparse.csr_matrix, FloatArray, FloatArray]
"""Rows on the columns, their entries on the scalar, and their bounds."""


@dataclass(frozen=True)
class _Sides:
    """Which rows are equations, and which are inequalities."""

    equal: list[int]
    below: list[int]


def _sides(rows: Rows, kept: Set[Key], give: Mapping[Key, float]) -> _Sides:
    """Return the rows of `kept`.

    A fixed target leaves no interior as two inequalities: where it does not give it is an
    equation.
    """
    equal: dict[Key, int] = {}
    below = []
    for index, key in enumerate(rows.keys):
        if key not in kept:
            continue
        if key[0] == TARGET and key not in give:
            equal.setdefault(key, index)
        else:
            below.append(index)
    return _Sides(list(equal.values()), below)


def _span_rows(span: tuple[float, float | None], columns: int) -> Block:
    low, most = span
    entries, bounds = [-1.0], [-low]
    if most is not None:
        entries, bounds = [-1.0, 1.0], [-low, most]
    return sparse.csr_matrix((len(bounds), columns)), np.array(entries), np.array(bounds)


def _volatility_cone(inputs: ProgramInputs, layout: Layout) -> Block:
    """Return (s_max, F w + o, sqrt(rho_S)·sigma'|w|) as rows of a second-order cone."""
    limits = inputs.limits
    rows = [layout.place(w=-limits.root)]
    offset = [limits.root_offset]
    if limits.covariance_uncertainty > 0.0:
        alone = np.sqrt(limits.covariance_uncertainty) * limits.sigma[None, :]
        rows.append(layout.place(size=-alone))
        offset.append(np.zeros(1))
    bounds = np.concatenate([[limits.volatility_max], *offset])
    matrix = sparse.vstack([sparse.csr_matrix((1, layout.columns)), *rows], format="csr")
    return matrix, -np.eye(len(bounds))[0], bounds


def _solved(blocks: list[Block], cones: list[Any]) -> tuple[FloatArray, FloatArray] | str:
    """Return the point with the least scalar, and the duals of all rows; or why there is none."""
    left = sparse.vstack([matrix for matrix, _, _ in blocks], format="csc")
    scalar = np.concatenate([entries for _, entries, _ in blocks])
    matrix = sparse.hstack([left, sparse.csc_matrix(scalar[:, None])], format="csc")
    bound = np.concatenate([bounds for _, _, bounds in blocks])
    size = matrix.shape[1]
    objective = np.zeros(size)
    objective[-1] = 1.0
    status = "failed"
    for tolerance, equilibrate in ATTEMPTS:
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.equilibrate_enable = equilibrate
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
        none = sparse.csc_matrix((size, size))
        answer = clarabel.DefaultSolver(none, objective, matrix, bound, cones, settings).solve()
        if answer.status == clarabel.SolverStatus.Solved:
            return np.array(answer.x), np.array(answer.z)
        if answer.status == clarabel.SolverStatus.PrimalInfeasible:
            status = "infeasible"
            break
    return status
