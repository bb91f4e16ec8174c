"""Three coins held on one account of 100,000 USD: what tests of limits and ways out share."""

from collections.abc import Mapping

import msgspec

from perptui.model.forecast import Estimates
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    covariance,
    estimates,
    instrument,
    snapshot,
)

LEGS = [instrument("BTC"), instrument("ETH"), instrument("SOL", step="1")]
BTC, ETH, SOL = (one.id for one in LEGS)
MARKS = {BTC: "60000", ETH: "3000", SOL: "150"}
SIGMA = covariance([0.5, 0.65, 0.9], 0.7)
# No price is expected to move: only limits, risk and costs decide.
DRIFTLESS = estimates(LEGS, MARKS, [0.0] * 3, SIGMA)


def market_of(
    positions: Mapping[str, str] | None = None, peak: str | None = None
) -> MarketSnapshot:
    """Return the account with `positions` (signed contracts by id)."""
    return snapshot(LEGS, MARKS, {"binanceusdm": "100000"}, positions, peak)


def posed(
    positions: Mapping[str, str] | None = None,
    targets: Mapping[str, float] | None = None,
    *,
    limits: Mapping[str, object] | None = None,
    market: MarketSnapshot | None = None,
    found: Estimates = DRIFTLESS,
    strategy: StrategyParameters = BALANCED,
    reduce_only: bool = False,
) -> ProgramInputs:
    """Return the program of `market`, else of `positions`; `limits` bend `LIMITS`."""
    return program_inputs(
        market_of(positions) if market is None else market,
        found,
        strategy,
        msgspec.structs.replace(LIMITS, **(limits or {})),
        targets or {},
        reduce_only=reduce_only,
    )


# Of a program: one coin held, and expectations of all three that are not certain.
SNAP = market_of({SOL: "40"})
FOUND = estimates(LEGS, MARKS, [0.01, 0.02, 0.03], SIGMA, deviation=[0.02, 0.03, 0.04])


def without(found: Estimates, *left_out: str) -> Estimates:
    """Return estimates of all contracts but those left out."""
    kept = [i for i, row in enumerate(found.instruments) if row.id not in left_out]
    return msgspec.structs.replace(
        found,
        instruments=tuple(found.instruments[i] for i in kept),
        covariance=tuple(tuple(found.covariance[i][j] for j in kept) for i in kept),
        correlation=tuple(tuple(found.correlation[i][j] for j in kept) for i in kept),
    )
