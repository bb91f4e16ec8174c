"""Random markets with hedges, inverse legs, coarse lots and tails, for properties of limits."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import numpy as np

from perptui.model.instrument import Instrument
from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.scenarios import HorizonScenarios
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    covariance,
    estimates,
    instrument,
    snapshot,
)

D = Decimal
PATHS = 240
MARKS = {"BTC": "61234.5", "ETH": "3011.25", "SOL": "148.37", "XRP": "0.5123", "ADA": "0.4"}
STEPS = {"BTC": "0.001", "ETH": "0.01", "SOL": "1", "XRP": "10", "ADA": "100"}
VOLATILITY = {"BTC": 0.5, "ETH": 0.65, "SOL": 0.9, "XRP": 0.8, "ADA": 0.85}


def inverse(coin: str, venue: str = "coinm") -> Instrument:
    """Return an inverse contract of 100 USD."""
    return msgspec.structs.replace(
        instrument(coin, venue, "1"), contract_size=D(100), linear=False, settle=coin
    )


LEGS = sorted(
    [
        *(instrument(coin, "binanceusdm", STEPS[coin]) for coin in ("BTC", "ETH", "SOL", "XRP")),
        *(instrument(coin, "bybit", STEPS[coin]) for coin in ("BTC", "SOL", "ADA")),
        inverse("BTC"),
        inverse("ETH"),
    ],
    key=lambda one: one.id,
)
IDS = [one.id for one in LEGS]


@dataclass(frozen=True)
class Market:
    """One random market; `tight` scales limits: smaller binds more."""

    seed: int
    equity: int
    tight: float = 1.0
    correlation: float = 0.65
    coarse: int = 1


def limits_of(market: Market, generator: np.random.Generator) -> Limits:
    """Return limits of which some are drawn tight."""

    def drawn(wide: float, narrow: float) -> float:
        return float(wide if generator.random() < 0.5 else narrow * market.tight)

    net = drawn(1.0, 0.08)
    return msgspec.structs.replace(
        LIMITS,
        gross_max=drawn(3.0, 0.7),
        net_min=-net,
        net_max=net,
        coin_net_max=drawn(0.8, 0.25),
        turnover_max=drawn(1.5, 0.3),
        volatility_max=drawn(0.8, 0.15),
        liquidation_distance_min=drawn(0.2, 0.75),
        beta_max=drawn(1.5, 0.1),
        cvar_max=drawn(0.5, 0.04),
        standalone_risk_max=drawn(1.0, 0.5),
        market_correlation_max=drawn(1.0, 0.35),
        first_component_max=drawn(1.0, 0.3),
        free_collateral_min=drawn(0.1, 0.995),
        trade_min_usd=D(int(drawn(0.0, 0.002) * market.equity)),
    )


def inputs_of(
    market: Market,
    *,
    limits: Limits | None = None,
    strategy: StrategyParameters = BALANCED,
    paths: int = PATHS,
) -> ProgramInputs:
    """Return the program of a random market."""
    generator = np.random.default_rng(market.seed)
    rules = limits_of(market, generator)
    marks = {one.id: MARKS[one.coin] for one in LEGS}
    legs = [
        msgspec.structs.replace(
            one, step=one.step * market.coarse, min_contracts=one.step * market.coarse
        )
        for one in LEGS
    ]
    held = generator.normal(0.0, 0.15, len(legs)) * (generator.random(len(legs)) < 0.5)
    positions = {
        one.id: str(_contracts(one, marks[one.id], weight * market.equity))
        for one, weight in zip(legs, held, strict=True)
    }
    volatility = [VOLATILITY[one.coin] for one in legs]
    sigma = np.array(covariance(volatility, market.correlation))
    # Contracts of one coin move nearly together.
    for i, one in enumerate(legs):
        for j, other in enumerate(legs):
            if i != j and one.coin == other.coin:
                sigma[i, j] = 0.995 * (sigma[i, i] * sigma[j, j]) ** 0.5
    draws = generator.standard_t(4, (paths, len(legs))) / 2**0.5
    values, vectors = np.linalg.eigh(sigma)
    sigma = vectors * np.maximum(values, 1e-6) @ vectors.T
    root = np.linalg.cholesky(sigma)
    third = str(market.equity // 3)
    snap = snapshot(legs, marks, {"binanceusdm": third, "bybit": third, "coinm": third}, positions)
    found = estimates(
        legs,
        marks,
        generator.normal(0.0, 0.03, len(legs)).tolist(),
        sigma.tolist(),
        volume_usd_day=market.equity * 3e3,
        deviation=generator.uniform(0.0, 0.01, len(legs)).tolist(),
    )
    scenarios = HorizonScenarios(tuple(IDS), draws @ root.T, (), np.zeros((paths, 0)))
    return program_inputs(snap, found, strategy, limits or rules, {}, scenarios)


def _contracts(one: Instrument, mark: str, usd: float) -> Decimal:
    value = one.contract_size * (D(mark) if one.linear else 1)
    return (D(repr(round(float(usd), 2))) / value / one.step).to_integral() * one.step
