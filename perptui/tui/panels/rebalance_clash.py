"""Which limits cannot all hold, and what would mend it: one digit tries a way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor

from perptui.model.explanation import Clash
from perptui.protocol.intents import Bend, Intent, Relax
from perptui.protocol.views_rebalance import Offer, RebalanceView
from perptui.tui import format as figures
from perptui.tui.panels.base import wrapped
from perptui.tui.panels.limits import limit_name, limits_named
from perptui.tui.picture import Line, left

MOST_DIGITS = 9
NAME_WIDTH = 24
SHOWN_ONLY = "   looser than the desk's own: shown as a what-if, never sent"
NAMED = 3
"""Broken limits that are named."""


def ways_out(view: RebalanceView) -> list[Intent]:
    """Return what each digit from 1 on asks for: relaxations first, then the offers."""
    relaxed: list[Intent] = [Relax(name=row.name) for row in _relaxable(view.clash)]
    offered = [Bend(text=offer.assignment) for offer in view.offers if offer.assignment]
    return [*relaxed, *offered][:MOST_DIGITS]


def clash_lines(
    view: RebalanceView, units: Mapping[str, str], width: int, lead: str = ""
) -> list[Line]:
    """Return the minimal set in words, the digit of each way out, and how to take one.

    Parameters
    ----------
    units : mapping
        The unit of each limit by its name, as `LimitRow.unit`.
    lead : str
        The key that must come before a digit; "" where digits are taken at once.
    """
    lines: list[Line] = []
    digit = 0
    if view.clash:
        lines += wrapped(_words(view.clash), width, " ", "warn")
        lines.append(())
    else:
        lines += wrapped(_no_clash(view), width, " ", "dim")
    ways = _relaxable(view.clash)
    for member in view.clash:
        digit += member in ways
        unit = units.get(member.name, "")
        lines += _member(member, unit, _digit(digit) if member in ways else "", width)
        if member in ways and member.name in view.clash_shown:
            lines.append(((SHOWN_ONLY, "warn"),))
    if view.offers:
        lines.append(())
    for offer in view.offers:
        digit += bool(offer.assignment)
        lines += _offer(offer, _digit(digit) if offer.assignment else "", width)
    if digit:
        before = f"{lead}, then a digit tries" if lead else "a digit tries"
        words = f" {before} it as a what-if · u takes it back · esc back"
        lines += [(), ((words, "dim"),)]
    return lines


def _words(clash: Sequence[Clash]) -> str:
    if len(clash) == 1:
        return "this limit cannot hold: no book keeps to it. Without it there would be one."
    return (
        f"these {len(clash)} limits cannot all hold: no book keeps to every one of them. "
        "Any of them left out, the others can hold together." + _others(clash)
    )


def _others(clash: Sequence[Clash]) -> str:
    """Return that more limits clash than these, where no value of one alone would do."""
    if all(member.needed is not None for member in clash):
        return ""
    return " Other limits clash as well: where no value of one alone would do, it says which."


def _no_clash(view: RebalanceView) -> str:
    if view.clash_pending:
        return "no book keeps every limit: which of them clash is being looked for"
    if view.status in {"infeasible", "failed"} or view.state == "failed":
        return "the program has no optimum, and no limits were found to clash: r solves again"
    if not view.breached:
        return "no limits clash: every limit holds at the proposal"
    names = ", ".join(limit_name(name) for name in view.breached[:NAMED])
    more = f" and {len(view.breached) - NAMED} more" if len(view.breached) > NAMED else ""
    if view.headline not in {"", view.status}:
        return f"{view.headline}: {names}{more}. A step: propose again after it"
    end = "nothing is traded" if view.status == "no_trade" else "its trades go no further"
    return f"the proposal leaves {names}{more} breached: {end}"


def _relaxable(clash: Sequence[Clash]) -> list[Clash]:
    """Return the first member of each setting that relaxes one: bounds may have none."""
    ways = {row.setting: row for row in reversed(clash) if row.needed is not None and row.setting}
    return [row for row in clash if ways.get(row.setting) is row]


def _digit(digit: int) -> str:
    return str(digit) if digit <= MOST_DIGITS else ""


def _member(member: Clash, unit: str, digit: str, width: int) -> list[Line]:
    head: Line = ((f" {digit:<1} ", "key"), (left(clash_name(member.name), NAME_WIDTH), "title"))
    if member.needed is None:
        head = (*head, ("no value of it alone would do", "dim"))
    else:
        limit = _value(member.limit, unit)
        needed = _value(_outward(member.limit, member.needed), unit)
        head = (*head, (limit, "text"), (" → ", "dim"), (f"{needed} would do", "accent"))
    return [
        head,
        *(wrapped(limits_named(member.text), width, "   ", "dim") if member.text else []),
    ]


def _offer(offer: Offer, digit: str, width: int) -> list[Line]:
    words = wrapped(limits_named(offer.text), width, f" {digit:<1} ")
    return [((words[0][0][0], "key"), *words[0][1:]), *words[1:]]


def clash_name(name: str) -> str:
    """Return the name of a limit, or of a fixed target, as it is read."""
    kind, _, of = name.partition(":")
    return f"target {figures.contract(of)}" if kind == "target" else limit_name(name)


def _outward(limit: float, needed: float) -> float:
    """Return a relaxed value to four decimals, away from the limit: what is said would do."""
    away = ceil if needed > limit else floor
    return away(round(needed * 1e4, 4)) / 1e4


def _value(value: float, unit: str) -> str:
    """Return a limit in the unit of its row, to a hundredth of a percent, less zeros at its end."""
    share = unit in {"fraction", "annual"}
    text = figures.number(value * 100, 2) if share else figures.number(value, 4)
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (text or "0") + ("%" if share else "x" if unit == "x" else "")
