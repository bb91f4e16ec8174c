"""What-ifs around the invented book of `tests.tui.book`; ledgers add up, prices where bound."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perptui.model.explanation import (
    AccountRisk,
    BreakEven,
    Clash,
    Drift,
    FrontierPoint,
    LedgerRow,
    LimitPrice,
)
from perptui.model.proposal import HedgeRow
from perptui.protocol.views_rebalance import (
    FrontierPlace,
    FrontierView,
    KeptProposal,
    Offer,
    RebalanceView,
)
from tests.tui import book

BTC = "binanceusdm:BTC/USDT:USDT"
EXPIRY_MS = book.NOW_MS + 20 * 24 * 3_600_000

# alpha, carry, risk, uncertainty, cost, limits: by rows of book.BOOK; bp a year
TERMS = (
    (1240.0, -1095.0, -310.5, -96.0, 438.0, -176.5),
    (980.5, -668.0, -402.0, -88.0, 354.0, -176.5),
    (-1240.0, 1555.0, 122.0, -96.0, -164.5, -176.5),
    (-610.0, 3395.0, -1480.0, -210.0, -918.5, -176.5),
    (-220.0, -493.0, 301.0, -120.0, 708.5, -176.5),
    (140.0, -95.0, -61.5, -12.0, 205.0, -176.5),
)


def ledger() -> tuple[LedgerRow, ...]:
    """Return a ledger whose terms add up to nothing; BNB does not trade."""
    return tuple(
        LedgerRow(
            f"{venue}:{coin}/USDT:USDT",
            *terms,
            residual=round(sum(terms), 9),
            traded=coin != "BNB",
            distance=23.4 if coin == "BNB" else 0.0,
            by_limit={"gross": -140.5, "volatility": -36.0},
        )
        for (coin, venue, *_), terms in zip(book.BOOK, TERMS, strict=True)
    )


def accounts() -> tuple[AccountRisk, ...]:
    """Return the two margin accounts; bybit lacks 12,400 dollars that binance can spare."""
    return (
        AccountRisk(
            "binanceusdm",
            Decimal(261_000),
            Decimal(3_540),
            0.0136,
            0.48,
            Decimal(148_300),
            -0.83,
            1.96,
            BTC,
            "binanceusdm:SOL/USDT:USDT",
        ),
        AccountRisk(
            "bybit",
            Decimal(143_310),
            Decimal(2_010),
            0.0140,
            1.09,
            Decimal(61_200),
            None,
            0.59,
            "",
            "bybit:BTC/USDT:USDT",
            Decimal(12_400),
            "binanceusdm",
        ),
    )


HEDGES = (
    HedgeRow(
        "put BTC 80000", "BTC", 80_000.0, EXPIRY_MS, 1.25, Decimal(1_430), -0.18,
        "caps the loss of a −30 % day at less than the tail costs",
    ),
    HedgeRow(
        "put ETH 2600", "ETH", 2_600.0, EXPIRY_MS, 0.0, Decimal(0), -0.14,
        "none: 1.4 times its worth in the scenarios",
    ),
)  # fmt: skip


def frontier() -> FrontierView:
    """Return eleven of sixteen points, with the book, what stands and A on it."""
    points = tuple(
        FrontierPoint(0.12 + 0.04 * step, 0.30 * (0.1 * step) ** 0.6, 60.0 / (step + 1))
        for step in range(11)
    )
    places = (
        FrontierPlace("now", 0.61, 0.12),
        FrontierPlace("target", 0.403, 0.231),
        FrontierPlace("A", 0.33, 0.204),
    )
    return FrontierView(points, places, 16)


def kept(slot: str, weight: float, **changes: object) -> KeptProposal:
    """Return what was kept: the proposal with one target held elsewhere."""
    view = book.rebalance(edited="ETH", target=weight)
    made = KeptProposal(
        slot=slot,
        strategy="tactical",
        status="ok",
        digest=view.digest,
        assignments=(f"target:binanceusdm:ETH/USDT:USDT={weight:g}",),
        figures=view.comparisons,
        weights={row.id: row.weight_rounded for row in view.rows},
        turnover=view.turnover or 0.0,
        cost_usd=view.cost_usd or Decimal(0),
        objective_usd_day=31.7,
    )
    return msgspec.structs.replace(made, **changes)


def what_if(**changes: object) -> RebalanceView:
    """Return a what-if with everything that can stand beside it."""
    view = book.rebalance(edited="ETH", target=0.25)
    legs = ("worst liq", BTC, "binanceusdm:SOL/USDT:USDT")
    comparisons = tuple(
        msgspec.structs.replace(row, leg_now=legs[1], leg_after=legs[2])
        if row.name == legs[0]
        else row
        for row in view.comparisons
    )
    base = msgspec.structs.replace(
        view,
        comparisons=comparisons,
        assignments=("regime=normal", "gross_max=2.5", "target:binanceusdm:ETH/USDT:USDT=0.25"),
        edits=3,
        robust="box",
        ledger=ledger(),
        prices=(LimitPrice("gross", 940.0, "gross_max", 2.0, 2.0),),
        break_even=(
            BreakEven(BTC, 31.0, 0.88, Decimal("-3.1")),
            BreakEven("binanceusdm:SOL/USDT:USDT", None, None, Decimal("12.6")),
        ),
        drift=Drift(0.51, 0.232, 48.2),
        objective_usd_day=36.4,
        accounts=accounts(),
        accounts_now=accounts(),
        hedges=HEDGES,
        shown_only=("a regime: supposed, not so in the market",),
        exportable=False,
    )
    return msgspec.structs.replace(base, **changes)


def infeasible(**changes: object) -> RebalanceView:
    """Return limits of which not all can hold, and the ways out."""
    base = book.rebalance()
    still = tuple(
        msgspec.structs.replace(
            row,
            weight_target=row.weight_now,
            weight_rounded=row.weight_now,
            trade_usd=Decimal(0),
            cost_usd=Decimal(0),
            carry_usd_day=Decimal(0),
            side="",
            effect="",
            contracts=None,
            limit_price=None,
            why="",
        )
        for row in base.rows
    )
    made = msgspec.structs.replace(
        base,
        status="infeasible",
        rows=still,
        comparisons=tuple(
            msgspec.structs.replace(row, after=row.now) for row in base.comparisons
        ),
        turnover=0.0,
        cost_usd=Decimal(0),
        exportable=False,
        what_if=True,
        assignments=(f"target:{BTC}=0.95", "turnover_max=0.05"),
        edits=2,
        clash=(
            Clash(
                "gross", 2.0, 2.8712, "gross_max",
                "gross 2x cannot hold beside turnover 5%: needs 2.88x",
            ),
            Clash("turnover", 0.05, 0.5063, "turnover_max", "turnover 5%: needs 50.7%"),
            Clash(f"target:{BTC}", 0.95, None, f"target:{BTC}", "no other target would do"),
        ),
        clash_shown=("gross", "turnover"),
        offers=(
            Offer("hold", "hold: nothing is sent: gross stay breached"),
            Offer("reduce_only", "only reduce", "reduce_only=true"),
        ),
        reasons=("no book keeps to every limit",),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)
