"""The regime vote on real history, and its models' speed beside hmmlearn and jumpmodels.

    python -m benchmarks.regime [--data ../shared/data] [--peer /tmp/peer/bin/python]

Prints every line of acceptance for the equal-weight book of five coins, hour by hour with what was
known then: chosen on data up to 2022-12, later years untouched; then the same for books that the
vote was not made for. With `--peer`, the interpreter of `peers/regime.txt`, it prints the ratio of
times on the same observations: one start and as many steps for hmmlearn, as many starts for
jumpmodels, and what both reach.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.panel import Closes, build_panel, equal_weight_book
from perptui.estimation.regime.hidden_markov import HiddenMarkov, fit_hidden_markov
from perptui.estimation.regime.inputs import SideInputs
from perptui.estimation.regime.jump_model import fit_jump_model
from perptui.estimation.regime.rule import CALM, STRESS
from perptui.estimation.regime.vote import MODELS, RegimePath, label_hours
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Reached = TypeVar("Reached")

HOURLY = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT")
EIGHT_HOURLY = ("ADAUSDT", "ATOMUSDT", "DOTUSDT", "LINKUSDT", "LTCUSDT")
CRASHES = ("2021-05-19", "2022-05-09", "2022-06-13", "2022-11-08", "2024-08-05")
BEGIN, JUDGED, CHOSEN, END = (
    parse_iso(f"{day}T00:00Z") for day in ("2020-01-01", "2021-01-01", "2023-01-01", "2025-07-01")
)
SHIFTS = 1000
SEED = 5
LEAST_QUIET, LEAST_QUIET_YEAR, MOST_ENTRIES, LEAST_RATIO, MOST_CHANCE = 0.70, 0.60, 20.0, 1.4, 0.01


@dataclass(frozen=True, slots=True)
class Book:
    """An equal-weight book's hourly log returns (T,); its first hour begins at `start_ms`."""

    name: str
    returns: FloatArray
    start_ms: int

    def row(self, ms: int) -> int:
        """Return how many hours end by `ms`."""
        return (ms - self.start_ms) // HOUR_MS


@dataclass(frozen=True, slots=True)
class Score:
    """The lines of acceptance of one span of one book."""

    quiet: float
    quiet_years: dict[int, float]
    entries: float
    ratio: float
    chance: float

    @property
    def passed(self) -> bool:
        """Whether every line holds."""
        return (
            self.quiet >= LEAST_QUIET
            and min(self.quiet_years.values()) >= LEAST_QUIET_YEAR
            and self.entries <= MOST_ENTRIES
            and self.ratio >= LEAST_RATIO
            and self.chance < MOST_CHANCE
        )


def read_book(history: History, name: str, venue: str, symbols: Sequence[str], kind: str) -> Book:
    """Return the equal-weight book of `symbols` from 2020-01 to 2025-06, from its first hour."""
    series = []
    for symbol in symbols:
        bars = history.bars(venue, symbol, kind, END)
        series.append(Closes(symbol, symbol, bars.close_ms, bars.close, bars.width_ms))
    panel = build_panel(series, END, (END - BEGIN) // DAY_MS)
    returns = equal_weight_book(panel)
    first = int(np.argmax(np.isfinite(returns)))
    return Book(name, returns[first:], BEGIN + first * HOUR_MS)


def median_funding(history: History, book: Book, symbols: Sequence[str]) -> FloatArray:
    """Return the cross-coin median of the hourly rate last settled, by hour of the book (T,)."""
    ends = book.start_ms + HOUR_MS * (1 + np.arange(len(book.returns)))
    columns = []
    for symbol in symbols:
        settled = history.funding("binanceusdm", symbol, END)
        index = np.searchsorted(settled.ts_ms, ends, side="right") - 1
        rate = (settled.rate / settled.interval_h)[np.maximum(index, 0)]
        columns.append(np.where(index >= 0, rate, np.nan))
    rates = np.column_stack(columns)
    known = np.isfinite(rates).any(axis=1)
    median = np.full(len(rates), np.nan)
    median[known] = np.nanmedian(rates[known], axis=1)
    return median


def score(labels: IntArray, book: Book, first_ms: int, last_ms: int) -> Score:
    """Return how `labels` (T,) did from `first_ms` to `last_ms`.

    The next 24 h of an hour are those after it; the ratio is of medians of their volatility in
    stress or crisis over calm. The chance is the share of circular shifts of the labels whose
    ratio is as high.
    """
    first, last = book.row(first_ms), book.row(last_ms)
    here = labels[first:last]
    stressed = here >= STRESS
    ends = book.start_ms + HOUR_MS * (1 + np.arange(first, last))
    years = np.array([datetime.fromtimestamp((ms - 1) / 1e3, UTC).year for ms in ends.tolist()])
    total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(book.returns) ** 2)])
    row = np.arange(first, min(last, len(labels) - 24))
    order = np.argsort(total[row + 25] - total[row + 1], kind="stable")
    ahead = np.sqrt(np.sort(total[row + 25] - total[row + 1]))
    kinds = np.where(stressed, 2, np.where(here == CALM, 0, 1))[: len(row)]
    ratio = ratio_of_medians(kinds[order], ahead)
    shifts = np.random.default_rng(SEED).integers(1, len(row), SHIFTS).tolist()
    by_chance = [ratio_of_medians(np.roll(kinds, by)[order], ahead) for by in shifts]
    return Score(
        quiet=float(1.0 - stressed.mean()),
        quiet_years={
            int(year): float(1.0 - stressed[years == year].mean()) for year in np.unique(years)
        },
        entries=float(np.count_nonzero(stressed[1:] & ~stressed[:-1]) / (len(here) / 8760.0)),
        ratio=ratio,
        chance=float(np.mean([value >= ratio for value in by_chance])),
    )


def ratio_of_medians(kinds: IntArray, ahead: FloatArray) -> float:
    """Return the median of rising `ahead` (T,) where `kinds` is 2 over that where it is 0."""
    medians = []
    for kind in (2, 0):
        rows = np.flatnonzero(kinds == kind)
        if not len(rows):
            return float("nan")
        middle = rows[(len(rows) - 1) // 2], rows[len(rows) // 2]
        medians.append(0.5 * (ahead[middle[0]] + ahead[middle[1]]))
    return float(medians[0] / medians[1])


def crash_rows(book: Book, days: Sequence[str] = CRASHES) -> list[int]:
    """Return the hour that ends at 24:00Z of each of `days`."""
    return [book.row(parse_iso(f"{day}T00:00Z") + DAY_MS) - 1 for day in days]


def print_book(book: Book, path: RegimePath) -> None:
    """Print every line of acceptance for one book."""
    print(f"\n{book.name}")
    for day, row in zip(CRASHES, crash_rows(book), strict=True):
        pool = path.probabilities[row, STRESS:].sum()
        votes = "  ".join(
            f"{name} {vote[row, STRESS:].sum():.2f}"
            for name, vote in zip(MODELS, path.votes, strict=True)
        )
        verdict = "seen" if path.labels[row] >= STRESS else "MISSED"
        print(f"  {day} 24:00Z {verdict:6s} P(stress or crisis) {pool:.2f}  ({votes})")
    for first, last, text in (
        (JUDGED, CHOSEN, "2021-2022, chosen on"),
        (CHOSEN, END, "2023-2025, untouched"),
        (JUDGED, END, "2021-2025"),
    ):
        found = score(path.labels, book, max(first, book.start_ms + 180 * DAY_MS), last)
        years = " ".join(f"{year} {share:.1%}" for year, share in found.quiet_years.items())
        print(
            f"  {text:21s} calm or normal {found.quiet:.1%} ({years})  entries a year "
            f"{found.entries:.1f}  stress/calm {found.ratio:.2f}  by chance {found.chance:.1%}  "
            f"{'pass' if found.passed else 'MISS'}"
        )
    shares = np.bincount(path.labels[book.row(JUDGED) :], minlength=4) / len(
        path.labels[book.row(JUDGED) :]
    )
    print("  shares of calm, normal, stress, crisis: " + " ".join(f"{x:.1%}" for x in shares))


def print_history(data: Path) -> None:
    """Print acceptance on all books of the history."""
    history = History(data)
    main = read_book(history, "five hourly coins, Binance", "binanceusdm", HOURLY, "1h")
    started = time.perf_counter()
    path = label_hours(main.returns, main.start_ms)
    print(f"{len(main.returns)} hours labelled in {time.perf_counter() - started:.1f} s, fresh")
    print_book(main, path)
    funding = SideInputs(funding=median_funding(history, main, HOURLY))
    with_funding = Book(f"{main.name}, with funding z", main.returns, main.start_ms)
    print_book(with_funding, label_hours(main.returns, main.start_ms, funding))
    others: list[tuple[str, str, tuple[str, ...], str]]
    others = [("five hourly coins, Bybit", "bybit", HOURLY, "1h")]
    others += [(f"{symbol} alone", "binanceusdm", (symbol,), "1h") for symbol in HOURLY]
    others += [("five 8-hourly coins, Binance", "binanceusdm", EIGHT_HOURLY, "8h")]
    for name, venue, symbols, kind in others:
        book = read_book(history, name, venue, symbols, kind)
        print_book(book, label_hours(book.returns, book.start_ms))


def simulated(rows: int = 2000) -> FloatArray:
    """Return (rows, 2): return and log variance of two regimes, 2 % and 5.5 % a day, t with 5."""
    rng = np.random.default_rng(1)
    state = np.zeros(rows, dtype=np.int64)
    for t in range(1, rows):
        state[t] = state[t - 1] ^ int(rng.random() < (0.02, 0.05)[state[t - 1]])
    deviation = np.array([0.02, 0.055])[state]
    returns = rng.standard_t(5, rows) * deviation / np.sqrt(5.0 / 3.0)
    return np.column_stack([20.0 * returns, np.log(deviation**2) + rng.normal(0, 0.5, rows)])


HMM_STEPS = 20
PENALTIES = (1.0, 50.0)
JUMP_STARTS = 10
ROUNDS = 9

PEER = f"""
import json, sys, time, warnings
import numpy as np
warnings.filterwarnings("ignore")
from hmmlearn.hmm import GaussianHMM
from jumpmodels.jump import JumpModel
given = json.loads(sys.stdin.readline())
x, z = np.array(given["x"]), np.array(given["z"])
def timed(call):
    begin = time.process_time()
    result = call()
    return time.process_time() - begin, result
def hmm(implementation):
    model = GaussianHMM(2, "full", n_iter={HMM_STEPS}, tol=-1e300, init_params="", covars_prior=0,
                        covars_weight=0, implementation=implementation)
    model.startprob_, model.transmat_ = np.array(given["initial"]), np.array(given["transition"])
    model.means_, model.covars_ = np.array(given["means"]), np.array(given["covariances"])
    return model.fit(x)
for line in sys.stdin:
    out = {{}}
    for name in ("log", "scaling"):
        seconds, model = timed(lambda: hmm(name))
        out[name] = [seconds, float(model.score(x)), model.monitor_.iter]
    seconds, model = timed(
        lambda: GaussianHMM(2, "full", n_iter=100, tol=1e-4, random_state=0).fit(x))
    out["default"] = out["starts"] = [seconds, float(model.score(x)), model.monitor_.iter]
    for penalty in {PENALTIES}:
        seconds, model = timed(lambda: JumpModel(2, jump_penalty=penalty, cont=False,
                               n_init={JUMP_STARTS}, random_state=0).fit(z))
        out[str(penalty)] = [seconds, float(model.val_), 0]
    print(json.dumps(out), flush=True)
"""


def timed(call: Callable[[], Reached]) -> tuple[float, Reached]:
    """Return the CPU seconds of one call, and its result."""
    begin = time.process_time()
    result = call()
    return time.process_time() - begin, result


def given_start(x: FloatArray) -> HiddenMarkov:
    """Return the start that both sides get: halves by variance, staying with 95 %."""
    high = x[:, 1] > np.median(x[:, 1])
    return HiddenMarkov(
        np.array([0.5, 0.5]),
        np.array([[0.95, 0.05], [0.05, 0.95]]),
        np.array([x[~high].mean(axis=0), x[high].mean(axis=0)]),
        np.array([np.cov(x[~high].T), np.cov(x[high].T)]),
        loglik=float("nan"),
        iterations=0,
    )


def our_round(x: FloatArray, z: FloatArray, start: HiddenMarkov) -> dict[str, tuple[float, float]]:
    """Return CPU seconds and what was reached, once for each row of the table."""
    seconds, model = timed(
        lambda: fit_hidden_markov(x, 2, start=start, iterations=HMM_STEPS, tolerance=-np.inf)
    )
    found = {"log": (seconds, model.loglik), "scaling": (seconds, model.loglik)}
    seconds, model = timed(lambda: fit_hidden_markov(x, 2, start=start))
    found["default"] = (seconds, model.loglik)
    seconds, model = timed(lambda: fit_hidden_markov(x, 2))
    found["starts"] = (seconds, model.loglik)
    for penalty in PENALTIES:
        seconds, jumps = timed(partial(fit_jump_model, z, 2, penalty, starts=JUMP_STARTS))
        found[str(penalty)] = (seconds, jumps.objective)
    return found


def print_speed(peer: str) -> None:
    """Print CPU times and what is reached, in turns with the peers in a child process."""
    x = simulated()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    start = given_start(x)
    given = {
        "x": x.tolist(),
        "z": z.tolist(),
        "initial": start.initial.tolist(),
        "transition": start.transition.tolist(),
        "means": start.means.tolist(),
        "covariances": start.covariances.tolist(),
    }
    ours, theirs = [], []
    with subprocess.Popen(
        [peer, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        print(json.dumps(given), file=child.stdin, flush=True)
        for _ in range(ROUNDS):
            ours.append(our_round(x, z, start))
            print("next", file=child.stdin, flush=True)
            theirs.append(json.loads(child.stdout.readline()))
        child.stdin.close()
    rows = {
        "log": f"hidden Markov, one given start, {HMM_STEPS} steps; hmmlearn (log)",
        "scaling": f"hidden Markov, one given start, {HMM_STEPS} steps; hmmlearn (scaling)",
        "default": "hidden Markov, tolerance 1e-4, one start each; hmmlearn as it comes",
        "starts": "hidden Markov, tolerance 1e-4, four starts; hmmlearn as it comes, one start",
        "1.0": f"jump model, lambda 1, {JUMP_STARTS} starts; jumpmodels",
        "50.0": f"jump model, lambda 50, {JUMP_STARTS} starts; jumpmodels",
    }
    print(f"\n2 states, T = {len(x)}, CPU ms, medians of {ROUNDS} rounds in turns")
    for name, text in rows.items():
        own = statistics.median(each[name][0] for each in ours)
        other = statistics.median(each[name][0] for each in theirs)
        print(
            f"  {text}: {own * 1e3:.1f} to {other * 1e3:.1f}, ratio {own / other:.3f}; "
            f"reached {ours[0][name][1]:.4f} to {theirs[0][name][1]:.4f}"
        )


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--peer", help="interpreter of the environment of peers/regime.txt")
    parser.add_argument("--only-speed", action="store_true", help="do not read history")
    arguments = parser.parse_args()
    if not arguments.only_speed:
        print_history(arguments.data)
    if arguments.peer:
        print_speed(arguments.peer)


if __name__ == "__main__":
    main()
