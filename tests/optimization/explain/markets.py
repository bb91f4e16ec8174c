"""Random markets on two venues, with scenarios, for tests of explanations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec
import numpy as np

from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.scenarios import HorizonScenarios
from tests.optimization.market import (
    BALANCED,
    WIDE,
    covariance,
    estimates,
    instrument,
    snapshot,
)

COINS = ("ADA", "BNB", "BTC", "ETH", "LTC", "SOL", "XRP")
HORIZON_DAYS = 10.0
# Nothing binds but what a test asks for.
LOOSE = msgspec.structs.replace(WIDE, liquidation_distance_min=0.05, margin_ratio_max=0.9)
PLAIN = msgspec.structs.replace(
    BALANCED, risk_aversion=2.0, cluster_correlation=1.0, robust="box", depeg=0.02
)


@dataclass(frozen=True)
class Market:
    """A market, and the desk's book in it."""

    snapshot: MarketSnapshot
    estimates: Estimates
    scenarios: HorizonScenarios

    def posed(
        self,
        limits: Limits = LOOSE,
        strategy: StrategyParameters = PLAIN,
        targets: Mapping[str, float] | None = None,
        *,
        tail: bool = False,
    ) -> ProgramInputs:
        """Return the program of the market, with scenarios only where `tail` asks for them."""
        told = self.scenarios if tail else None
        return program_inputs(
            self.snapshot, self.estimates, strategy, limits, targets or {}, scenarios=told
        )


def market(seed: int, *, paths: int = 400, peak: str | None = None) -> Market:
    """Return seven coins on one venue and three of them on a second one too, half of them held."""
    generator = np.random.default_rng(seed)
    legs = [instrument(coin) for coin in COINS]
    legs += [instrument(coin, venue="bybit") for coin in COINS[1:4]]
    legs.sort(key=lambda one: one.id)
    count = len(legs)
    marks = {one.id: "100" for one in legs}
    factors = generator.normal(size=(len(COINS), 2))
    by_coin = factors @ factors.T + np.diag(generator.uniform(0.5, 1.5, len(COINS)))
    rows = [COINS.index(one.coin) for one in legs]
    volatility = generator.uniform(0.4, 1.0, len(COINS)) * np.sqrt(HORIZON_DAYS / 365.0)
    spread = np.sqrt(np.diag(by_coin))
    by_coin = by_coin / np.outer(spread, spread) * np.outer(volatility, volatility)
    sigma = by_coin[np.ix_(rows, rows)] + np.diag(generator.uniform(1e-4, 4e-4, count))
    expected = generator.normal(0.0, 0.02, count)
    held = generator.normal(0.0, 150.0, count).round() * (generator.random(count) < 0.5)
    positions = {one.id: str(int(size)) for one, size in zip(legs, held, strict=True) if size}
    equity = {"binanceusdm": "80000", "bybit": "40000"}
    told = estimates(legs, marks, expected.tolist(), sigma.tolist(), deviation=[0.003] * count)
    moves = generator.standard_t(4, size=(paths, len(COINS))) / np.sqrt(2.0)
    moves = moves @ np.linalg.cholesky(by_coin).T
    basis = np.sqrt(np.diag(sigma - by_coin[np.ix_(rows, rows)]))
    own = generator.normal(size=(paths, count)) * basis
    centred = moves[:, rows] + own
    scenarios = HorizonScenarios(
        tuple(one.id for one in legs), centred - centred.mean(axis=0), COINS, moves
    )
    return Market(snapshot(legs, marks, equity, positions, peak), told, scenarios)


def one_venue(seed: int) -> Market:
    """Return a market whose coins are all on one venue."""
    generator = np.random.default_rng(seed)
    legs = [instrument(coin) for coin in COINS]
    marks = {one.id: "100" for one in legs}
    sigma = covariance(generator.uniform(0.4, 1.0, len(COINS)).tolist(), 0.5, HORIZON_DAYS)
    told = estimates(legs, marks, generator.normal(0.0, 0.02, len(COINS)).tolist(), sigma)
    book = snapshot(legs, marks, {"binanceusdm": "100000"})
    return Market(book, told, HorizonScenarios.none())


def with_regime(told: Market, *, exposure: float) -> Market:
    """Return the market with another exposure scale of its regime."""
    regime = msgspec.structs.replace(told.estimates.regime, exposure=exposure)
    return replace(told, estimates=msgspec.structs.replace(told.estimates, regime=regime))


def bent(limits: Limits, setting: str, value: float) -> Limits:
    """Return limits with one of them at another value, of its own type."""
    as_before = type(getattr(limits, setting))
    return msgspec.structs.replace(
        limits, **{setting: Decimal(repr(value)) if as_before is Decimal else value}
    )
