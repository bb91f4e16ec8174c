"""Time 50 GARCH(1,1) fits of 2,000 days beside `arch`, and print the ratio and what was lost.

Both maximise the normal likelihood with a zero mean and the same presample rule. Ours runs with its
gates, as the estimator calls it; the peer with its model, its fit and nothing else.

    uv run python benchmarks/garch.py [--repetitions 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from perptui.estimation.variance.garch import GarchFit, Specification, fit_garch

SERIES, DAYS = 50, 2000
TARGET_RATIO = 1.0 / 8.0
TARGET_LIKELIHOOD = 1e-3
PERCENT = 100.0


def simulated(rng: np.random.Generator) -> np.ndarray:
    """Return one series of a GARCH(1,1) with parameters as those of coins, fractions."""
    alpha, persistence = rng.uniform(0.04, 0.15), rng.uniform(0.9, 0.985)
    omega = rng.uniform(4.0, 25.0) * (1.0 - persistence)
    beta, h = persistence - alpha, omega / (1.0 - persistence)
    e = np.empty(DAYS)
    for t, z in enumerate(rng.standard_normal(DAYS)):
        e[t] = np.sqrt(h) * z
        h = omega + alpha * e[t] ** 2 + beta * h
    return e / PERCENT


def ours(panel: list[np.ndarray]) -> list[GarchFit]:
    """Return our fits."""
    return [fit_garch(returns, Specification("garch", "normal", "zero")) for returns in panel]


def peers(panel: list[np.ndarray]) -> list[float]:
    """Return the log-likelihoods of the peer's fits."""
    from arch import arch_model

    found = []
    for returns in panel:
        percent = PERCENT * returns
        model = arch_model(percent, mean="Zero", vol="GARCH", rescale=False)
        fit = model.fit(disp="off", show_warning=False, backcast=float(np.mean(percent**2)))
        found.append(float(fit.loglikelihood))
    return found


def main() -> int:
    """Print every repetition, the medians' ratio and the likelihoods' differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    rng = np.random.default_rng(20221231)
    panel = [simulated(rng) for _ in range(SERIES)]
    ours(panel[:1]), peers(panel[:1])
    spent: dict[str, list[float]] = {"ours": [], "arch": []}
    for number in range(repetitions):
        start = time.perf_counter()
        fits = ours(panel)
        between = time.perf_counter()
        likelihoods = peers(panel)
        spent["ours"].append(between - start)
        spent["arch"].append(time.perf_counter() - between)
        print(f"{number + 1}: ours {spent['ours'][-1]:.3f} s, arch {spent['arch'][-1]:.3f} s")
    ratio = statistics.median(spent["ours"]) / statistics.median(spent["arch"])
    worse = max((b - a.log_likelihood) / DAYS for a, b in zip(fits, likelihoods, strict=True))
    print(f"{SERIES} fits of {DAYS} days, medians of {repetitions}: ratio 1/{1.0 / ratio:.1f}")
    print(f"target 1/{1.0 / TARGET_RATIO:.0f}: {'met' if ratio <= TARGET_RATIO else 'missed'}")
    print(f"largest loss of log-likelihood an observation {worse:.1e}, allowed {TARGET_LIKELIHOOD}")
    print(f"fits that passed the gates: {sum(fit.usable for fit in fits)} of {SERIES}")
    return 0 if ratio <= TARGET_RATIO and worse <= TARGET_LIKELIHOOD else 1


if __name__ == "__main__":
    sys.exit(main())
