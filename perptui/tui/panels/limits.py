"""Risk limits: value now and after, limit, word, and what one more point would be worth."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import inf

from perptui.protocol.views import LimitRow, LimitsView
from perptui.protocol.views_rebalance import RebalanceView
from perptui.tui import format as figures
from perptui.tui.column import Cell, Column
from perptui.tui.editing import CellEdit
from perptui.tui.grid import Grid
from perptui.tui.limit_settings import setting_of
from perptui.tui.panels.base import PanelWidget, figure, unknown_cell
from perptui.tui.picture import Line, Span
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

NAMED_STRESS = "margin_stress_"
SHARES_OF_RISK = frozenset({"standalone_risk_max", "first_component_max"})
FARTHEST = 1.0
"""Distance written where no common move of prices up to 100 % liquidates."""
LEAST_BOUND = 1e-9
SEVERITY = {"BREACH": 3, "WARN": 2, "BINDS": 1}
STATE_ROLES = {"BREACH": "alarm", "WARN": "warn", "BINDS": "accent", "ok": "ok"}
WORDS = {
    "margin_ratio": "margin",
    "margin_stress": "stress",
    "liquidation": "liq",
    "venue_gross": "gross",
    "coin_gross": "coin gross",
    "coin_net": "coin net",
    "participation": "of volume",
    "net_min": "net ≥",
    "net_max": "net ≤",
    "cvar_95": "CVaR 95 %",
    "cvar": "CVaR 95 %",
    "standalone_risk": "own risk",
    "market_correlation": "corr market",
    "first_component": "first comp",
    "free_collateral": "free",
    "volatility": "robust vol",
    "stress_up": "stress up",
    "stress_down": "stress down",
}

_LIMIT = re.compile(
    rf"\b(?:{'|'.join(name for name in WORDS if '_' in name)}|cvar|margin_stress_[\w-]+)"
    r"(?::[A-Za-z0-9/:-]*\w)?\b(?!=)"
)
"""A limit within a sentence, as `LimitRow.name`; what is followed by = is an assignment."""


def limit_name(name: str) -> str:
    """Return a limit's name as it is read: ``margin_ratio:binanceusdm`` is margin binance."""
    kind, _, of = name.partition(":")
    if kind.startswith(NAMED_STRESS):
        return f"stress {kind.removeprefix(NAMED_STRESS)} {figures.contract(of)}"
    return f"{WORDS.get(kind, kind.replace('_', ' '))} {figures.contract(of)}".strip()


def limits_named(text: str) -> str:
    """Return a sentence of the desk with its limits, contracts and venues as they are read."""
    return figures.with_minus(figures.named(_LIMIT.sub(lambda found: limit_name(found[0]), text)))


def state_words(row: LimitRow) -> str:
    """Return the state, and the state after the proposal where that differs: BREACH→ok."""
    after = row.state_after
    if not row.state:
        return after
    return f"{row.state}→{after}" if after and after != row.state else row.state


def _state(row: LimitRow, _now: float) -> Cell:
    return Cell(state_words(row), STATE_ROLES.get(row.state, "text"))


def severity(row: LimitRow) -> tuple[int, float]:
    """Return what the worst limit has most of: its state, then how near it is to its bound."""
    return SEVERITY.get(row.state, 0), nearness(row)


def nearness(row: LimitRow) -> float:
    """Return how far the book is towards a limit as share of it: 0 at it, positive beyond."""
    if row.now is None:
        return -inf
    beyond = row.limit - row.now if row.at_least else row.now - row.limit
    return beyond / max(abs(row.limit), LEAST_BOUND)


def bound_of(row: LimitRow) -> float:
    """Return the limit that the proposal is held to: the desk's own, or another in its place."""
    return row.limit if row.limit_after is None else row.limit_after


def _limit(row: LimitRow, _now: float) -> Cell:
    """Write the bound; where now and after are held to two, both: 3.00→1.50, as the states are."""
    own, held = (figures.in_unit(bound, row.unit) for bound in (row.limit, bound_of(row)))
    text = held if own == held or row.now is None else f"{own}→{held}"
    return Cell(("≥" if row.at_least else "") + text, "text" if own == held else "edited")


def headroom(row: LimitRow) -> float | None:
    """Return how far a limit's value is inside its bound, in its unit (negative: outside).

    After the proposal, within the bound it is held to, as on the ticket; now where none stands.
    """
    if row.after is None:
        value, bound = row.now, row.limit
    else:
        value, bound = row.after, bound_of(row)
    if value is None:
        return None
    return value - bound if row.at_least else bound - value


def point_price(row: LimitRow) -> float | None:
    """Return what one more percentage point of a limit is worth, USD a day."""
    return None if row.price_usd_day is None else row.price_usd_day / 100


def _price(row: LimitRow, _now: float) -> Cell:
    return figure(point_price(row), lambda value: figures.number(value, 1))


def sized(row: LimitRow, value: float | None) -> str:
    """Return a limit's figure; a liquidation beyond the farthest move that is looked at as such."""
    if value is not None and value >= FARTHEST and row.name.startswith("liquidation:"):
        return f">{figures.percent(FARTHEST, 0)}%"
    return figures.in_unit(value, row.unit)


def _sized(row: LimitRow, value: float | None) -> Cell:
    return unknown_cell() if value is None else Cell(sized(row, value))


def _headroom(row: LimitRow, _now: float) -> Cell:
    room = headroom(row)
    return unknown_cell() if room is None else Cell(figures.in_unit(room, row.unit))


COLUMNS: list[Column[LimitRow]] = [
    Column(
        "limit",
        lambda r, _: Cell(limit_name(r.name)),
        lambda r: limit_name(r.name),
        align_left=True,
        priority=0,
    ),
    Column("now", lambda r, _: _sized(r, r.now)),
    Column("after", lambda r, _: _sized(r, r.after), priority=2),
    Column("bound", _limit, priority=1),
    Column("headroom", _headroom, priority=5),
    Column("state", _state, severity, align_left=True, priority=1),
    Column("+1pp $", _price, lambda r: r.price_usd_day, priority=3),
]


def key_words(name: str) -> str:
    """Return why no one key of config.toml sets a limit, by its name."""
    kind = name.partition(":")[0]
    if kind.startswith(NAMED_STRESS):
        crisis = kind.removeprefix(NAMED_STRESS)
        return f"the moves of {crisis} in [stress] set this limit: type :stress:{crisis}:BTC=-.4"
    if kind == "stablecoin":
        return "the strategy's stablecoin_min sets this limit, by regime: type :stablecoin_min=.3"
    if kind in {"volatility", "cvar", "gross"}:
        return "lowered as far as one proposal's trades reach: no one key, propose again after it"
    return "no one key of config.toml sets this limit"


def cap_edit(row: LimitRow, view: RebalanceView) -> CellEdit | None:
    """Return the editing of a limit's cap; None where no one key of config.toml sets it."""
    setting = setting_of(row.name, view.setting_keys)
    if not setting:
        return None
    own = view.settings.get(setting, bound_of(row))
    before = f"{own:g}".replace("-", figures.MINUS)
    edit = CellEdit(row.name, setting, f"{limit_name(row.name)} ({setting})", before)
    edit.note = _held_to(row, setting, own, view.settings.get("volatility_max"))
    return edit


def _held_to(row: LimitRow, setting: str, own: float, budget: float | None) -> str:
    """Return what the row is held to where that is not the setting itself; "" where it is.

    `budget` is volatility_max, of which own risk and the first component are held to shares.
    """
    bound, kind = bound_of(row), row.name.partition(":")[0]
    shared, of = own, ""
    if setting in SHARES_OF_RISK and budget is not None:
        shared, of = own * budget, " of volatility_max"
    if not of and abs(bound - own) <= 1e-9 * abs(own):
        return ""
    held = f"{setting} {own:g}{of} is {figures.in_unit(bound, row.unit)} here"
    if setting not in {f"{kind}_max", f"{kind}_min"} or abs(bound - shared) <= 1e-9 * shared:
        return held
    return held + (": lowered by drawdown" if of else ": lowered by drawdown, regime or turnover")


class LimitsPanel(PanelWidget):
    """The limits table, worst first."""

    panel = "limits"
    title = "Risk limits"
    keys = (
        ("edit", "type this cap: solved at every key"),
        ("reset", "drop what this row bends"),
        ("undo", "back to the what-if before"),
        ("sort", "sort by the next column"),
        ("filter", "show rows that hold some words"),
    )

    words = (
        ("own risk", "|weight| × the contract's volatility a year"),
        ("first comp", "volatility a year from the first component"),
        ("robust vol", "a year, with the covariance's own error"),
        ("CVaR 95 %", "mean loss beyond VaR over the horizon"),
        ("stress", "worst loss + margin needed, over equity"),
        ("liq", "common move of prices that liquidates"),
        ("free", "equity that no initial margin binds"),
        ("of volume", "the trade over the contract's daily volume"),
        ("+1pp $", "$ a day for a percentage point more of it"),
    )

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self.grid: Grid[LimitRow] = Grid(COLUMNS, lambda row: row.name, sort="state")

    @property
    def _view(self) -> LimitsView:
        return self.showing.view.limits

    def corner(self) -> Line:
        """Return how many limits are breached, or the filter in force."""
        if self.grid.filter:
            return self.sort_words()
        breached = sum(row.state == "BREACH" for row in self._view.rows)
        if breached:
            return ((f"{breached} BREACH ", "alarm"),)
        if self._view.waiting is None:
            return ((f"{len(self._view.rows)} ok ", "dim"),)
        return ()

    def before_lines(self) -> None:
        """Hand the rows to the grid."""
        self.grid.set_rows(self._view.rows)

    def body(self, width: int, height: int) -> list[Line]:
        """Return the table, and a bar of the limit under the cursor where there is room."""
        lines = self.grid_lines(width, height, editing=self._cell if self.edit else None)
        lines = self.with_card(lines, width, height)
        hidden = len(self.grid.shown) - self.grid.page
        if hidden > 0:
            lines[-1] = (
                ((f" … {hidden + 1} more: G or z", "dim"),) if not self.has_focus else lines[-1]
            )
        return lines

    def start_edit(self) -> CellEdit | None:
        """Return the editing of the cap under the cursor; None when there is none to edit."""
        row = self.grid.selected
        return None if row is None else cap_edit(row, self.showing.view.rebalance)

    def _cell(self, row: LimitRow, column: str) -> Span | None:
        return None if self.edit is None else self.edit.cell(row.name, column, "bound")

    def card(self) -> Sequence[tuple[str, str]]:
        """Return everything known of the limit under the cursor."""
        row = self.grid.selected
        if row is None:
            return ()
        f = figures
        bound = f"{'at least' if row.at_least else 'at most'} {f.in_unit(row.limit, row.unit)}"
        setting = setting_of(row.name, self.showing.view.rebalance.setting_keys)
        price = f"{f.number(point_price(row), 2)} $ a day for one more percentage point"
        price += f" of {setting}" if setting else ""
        kind = row.name.partition(":")[0]
        if f"{kind}_max" in SHARES_OF_RISK:
            bound += f" of volatility a year: {kind}_max × volatility_max"
        held = () if row.limit_after is None else (("held to", f.in_unit(bound_of(row), row.unit)),)
        return (
            ("limit", f"{limit_name(row.name)} ({row.name})"),
            ("bound", bound),
            *held,
            ("now", sized(row, row.now)),
            ("after the proposal", sized(row, row.after)),
            (
                "headroom now" if row.after is None else "headroom after",
                f.in_unit(headroom(row), row.unit),
            ),
            ("state", state_words(row)),
            ("price", price),
        )
