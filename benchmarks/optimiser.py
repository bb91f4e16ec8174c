"""The optimiser's speed beside its peers, in one run and in turns, all numbers new each round.

    python -m benchmarks.optimiser [--peer /tmp/peer/bin/python] [--rounds 9] [--only what-if ...]

- `what-if`: N = 10, 50, 200, dense covariance, gross, net, bounds, L1 cost, four margin tiers.
  PyPortfolioOpt (custom objective) and skfolio (costs, bounds its own; gross, tiers as custom rows)
  solve the same problem. Asked: 1/10, 1/10, 1/3 of the faster, weights within 1e-5 of 1e-12.
- `factor`: the same with Sigma = F'F + diag(D), R = 10, N = 200, 500, beside PIQP driven by hand
  in a kept workspace. Asked: 1.5 times it.
- `robust`: N = 50, ellipsoid of the mean. skfolio solves the same; Riskfolio knows neither costs
  nor tiers nor an inequality for the net, and gets 1'w = 0 with the same gross: its time is of
  that. Asked: 1/5 of skfolio.
- `cvar`: N = 50, S = 5000, the cap binding: `benchmarks.cvar` beside direct Clarabel.

`--peer` is the interpreter of `peers/optimiser.txt`; without it only `factor` and `cvar` have one.
Times are CPU milliseconds of one thread, medians; the first round warms up and is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import piqp
from numpy.typing import NDArray
from scipy import sparse

from benchmarks import cvar
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.solve import solve
from perptui.optimization.strategies import InForce
from perptui.risk.arrays import LimitArrays
from perptui.settings.load import load
from tests.optimization.program.fat_tails import capped, fat_inputs

FloatArray = NDArray[np.float64]
T = TypeVar("T")

PEER = Path(__file__).resolve().parent / "peers" / "optimiser_peers.py"
EQUITY = 1e6
RATES = (0.004, 0.005, 0.01, 0.025)
DEDUCTIONS_USD = (0.0, 50.0, 1300.0, 16300.0)
FACTORS = 10
WIDE = 10.0
"""A limit that cannot bind: every other limit that the program carries stands at it."""
NEAR = 1e-5
DIRECT_TOLERANCE = 1e-9
FAR = 1e30
"""What PIQP takes for no bound: the same rows are free in every problem."""
CVAR_COLUMNS = "the cap binding: N, S, our ms, direct Clarabel's, ratio, weights apart, excess"
KINDS = ("what-if", "factor", "robust", "cvar")
ASKED = {10: 0.1, 50: 0.1, 200: 1.0 / 3.0}


@dataclass(frozen=True, eq=False)
class Problem:
    """One problem's numbers; see `peers/optimiser_peers.py` for what it says."""

    kind: str
    mu: FloatArray
    sigma: FloatArray
    cost: FloatArray
    before: FloatArray
    bound: FloatArray
    gamma: float
    gross: float
    net_min: float
    net_max: float
    margin: float
    rates: FloatArray
    deductions: FloatArray
    radius: float = 0.0
    root: FloatArray | None = None
    factors: FloatArray | None = None
    specific: FloatArray | None = None

    def line(self) -> str:
        """Return the problem as the peers read it."""
        told = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and one.name not in {"factors", "specific"}:
                told[one.name] = value.tolist() if isinstance(value, np.ndarray) else value
        return json.dumps(told)

    @property
    def n(self) -> int:
        """How many contracts."""
        return len(self.mu)

    def objective(self, w: FloatArray) -> float:
        """Return what is maximised."""
        doubt = 0.0 if self.root is None else self.radius * float(np.linalg.norm(self.root @ w))
        cost = float(self.cost @ np.abs(w - self.before))
        return float(self.mu @ w - 0.5 * self.gamma * w @ self.sigma @ w) - cost - doubt

    def binding(self, w: FloatArray) -> list[str]:
        """Return the limits that a book stands at."""
        size = np.abs(w)
        tiers = (self.rates * size - self.deductions).max(axis=0).sum()
        at = {
            "gross": size.sum() - self.gross,
            "net": max(w.sum() - self.net_max, self.net_min - w.sum()),
            "bounds": float((size - self.bound).max()),
            "tiers": tiers - self.margin,
        }
        return [name for name, over in at.items() if over > -1e-6]


def drawn(kind: str, n: int, seed: int) -> Problem:
    """Return a problem of `n` contracts; gross, tiers and some bounds bind in it."""
    rng = np.random.default_rng(1000 * n + seed)
    factors = specific = None
    if kind == "factor":
        factors = rng.normal(0.0, 0.03, (FACTORS, n)) / np.sqrt(FACTORS)
        factors[0] += 0.06
        specific = rng.uniform(0.02, 0.06, n) ** 2
        sigma = factors.T @ factors + np.diag(specific)
    else:
        spread = rng.uniform(0.05, 0.12, n)
        loads = rng.normal(0.0, 1.0, (n, 3 * n))
        noise = loads @ loads.T / (3 * n)
        sigma = (0.6 + 0.4 * noise) * np.outer(spread, spread)
        sigma = (sigma + sigma.T) / 2.0
    robust = kind == "robust"
    return Problem(
        kind=kind,
        mu=rng.normal(0.0, 0.012, n),
        sigma=sigma,
        cost=rng.uniform(5e-4, 9e-4, n),
        before=rng.normal(0.0, 0.6 / n, n),
        bound=np.full(n, rng.uniform(0.25, 0.35)),
        gamma=float(rng.uniform(3.0, 5.0)),
        gross=float(rng.uniform(1.4, 1.6)),
        net_min=-float(rng.uniform(0.15, 0.25)),
        net_max=float(rng.uniform(0.15, 0.25)),
        margin=float(rng.uniform(0.0066, 0.0070)),
        rates=np.outer(RATES, np.ones(n)),
        deductions=np.outer(DEDUCTIONS_USD, np.ones(n)) / EQUITY,
        radius=0.5 if robust else 0.0,
        root=np.diag(rng.uniform(0.005, 0.015, n)) if robust else None,
        factors=factors,
        specific=specific,
    )


def inputs_of(problem: Problem, rules: InForce) -> ProgramInputs:
    """Return the same problem as the program takes it; every other limit is out of reach."""
    n, one = problem.n, np.ones(problem.n)
    if problem.factors is None or problem.specific is None:
        spread = np.asarray(np.linalg.cholesky(problem.sigma).T, dtype=np.float64)
    else:
        spread = np.vstack([problem.factors, np.diag(np.sqrt(problem.specific))])
    limits = LimitArrays(
        coin=np.eye(n),
        account=one[None, :],
        cluster=np.zeros((0, n)),
        equity_share=np.ones(1),
        tier_rates=problem.rates,
        tier_deductions=problem.deductions,
        linear=one,
        root=spread,
        root_offset=np.zeros(len(spread)),
        sigma=np.sqrt(np.diag(problem.sigma)),
        trade_max=WIDE * one,
        trade_min=0.0 * one,
        size_max=WIDE * one,
        initial_rate=0.0 * one,
        stress=np.zeros((2, n)),
        stress_names=("up", "down"),
        rows=np.zeros((0, n)),
        row_max=np.zeros(0),
        row_names=(),
        scenarios=np.zeros((0, n)),
        scenario_offset=np.zeros(0),
        market=0.0 * one,
        gross_max=problem.gross,
        net_min=problem.net_min,
        net_max=problem.net_max,
        coin_net_max=WIDE,
        coin_gross_max=WIDE,
        venue_gross_max=WIDE,
        margin_ratio_max=problem.margin,
        cushion=0.0,
        depeg=0.0,
        turnover_max=WIDE,
        volatility_max=WIDE,
        covariance_uncertainty=0.0,
        cluster_max=WIDE,
        free_collateral_min=0.0,
        stablecoin_min=0.0,
        tail=0.05,
        cvar_max=WIDE,
        market_correlation_max=1.0,
    )
    return ProgramInputs(
        contracts=(),
        equity=Decimal(int(EQUITY)),
        account_equity={"one": Decimal(int(EQUITY))},
        peak_equity=None,
        horizon_days=7.0,
        expected_return=problem.mu,
        uncertainty=np.zeros(n),
        covariance=problem.sigma,
        before=problem.before,
        linear_cost=problem.cost,
        impact=np.zeros(n),
        lower=-problem.bound,
        upper=problem.bound,
        risk_aversion=problem.gamma,
        cost_aversion=1.0,
        limits=limits,
        in_force=rules,
        cluster_max=WIDE,
        clusters=(),
        fixed=frozenset(),
        edited={},
        reduce_only=False,
        notes=(),
        ellipsoid=problem.radius,
        omega_root=problem.root,
        factors=problem.factors,
        specific=problem.specific,
    )


class Direct:
    """PIQP driven by hand: the factor form in a kept sparse workspace, data updated in place.

    Variables w, |w|, |z|, margins, and F w; rows as `peers/optimiser_peers.py` states the problem.
    Only what changes from one problem to the next is written: every pattern stands, and so do the
    tiers' rates.
    """

    def __init__(self, n: int) -> None:
        self._n, self._solver = n, piqp.SparseSolver()
        self._solver.settings.eps_abs = self._solver.settings.eps_rel = DIRECT_TOLERANCE
        self._solver.settings.eps_duality_gap_abs = DIRECT_TOLERANCE
        self._solver.settings.eps_duality_gap_rel = DIRECT_TOLERANCE
        self._rows: sparse.csc_matrix | None = None
        self._quadratic = sparse.identity(4 * n + FACTORS, format="csc")
        link = [np.ones((FACTORS, n)), sparse.csc_matrix((FACTORS, 3 * n))]
        self._equal = sparse.hstack([*link, -sparse.identity(FACTORS)], format="csc")
        self._linear, self._upper = np.zeros(4 * n + FACTORS), np.zeros(8 * n + 4)
        self._low, self._high = (np.full(4 * n + FACTORS, far) for far in (-FAR, FAR))

    def solve(self, problem: Problem) -> FloatArray:
        """Return the weights, copied out of the workspace.

        Raises
        ------
        RuntimeError
            When it is not solved.
        """
        n = self._n
        assert problem.factors is not None
        assert problem.specific is not None
        self._quadratic.data[:n] = 1e4 * problem.gamma * problem.specific
        self._quadratic.data[n : 4 * n] = 0.0
        self._quadratic.data[4 * n :] = 1e4 * problem.gamma
        self._equal.data[: n * FACTORS] = problem.factors.T.ravel()
        self._linear[:n], self._linear[2 * n : 3 * n] = -1e4 * problem.mu, 1e4 * problem.cost
        self._upper[2 * n : 3 * n], self._upper[3 * n : 4 * n] = problem.before, -problem.before
        self._upper[4 * n : 8 * n] = problem.deductions.ravel()
        self._upper[8 * n :] = problem.gross, problem.margin, problem.net_max, -problem.net_min
        self._low[:n], self._high[:n] = -problem.bound, problem.bound
        if self._rows is None:
            self._rows = self._inequalities(problem)
            given = (self._linear, self._equal, np.zeros(FACTORS), self._rows, None, self._upper)
            self._solver.setup(self._quadratic, *given, self._low, self._high)
        else:
            self._solver.update(
                P=self._quadratic,
                c=self._linear,
                A=self._equal,
                h_u=self._upper,
                x_l=self._low,
                x_u=self._high,
            )
        status = self._solver.solve()
        if status != piqp.PIQP_SOLVED:
            raise RuntimeError(f"expected a solved problem, was {status}")
        return np.array(self._solver.result.x[:n])

    @staticmethod
    def _inequalities(problem: Problem) -> sparse.csc_matrix:
        n = problem.n
        one, none = sparse.identity(n), sparse.csc_matrix((n, n))
        free = sparse.csc_matrix((n, FACTORS))
        blocks = [
            [one, -one, none, none, free],
            [-one, -one, none, none, free],
            [one, none, -one, none, free],
            [-one, none, -one, none, free],
            *([none, sparse.diags(rates), none, -one, free] for rates in problem.rates),
        ]
        sums = np.zeros((4, 4 * n + FACTORS))
        sums[0, n : 2 * n] = sums[1, 3 * n : 4 * n] = sums[2, :n] = 1.0
        sums[3, :n] = -1.0
        return sparse.vstack([sparse.bmat(blocks), sparse.csc_matrix(sums)], format="csc")


class Peers:
    """The peers' process; answers by name: seconds and weights."""

    def __init__(self, interpreter: str) -> None:
        self._child = subprocess.Popen(
            [interpreter, str(PEER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answers(self, problem: Problem) -> dict[str, tuple[float, FloatArray | None, str]]:
        """Return every peer's answer to a problem."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print(problem.line(), file=self._child.stdin, flush=True)
        told = json.loads(self._child.stdout.readline())
        return {
            name: (seconds, None if weights is None else np.array(weights), text)
            for name, (seconds, weights, text) in told.items()
        }

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Return the CPU seconds of one call, and its result."""
    begin = time.process_time()
    result = call()
    return time.process_time() - begin, result


@dataclass
class Tally:
    """Seconds by name, the farthest weights from the reference, and what bound, over rounds."""

    seconds: dict[str, list[float]]
    apart: dict[str, float]
    bound: dict[str, int]
    said: dict[str, str]

    def add(self, name: str, seconds: float, apart: float | None) -> None:
        """Count one answer."""
        self.seconds.setdefault(name, []).append(seconds)
        if apart is not None:
            self.apart[name] = max(self.apart.get(name, 0.0), apart)


def run(kind: str, n: int, rounds: int, peers: Peers | None, rules: InForce) -> Tally:
    """Return what `rounds` problems took, ours and the peers' in turns; one more warms up."""
    tally, direct = Tally({}, {}, {}, {}), Direct(n)
    for turn in range(rounds + 1):
        problem = drawn(kind, n, turn)
        inputs = inputs_of(problem, rules)
        own_seconds, solution = timed(partial(solve, inputs))
        if solution.status != "optimal":
            raise RuntimeError(f"{kind} {n}: {solution.status}, {solution.detail}")
        told = peers.answers(problem) if peers is not None and kind != "factor" else {}
        if kind == "factor":
            took, by_hand = timed(partial(direct.solve, problem))
            told = {"PIQP direct": (took, by_hand, "")}
        best = told.get("reference", told.get("PIQP direct", (0.0, None, "")))[1]
        if turn == 0:
            continue
        own = solution.exact
        tally.add("ours", own_seconds, None if best is None else float(np.abs(own - best).max()))
        for name, (seconds, weights, text) in told.items():
            off = None if best is None or weights is None else float(np.abs(weights - best).max())
            tally.add(name, seconds, off)
            if text:
                tally.said[name] = text
        for name in problem.binding(own):
            tally.bound[name] = tally.bound.get(name, 0) + 1
        tally.said["ours"] = f"{solution.solver}, {solution.iterations} iterations"
    return tally


def print_tally(
    title: str, tally: Tally, against: Mapping[str, float], rounds: int, unlike: str = ""
) -> None:
    """Print each time, its ratio to ours, and the verdict against the peers named."""
    own = statistics.median(tally.seconds["ours"])
    said = tally.said.pop("ours", "")
    bound = ", ".join(f"{name} {count}/{rounds}" for name, count in tally.bound.items())
    print(f"\n{title}: ours {own * 1e3:.2f} ms ({said}); binding: {bound}")
    off = tally.apart.get("ours")
    if off is not None:
        print(f"  weights apart from the reference: {off:.1e} {'pass' if off <= NEAR else 'MISS'}")
    medians = {name: statistics.median(values) for name, values in tally.seconds.items()}
    for name, seconds in medians.items():
        if name in {"ours", "reference"}:
            continue
        apart = tally.apart.get(name)
        away = "" if apart is None else f", weights apart {apart:.1e}"
        text = tally.said.get(name, "") or (unlike if name.startswith("Riskfolio") else "")
        print(f"  {name}: {seconds * 1e3:.2f} ms, ours {own / seconds:.3f} of it{away} {text}")
    judged = {name: medians[name] for name in against if name in medians}
    if judged:
        name = min(judged, key=judged.__getitem__)
        ratio, most = own / judged[name], against[name]
        verdict = "pass" if ratio <= most else "MISS"
        print(f"  asked {most:.3f} of the faster, {name}: {ratio:.3f} {verdict}")


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", help="interpreter of the environment of peers/optimiser.txt")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    arguments = parser.parse_args()
    rounds = arguments.rounds
    rules = InForce(load().settings.limits, 0.0, 1.0, ())
    peers = Peers(arguments.peer) if arguments.peer else None
    if "what-if" in arguments.only:
        for n, most in ASKED.items():
            against = dict.fromkeys(("PyPortfolioOpt", "skfolio"), most)
            print_tally(f"what-if N={n}", run("what-if", n, rounds, peers, rules), against, rounds)
    if "factor" in arguments.only:
        for n in (200, 500):
            tally = run("factor", n, rounds, peers, rules)
            print_tally(f"factor form N={n}, R={FACTORS}", tally, {"PIQP direct": 1.5}, rounds)
    if "robust" in arguments.only:
        few = min(rounds, 5)
        tally = run("robust", 50, few, peers, rules)
        unlike = "(1'w = 0, no costs, no tiers: its class has no more)"
        print_tally("robust SOCP N=50", tally, {"skfolio": 0.2}, few, unlike)
    if "cvar" in arguments.only:
        asked = argparse.Namespace(repetitions=min(rounds, 5))
        told = [capped(fat_inputs(50, 5000, seed, impact=False)) for seed in range(3)]
        print(f"\nCVaR-capped N=50, S=5000, {CVAR_COLUMNS}")
        cvar.show("linear cost", 50, 5000, [cvar.measured(inputs, asked) for inputs in told])
    if peers is not None:
        peers.close()


if __name__ == "__main__":
    main()
