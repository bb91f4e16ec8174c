"""Print the table of `estimation.court.calibration`: where a right forecast's bias lies.

    uv run python benchmarks/calibration_bands.py

95 % of sd(z) of T independent Student t returns with 5 degrees, scaled to a deviation of one, and
beside it how often the band 1 ± sqrt(2/T) of normal returns would call that right forecast wrong.
"""

import numpy as np

from perptui.estimation.court.calibration import BANDS, FREEDOM

SEED = 20260101
PATHS = 100_000
BATCH = 4_000_000
"""Draws at a time."""


def simulated(days: int, rng: np.random.Generator) -> np.ndarray:
    """Return sd(z) of `PATHS` series of `days`."""
    parts, done = [], 0
    while done < PATHS:
        rows = min(PATHS - done, max(1, BATCH // days))
        z = rng.standard_t(FREEDOM, (rows, days)) / np.sqrt(FREEDOM / (FREEDOM - 2.0))
        parts.append(z.std(axis=1, ddof=1))
        done += rows
    return np.concatenate(parts)


def main() -> None:
    """Print one row a length."""
    rng = np.random.default_rng(SEED)
    print("(days, low, high)         normal band errs")
    for days, _, _ in BANDS:
        spread = simulated(days, rng)
        low, high = np.quantile(spread, (0.025, 0.975))
        wrong = float(np.mean(np.abs(spread - 1.0) > np.sqrt(2.0 / days)))
        print(f"({days}, {low:.4f}, {high:.4f}),  # {wrong:.1%}")


if __name__ == "__main__":
    main()
