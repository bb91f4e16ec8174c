"""The book before and after: figures side by side, margin accounts, hedges, distance to target."""

from __future__ import annotations

from collections.abc import Sequence

from perptui.model.explanation import AccountRisk, Drift
from perptui.model.proposal import HedgeRow
from perptui.protocol.views_rebalance import Comparison, RebalanceView
from perptui.tui import format as figures
from perptui.tui.panels.base import wrapped
from perptui.tui.picture import Line, Span, crop, fit, left, right, width_of

COMPARISON_WIDTH = 40
"""Cells that the before/after table takes."""

NAME_WIDTH = 17
TELLING = (
    "gross", "net", "margin", "liquidation", "volatility", "CVaR",
    "carry",
)  # fmt: skip
"""What a limit is on comes first where not every figure has room."""


NAMES = {
    "carry": "carry $/day live",
    "expected carry": "carry $/day exp.",
    "volatility": "volatility a year",
    "robust volatility": "robust vol a year",
    "expected return": "return a year",
}
"""Two carries: at the rates of now, and as forecast over the horizon, which the ticket signs."""


ONE_WAY = "turnover, one way"
"""Half the sum of all trades over equity."""


def figure_name(name: str) -> str:
    """Return a figure's name and of what it is: margin binanceusdm is margin binance."""
    return figures.known_venues(NAMES.get(name, name))


def compared(row: Comparison, value: float | None) -> str:
    """Return the figure; "none" for a liquidation that no move of prices brings about."""
    if value is None and row.name.startswith("liquidation"):
        return figures.NONE
    return figures.in_unit(value, row.unit)


def comparison_lines(view: RebalanceView) -> list[Line]:
    """Return the figures of the book now and after, cost and turnover below."""
    lines: list[Line] = [((f" {'book':<{NAME_WIDTH}}{'now':>9}{'after':>10}", "header"),)]
    if view.market:
        market = figures.with_minus(f" both at {view.market}")
        lines.append(((left(market, NAME_WIDTH + 20), "edited"),))
    for row in view.comparisons:
        lines.append(_comparison(row))
        if row.leg_now or row.leg_after:
            lines.append(_legs(row))
    cost = f"{figures.number(view.cost_usd, 1)} $"
    turnover = f"{figures.percent(view.turnover)}%"
    return [
        *lines,
        ((f" {'cost of trades':<{NAME_WIDTH}}{'':>9}{cost:>10}", "dim"),),
        ((f" {ONE_WAY:<{NAME_WIDTH}}{'':>9}{turnover:>10}", "dim"),),
    ]


def _comparison(row: Comparison) -> Line:
    now, after = (compared(row, value) for value in (row.now, row.after))
    role = "text" if now == after else "accent"
    name = left(figure_name(row.name), NAME_WIDTH)
    return ((f" {name}{now:>9}", "text"), (f"{after:>10}", role))


def _legs(row: Comparison) -> Line:
    """Return the legs that break first, each under its own figure."""
    now, after = (figures.contract(leg) if leg else "" for leg in (row.leg_now, row.leg_after))
    if now and after and now != after:
        words = f"by {now}, then {after}"
    else:
        words = f"by {after or now}" + ("" if after else " now")
    return ((f"   {right(words, COMPARISON_WIDTH - 4)}", "dim"),)


def _rank(row: Comparison) -> int:
    """Return how soon a figure is left out where the room is short: the last are left out first."""
    return next((rank for rank, name in enumerate(TELLING) if row.name.startswith(name)), 99)


def most_telling(view: RebalanceView, room: int) -> list[Line]:
    """Return the figures now and after, at most `room` of them, in the order of the desk."""
    kept = sorted(view.comparisons, key=_rank)[: max(room, 0)]
    return [_comparison(row) for row in view.comparisons if row in kept]


def trade_line(view: RebalanceView, hidden: int) -> Line:
    """Return what the trade costs, on one line, and how many figures found no room."""
    text = f" turnover {figures.percent(view.turnover, 0)}%"
    text += f"   cost {figures.number(view.cost_usd, 1)} $"
    more: Line = ((f"   … {hidden} more figures: enter", "dim"),) if hidden > 0 else ()
    return ((text, "title"), *more)


def foot_line(view: RebalanceView, width: int) -> Line:
    """Return the figures that fit on one line, the most telling first."""
    f = figures
    pieces = [
        f"turnover {f.percent(view.turnover, 0)}%",
        f"cost {f.number(view.cost_usd, 1)} $",
        *(
            f"{figure_name(row.name)} {compared(row, row.now)}→{compared(row, row.after)}"
            for row in sorted(view.comparisons, key=_rank)
        ),
    ]
    text = ""
    for piece in pieces:
        if len(text) + len(piece) + 3 > width:
            break
        text += ("   " if text else " ") + piece
    return ((text, "title"),)


def account_lines(accounts: Sequence[AccountRisk], width: int) -> list[Line]:
    """Return each margin account after the proposal, worst first, and the transfer that mends it.

    Maintenance and stressed margin over equity; then what is free and the moves of prices that
    liquidate it, each with the leg that loses most there.
    """
    lines: list[Line] = []
    for account in sorted(accounts, key=lambda row: -row.stressed_ratio):
        over = account.stressed_ratio > 1
        margin = f"margin {figures.percent(account.margin_ratio)}%"
        stressed = f"  stressed {figures.percent(account.stressed_ratio, 0)}%"
        lines.append(
            (
                (f" {left(figures.venue(account.name), 8)} ", "title"),
                (margin, "text"),
                (stressed, "alarm" if over else "text"),
            )
        )
        free = f"free {figures.short_money(account.free_usd)} $"
        lines += wrapped(f"{free}, {_liquidation(account)}", width, "   ", "dim")
        if account.transfer_usd > 0:
            lines += wrapped(_transfer(account), width, "   ", "warn")
    return lines


def _liquidation(account: AccountRisk) -> str:
    down = _shock(account.liquidation_down, account.liquidation_down_leg)
    up = _shock(account.liquidation_up, account.liquidation_up_leg)
    if account.liquidation_down is None and account.liquidation_up is None:
        return "no move of prices liquidates it"
    return f"liquidated at {down} or {up}".replace(" or none", "").replace("none or ", "")


def _shock(move: float | None, leg: str) -> str:
    if move is None:
        return figures.NONE
    by = f" by {figures.contract(leg)}".replace(" ", "\N{NO-BREAK SPACE}") if leg else ""
    return f"{figures.in_unit(move, 'fraction', sign=True)}{by}"


def _transfer(account: AccountRisk) -> str:
    amount = f"needs {figures.number(account.transfer_usd)} $"
    if account.transfer_from:
        return f"{amount}: move them from {figures.venue(account.transfer_from)}"
    return f"{amount}: no other account can spare them"


def hedge_lines(
    hedges: Sequence[HedgeRow], width: int, assignments: Sequence[str] = ()
) -> list[Line]:
    """Return each put on offer: what is bought of it, or why none is.

    Of a put that only the what-if of `assignments` offers nothing is to be bought.
    """
    lines: list[Line] = []
    for row in hedges:
        day = figures.clock_time(row.expiry_ms, "%d %b %Y")
        only_supposed = is_supposed(row, assignments)
        lines.append(((f" put {row.coin} {figures.number(row.strike)} {day}", "title"),))
        if row.quantity:
            money = f"{row.quantity:g} for {figures.number(row.premium_usd)} $"
            words = f"supposed: {money}" if only_supposed else f"buy {money} by hand"
            lines.append(((f"   {words}", "accent"),))
        why = row.why or ("" if row.quantity else "none bought")
        why = why.replace(", to buy by hand", "") if only_supposed else why
        lines += wrapped(figures.named(why), width, "   ", "dim") if why else []
    return lines


def is_supposed(row: HedgeRow, assignments: Sequence[str]) -> bool:
    """Return whether a put is on offer in the what-if alone, so that nobody could buy it."""
    return any(text.startswith(f"put:{row.coin}={row.strike:g},") for text in assignments)


def reason_of(view: RebalanceView, reason: str) -> str:
    """Return a reason of the desk; where all puts that it speaks of are supposed, as such."""
    bought = [row for row in view.hedges if row.quantity]
    if not bought or not all(is_supposed(row, view.assignments) for row in bought):
        return reason
    return reason.replace("are to be bought by hand first", "only supposed")


def drift_lines(drift: Drift) -> list[Line]:
    """Return how far the book is from the target, three ways."""
    f = figures
    return [
        ((" drift of the book from the target", "header"),),
        _drift("turnover to it", f"{f.percent(drift.half_turnover)}%"),
        _drift("tracking a year", f"{f.percent(drift.tracking)}%"),
        _drift("regret $/day", f.signed(drift.regret_usd_day, 1)),
    ]


def _drift(words: str, text: str) -> Line:
    return ((f" {words:<{NAME_WIDTH}}", "dim"), (f"{text:>19}", "text"))


def bent_line(assignments: Sequence[str], tried: Sequence[str], width: int) -> Line:
    """Return what is bent, in the words of the command line; what is only tried stays in sight.

    Parameters
    ----------
    tried : sequence of str
        Those of them that are not kept yet.
    """
    if not assignments:
        return ((" nothing bent", "dim"), ("   e edits a target, : types a what-if", "dim"))
    lead: Span = (" bent ", "dim")
    spans: dict[str, Span] = {text: (named(text), "edited") for text in assignments}
    spans |= {text: (f"{named(text)} ?", "accent") for text in assignments if text in tried}
    dropped = 0
    for text in sorted(assignments, key=lambda text: text in tried):
        if len(spans) == 1 or _size(lead, tuple(spans.values()), dropped) <= width:
            break
        del spans[text]
        dropped += 1
    shown: list[Span] = [lead]
    if dropped:
        shown.append((f"… {dropped} more · ", "dim"))
    for index, span in enumerate(spans.values()):
        shown += [(" · ", "dim"), span] if index else [span]
    return tuple(shown)


def asked_line(stands: Sequence[str], asked: Sequence[str], width: int) -> Line:
    """Return which what-if the figures are of, and what is asked for and being solved."""
    new = [named(text) for text in asked if text not in stands]
    gone = [named(text) for text in stands if text not in asked]
    words = " · ".join(new) if new else f"without {' · '.join(gone)}" if gone else "another order"
    of = f"{len(stands)} edit{'s' if len(stands) != 1 else ''}" if stands else "nothing bent"
    lead = f" solving {crop(words, max(width // 2, 8))}"
    return ((lead, "accent"), (f"   figures still of: {of}", "dim"))


def _size(lead: Span, spans: Sequence[Span], dropped: int) -> int:
    more = len(f"… {dropped} more · ") if dropped else 0
    return width_of((lead, *spans)) + 3 * (len(spans) - 1) + more


def named(assignment: str) -> str:
    """Return an assignment with its instrument id as coin and venue: ``target BTC binance=.25``."""
    key, equals, value = assignment.partition("=")
    prefix, colon, name = key.partition(":")
    if prefix == "stress":
        key = key.replace(":", " ")
    elif colon and ":" in name:
        key = f"{prefix} {figures.contract(name)}"
    return f"{key}{equals}{figures.with_minus(value)}"


def beside_each_other(
    first: Sequence[Line], second: Sequence[Line], width: int, height: int
) -> list[Line]:
    """Return two blocks of lines beside each other; the first is `width` cells wide."""
    lines: list[Line] = []
    for y in range(min(max(len(first), len(second)), height)):
        one = first[y] if y < len(first) else ()
        other = second[y] if y < len(second) else ()
        lines.append((*fit(one, width - 2), (" │", "border"), *other))
    return lines
