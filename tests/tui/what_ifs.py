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
)
from perptui.model.proposal import HedgeRow
from perptui.protocol.views import DeskView, LimitRow, LimitsView
from perptui.protocol.views_rebalance import (
    FrontierPlace,
    FrontierView,
    KeptProposal,
    Offer,
    RebalanceView,
)
from tests.tui import book

BTC = "binanceusdm:BTC/USDT:USDT"
ETH = "binanceusdm:ETH/USDT:USDT"
GROSS = 1.85
"""What the targets add up to with ETH at a quarter: the what-if's limit on gross, which binds."""
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
            Decimal(1_720),
            0.0120,
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
        assignments=(f"target:{ETH}={weight:g}",),
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
    base = msgspec.structs.replace(
        view,
        assignments=("regime=normal", f"gross_max={GROSS}", f"target:{ETH}=0.25"),
        edits=3,
        robust="box",
        ledger=ledger(),
        setting_keys={"gross": "gross_max"},
        settings={"gross_max": GROSS, "margin_ratio_max": 0.5, "net_max": 1.0},
        reasons=("margin_stress:bybit would be 1.09 against its limit 1 after rounding",),
        breached=("margin_stress:bybit",),
        break_even=(
            BreakEven(BTC, 31.0, 0.88, Decimal("-3.1")),
            BreakEven("binanceusdm:SOL/USDT:USDT", None, None, Decimal("12.6")),
        ),
        drift=Drift(0.5828, 0.232, 48.2),
        objective_usd_day=36.4,
        accounts=accounts(),
        accounts_now=accounts(),
        hedges=HEDGES,
        shown_only=("a regime: supposed, not so in the market",),
        exportable=False,
    )
    return msgspec.structs.replace(base, **changes)


def limits() -> LimitsView:
    """Return the limits of the what-if: what is supposed of the proposal, and the book as it is."""
    after = {
        "gross": (GROSS, "BINDS"),
        "net_max": (0.17, "ok"),
        "cvar_95": (0.0295, "ok"),
        "coin_net:BTC": (0.26, "ok"),
    }
    supposed = tuple(
        msgspec.structs.replace(
            row,
            after=after.get(row.name, (row.after, ""))[0],
            state_after=after.get(row.name, (0, row.state_after))[1],
            limit_after=GROSS if row.name == "gross" else None,
        )
        for row in book.LIMITS
    )
    stress = LimitRow("margin_stress:bybit", "fraction", 1.0, 0.97, "WARN", 1.09, "BREACH")
    real = tuple(
        msgspec.structs.replace(row, after=None, state_after="", price_usd_day=None)
        for row in (*book.LIMITS, stress)
    )
    turnover = LimitRow("turnover", "fraction", 1.0, 0.0, "ok", 0.5828, "ok", price_usd_day=0.0)
    shown = (*supposed, turnover, msgspec.structs.replace(stress, price_usd_day=0.0))
    return msgspec.structs.replace(book.limits(), rows=real, supposed=shown)


def desk(**changes: object) -> DeskView:
    """Return the desk with the what-if, which leaves all as it is outside of its own view."""
    status = book.status(proposal="", proposal_mends=False, carry_usd_day_after=None, exposure=None)
    base = book.desk(status=status, rebalance=what_if(), limits=limits())
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
                f"gross 2x cannot hold with turnover 5% and target:{BTC} 0.95: needs 2.872x",
            ),
            Clash(
                "turnover", 0.05, 0.5063, "turnover_max",
                f"turnover 5% cannot hold with gross 2x and target:{BTC} 0.95: needs 50.63%",
            ),
            Clash(
                f"target:{BTC}", 0.95, None, f"target:{BTC}",
                f"target:{BTC} 0.95 cannot hold with gross 2x and turnover 5%: no value of it "
                "alone would do, the other limits as they are, as gross 2x and turnover 5% "
                "cannot hold either",
            ),
        ),
        clash_shown=("gross", "turnover"),
        offers=(
            Offer("hold", "hold: nothing is sent: gross stays breached"),
            Offer(
                "reduce_only",
                f"only reduce, target:{BTC} freed: turnover 5.0%: gross stays breached: a step, "
                "propose again after it",
                f"target:{BTC}=free reduce_only=true",
            ),
        ),
        reasons=("no book keeps to every limit",),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)
