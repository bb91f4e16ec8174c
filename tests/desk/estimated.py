"""Estimates and a proposal for the book of `tests.desk.market`, written out, not computed."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.clock import DAY_MS
from perptui.model.forecast import (
    Estimates,
    FundingForecast,
    InstrumentForecast,
    ModelScore,
    RegimeForecast,
    ReturnForecast,
    VolatilityForecast,
    VolatilityTrack,
)
from perptui.model.limit import LimitCheck
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.proposal import BookRisk, Proposal, SolverReport, TargetRow
from tests.desk.market import BTC, ETH, NOW_MS, VENUE

DIGEST = "9f3c" + "0" * 60


def _forecast(identifier: str, coin: str, mark: float) -> InstrumentForecast:
    return InstrumentForecast(
        id=identifier,
        coin=coin,
        venue=VENUE,
        mark=mark,
        expected_return=0.004,
        expected_return_sd=0.02,
        drift=ReturnForecast(0.001, 0.002, 0.0005, 0.0004),
        funding=FundingForecast(0.0002, 8.0, 0.219, 0.0061, 0.003, 0.00018, 0.00015, 1.9, (1e-5,)),
        volatility=VolatilityForecast(0.6, 0.7, 0.65),
        volume_usd_day=2.5e9,
        half_spread=0.00005,
    )


def estimates() -> Estimates:
    """Return estimates over 14 days: sixty per cent a year each, correlation one half."""
    variance = 0.6**2 * 14 / 365
    return Estimates(
        as_of_ms=NOW_MS,
        horizon_days=14.0,
        instruments=(_forecast(BTC, "BTC", 97500.0), _forecast(ETH, "ETH", 3200.0)),
        correlation=((1.0, 0.5), (0.5, 1.0)),
        covariance=((variance, variance / 2), (variance / 2, variance)),
        regime=RegimeForecast(
            "stress", (0.0, 0.14, 0.86, 0.0), NOW_MS - 3_600_000, 0.5, ("24 h vol 1.6 x",)
        ),
        track=VolatilityTrack(
            (NOW_MS - 20 * DAY_MS, NOW_MS - 5 * DAY_MS, NOW_MS - DAY_MS),
            (0.55, 0.58, 0.60),
            (0.9, 0.70, 0.78),
        ),
        book_volatility=0.61,
        models=(ModelScore("EWMA", 1.0, None, 0),),
        notes=("drift off",),
    )


def _row(identifier: str, now: str, after: str, weights: tuple[float, float]) -> TargetRow:
    return TargetRow(
        id=identifier,
        weight_now=weights[0],
        weight_target=weights[1],
        weight_rounded=weights[1],
        expected_return=0.004,
        carry_apr=-0.219,
        volatility_annual=0.6,
        contracts_now=Decimal(now),
        contracts_after=Decimal(after),
        trade_usd=Decimal(-29250),
        cost_usd=Decimal("17.5"),
        carry_usd_day_now=Decimal("-20"),
        carry_usd_day_after=Decimal("-4"),
        why="risk",
    )


def proposal() -> Proposal:
    """Return a proposal that sells 0.3 BTC and buys 2 ETH back."""
    order = OrderIntent(
        id=BTC,
        side=Side.SELL,
        effect=Effect.REDUCE,
        contracts=Decimal("0.3"),
        notional_usd=Decimal(29250),
        limit_price=Decimal("97207.5"),
        mark_price=Decimal(97500),
        reduce_only=True,
        before=Decimal("0.4"),
        after=Decimal("0.1"),
    )
    checks = (
        LimitCheck("gross", 0.7517, 3.0, ok=True),
        LimitCheck("coin_net:BTC", 0.325, 0.8, ok=True),
        LimitCheck("margin_stress:binanceusdm", 1.0, 1.0, ok=True, binding=True),
    )
    return Proposal(
        status="ok",
        strategy="balanced",
        model_version="balanced-1",
        as_of_ms=NOW_MS,
        horizon_days=14.0,
        equity_usd=Decimal(30000),
        snapshot_digest="s",
        rows=(
            _row(BTC, "0.4", "0.1", (1.3, 0.325)),
            _row(ETH, "-6", "-4", (-0.64, -0.4267)),
        ),
        orders=(order,),
        limits_now=(),
        limits=checks,
        risk_now=BookRisk(0.5, 1.94, 0.66, 0.0078, Decimal("-9"), VENUE, -0.9, None),
        risk=BookRisk(0.2, 0.7517, -0.1, 0.003, Decimal("2"), VENUE, None, 4.2),
        turnover=0.59,
        cost_usd=Decimal("35"),
        regime="stress",
        exposure=0.5,
        solver=SolverReport("optimal", "CLARABEL", 0.0125),
        exportable=True,
        digest=DIGEST,
    )
