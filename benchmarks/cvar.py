"""The CVaR-capped program beside direct Clarabel on the Rockafellar-Uryasev form of it.

    python -m benchmarks.cvar [--repetitions N] [--seeds N]

One account, fat-tailed scenarios of a common and three lesser factors; gross, net, bounds, turnover
and an L1 cost of trading, then the same with the 3/2-power impact, whose cones Clarabel solves as
second-order ones. Direct Clarabel gets the data that cvxpy made of the form with every scenario,
and only its own seconds count; ours are those of `optimum`, everything in, with nothing kept of the
numbers solved before. Printed for each cell: medians, ratio, largest difference of weights, excess
of CVaR over its cap. The cap is three fifths of the uncapped optimum's CVaR, and its price is
asserted to be positive. Target at N = 50, S = 5000: a quarter of direct Clarabel.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import clarabel
import cvxpy as cp
import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.optimum import optimum
from perptui.optimization.program.tail_cuts import EXCESS_MAX, TailPoint
from tests.optimization.program.fat_tails import capped, fat_inputs, stated

CELLS = ((20, 1_000), (20, 10_000), (50, 1_000), (50, 5_000), (50, 10_000))
TARGET_CELL, TARGET = (50, 5_000), 0.25
WEIGHTS_MAX = 1e-5
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Cell:
    """One program solved both ways: seconds of each, and how far the answers are apart."""

    ours: float
    direct: float
    apart: float
    excess: float


def main() -> None:
    """Print every cell, and whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    print(f"{'':12}{'N':>4}{'S':>7}{'ours ms':>10}{'direct ms':>11}{'ratio':>8}"
          f"{'weights':>10}{'excess':>10}")  # fmt: skip
    for impact in (False, True):
        for contracts, scenarios in CELLS:
            cells = [
                measured(capped(fat_inputs(contracts, scenarios, seed, impact=impact)), asked)
                for seed in range(asked.seeds)
            ]
            show("with impact" if impact else "linear cost", contracts, scenarios, cells)


def show(kind: str, contracts: int, scenarios: int, cells: list[Cell]) -> None:
    """Print the medians over seeds; the worst of what must be small."""
    ours, direct = (
        1e3 * statistics.median(getattr(cell, which) for cell in cells)
        for which in ("ours", "direct")
    )
    apart, excess = (max(getattr(cell, which) for cell in cells) for which in ("apart", "excess"))
    words = ""
    if (contracts, scenarios) == TARGET_CELL and kind == "linear cost":
        words = "  met" if ours <= TARGET * direct else "  MISS"
    print(f"{kind:12}{contracts:4}{scenarios:7}{ours:10.1f}{direct:11.1f}{ours / direct:8.3f}"
          f"{apart:10.1e}{excess:10.1e}{words}")  # fmt: skip


def measured(inputs: ProgramInputs, asked: argparse.Namespace) -> Cell:
    """Return one program's cell; both begin once unmeasured."""
    found = optimum(inputs)
    assert found.status == "optimal", found.detail
    assert found.prices["cvar"][0] > 0.0, "the cap does not bind: nothing would be measured"
    excess = TailPoint.at(inputs.limits, found.exact).value - inputs.limits.cvar_max
    assert excess <= EXCESS_MAX
    other = Direct(inputs)
    weights = other.solve()
    ours, direct = [], []
    for _ in range(asked.repetitions):
        ours.append(seconds(lambda: optimum(inputs)))
        direct.append(seconds(other.solve))
    apart = float(np.abs(weights - found.exact).max())
    assert apart <= WEIGHTS_MAX, f"weights are {apart:.1e} apart"
    return Cell(statistics.median(ours), statistics.median(direct), apart, excess)


class Direct:
    """Clarabel on the data of the form with every scenario; canonicalised once, not measured."""

    def __init__(self, inputs: ProgramInputs) -> None:
        problem, self._weights = stated(inputs)
        data, _, _ = problem.get_problem_data(cp.CLARABEL)
        dims = data["dims"]
        self._args = data.get("P"), data["c"], data["A"], data["b"]
        self._cones = [
            *([clarabel.ZeroConeT(dims.zero)] if dims.zero else []),
            clarabel.NonnegativeConeT(dims.nonneg),
            *(clarabel.SecondOrderConeT(size) for size in dims.soc),
        ]
        offsets = data["param_prob"].var_id_to_col
        start = offsets[self._weights.id]
        self._place = slice(start, start + self._weights.size)

    def solve(self) -> FloatArray:
        """Return the weights."""
        settings = clarabel.DefaultSettings()
        settings.verbose, settings.max_threads = False, 1
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
        answer = clarabel.DefaultSolver(*self._args, self._cones, settings).solve()
        assert str(answer.status) in {"Solved", "AlmostSolved"}, answer.status
        return np.array(answer.x)[self._place]


def seconds(call: object) -> float:
    """Return the wall seconds of one call."""
    started = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
