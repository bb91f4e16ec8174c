"""The trades of a proposal as a table, and the card of one of them."""

from __future__ import annotations

from collections.abc import Sequence

from perptui.protocol.views_rebalance import RebalanceRow
from perptui.tui import format as figures
from perptui.tui.column import Cell, Column
from perptui.tui.panels.base import contract, figure, gain

ORDER_WIDTH = len("REDUCE sell")
"""The longest order: its column is as wide without one, so that all columns stay where they are."""
WHY_WIDTH = 6
"""Of a trade's reason, where it is cut: the card and the ledger have it in full."""


def _target(row: RebalanceRow, _now: float) -> Cell:
    text = figures.weight(row.weight_rounded)
    return Cell(text, "edited", "*") if row.edited else Cell(text)


def _order(row: RebalanceRow, _now: float) -> Cell:
    return Cell(f"{row.effect} {row.side}".strip() or figures.UNKNOWN)


def _quantity(row: RebalanceRow, _now: float) -> Cell:
    return figure(
        row.contracts,
        lambda value: f"{value.normalize():,f}" if hasattr(value, "normalize") else str(value),
    )


COLUMNS: list[Column[RebalanceRow]] = [
    Column(
        "contract",
        lambda r, _: Cell(contract(r.coin, r.venue)),
        lambda r: (r.coin, r.venue),
        align_left=True,
        priority=0,
    ),
    Column("now", lambda r, _: Cell(figures.weight(r.weight_now)), lambda r: abs(r.weight_now)),
    Column("tgt", _target, lambda r: abs(r.weight_rounded), priority=0, least=6),
    Column("Δ$", lambda r, _: gain(r.trade_usd), lambda r: abs(r.trade_usd)),
    Column("order", _order, align_left=True, least=ORDER_WIDTH),
    Column("contracts", _quantity, priority=6),
    Column("limit price", lambda r, _: figure(r.limit_price, figures.price), priority=7),
    Column("cost", lambda r, _: Cell(figures.number(r.cost_usd, 1)), priority=3),
    Column("$/day", lambda r, _: gain(r.carry_usd_day, 1), lambda r: r.carry_usd_day, priority=2),
    Column(
        "why",
        lambda r, _: Cell(r.why, "dim"),
        align_left=True,
        priority=4,
        stretch=True,
        least=WHY_WIDTH,
    ),
]


def trade_card(row: RebalanceRow) -> Sequence[tuple[str, str]]:
    """Return everything known of a trade."""
    f = figures
    quantity = f.UNKNOWN if row.contracts is None else row.contracts
    return (
        ("contract", row.id),
        ("weight now", f.weight(row.weight_now)),
        ("target", f.weight(row.weight_target, 4)),
        ("rounded to lots", f.weight(row.weight_rounded, 4)),
        ("edited", "yes" if row.edited else "no"),
        ("trade", f"{f.signed(row.trade_usd, 2)} $"),
        ("order", f"{row.effect} {row.side} {quantity}"),
        ("limit price", f.price(row.limit_price)),
        ("cost", f"{f.number(row.cost_usd, 2)} $"),
        ("carry", f"{f.signed(row.carry_usd_day, 2)} $ a day more"),
        ("why", row.why),
    )
