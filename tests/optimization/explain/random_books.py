"""Random books under random limits, posed again with one setting changed."""

from dataclasses import replace

import msgspec
import numpy as np

from perptui.model.forecast import Estimates
from perptui.model.snapshot import MarketSnapshot
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

FOUR = [instrument(coin, venue) for venue in ("binanceusdm", "bybit") for coin in ("BTC", "ETH")]
FOUR_MARKS = {one.id: "60000" if one.coin == "BTC" else "3000" for one in FOUR}
RANGES: dict[str, tuple[float, float]] = {
    "gross_max": (0.3, 3.0),
    "net_max": (0.1, 1.0),
    "coin_net_max": (0.1, 1.0),
    "coin_gross_max": (0.2, 1.2),
    "venue_gross_max": (0.5, 3.0),
    "margin_ratio_max": (0.002, 0.05),
    "liquidation_distance_min": (0.2, 0.9),
    "turnover_max": (0.02, 0.6),
    "volatility_max": (0.05, 0.8),
    "participation_max": (2e-5, 1e-2),
    "beta_max": (0.1, 1.5),
    "cvar_max": (0.01, 0.3),
    "standalone_risk_max": (0.2, 1.0),
    "first_component_max": (0.2, 1.0),
    "free_collateral_min": (0.1, 0.97),
}


class RandomBook:
    """Limits, positions and targets drawn from one seed, posed again with a setting changed."""

    def __init__(self, seed: int, tight: int) -> None:
        rng = np.random.default_rng(seed)
        self.positions = {
            one.id: f"{rng.normal() * (1.0 if one.coin == 'BTC' else 20.0):.3f}" for one in FOUR
        }
        names = rng.choice(sorted(RANGES), size=tight, replace=False)
        self.limits = {str(name): float(rng.uniform(*RANGES[name])) for name in names}
        self.targets = {
            one.id: float(rng.uniform(-0.6, 0.6)) for one in FOUR if rng.uniform() < 0.25
        }
        self.scenarios = rng.standard_t(4, (60, 4)) * 0.06
        self.strategy = msgspec.structs.replace(
            BALANCED,
            covariance_uncertainty=float(rng.choice([0.0, 0.02])),
            cluster_correlation=float(rng.choice([0.5, 1.0])),
            cluster_gross_max=float(rng.uniform(0.3, 2.0)),
        )

    def posed(
        self, setting: str = "", value: float = 0.0, *, reduce_only: bool = False
    ) -> ProgramInputs:
        targets, limits, strategy = dict(self.targets), dict(self.limits), self.strategy
        if setting.startswith("target:"):
            targets[setting.removeprefix("target:")] = value
        elif setting == "cluster_gross_max":
            strategy = msgspec.structs.replace(strategy, cluster_gross_max=value)
        elif setting:
            limits[setting] = value
        rules = msgspec.structs.replace(LIMITS, **limits)
        inputs = program_inputs(
            self.snapshot, self.estimates, strategy, rules, targets, reduce_only=reduce_only
        )
        arrays = replace(
            inputs.limits, scenarios=self.scenarios, scenario_offset=np.zeros(len(self.scenarios))
        )
        return replace(inputs, limits=arrays)

    @property
    def snapshot(self) -> MarketSnapshot:
        equity = {"binanceusdm": "70000", "bybit": "30000"}
        return snapshot(FOUR, FOUR_MARKS, equity, self.positions)

    @property
    def estimates(self) -> Estimates:
        sigma = covariance([0.5, 0.65, 0.5, 0.65], 0.7)
        return estimates(FOUR, FOUR_MARKS, [0.0] * 4, sigma)
