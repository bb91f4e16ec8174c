"""Which limits cannot all hold, and what would mend it: one digit tries a way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from perptui.model.explanation import COARSE, NO_BOOK, Clash
from perptui.protocol.intents import Bend, Intent, Relax
from perptui.protocol.views_rebalance import Offer, RebalanceView
from perptui.tui import format as figures
from perptui.tui.panels.base import wrapped
from perptui.tui.panels.limits import SHARES_OF_RISK, WORDS, limit_name, limits_named
from perptui.tui.picture import Line, left, width_of

MOST_DIGITS = 9
NAME_WIDTHS = 24, 40
"""Least and most columns of a member's name."""
ALONE = "no value of it would do, the other limits as they are"
DOLLARS = "_usd"
"""Settings in dollars end so: what they cap is named for them, not for the limit they lower."""
OTHERS = frozenset({"drawdown_max"})
"""Settings whose figures are no figures of the limits that they set."""
SHOWN_ONLY = "   looser than the desk's own: shown as a what-if, never sent"
LOTS = "lots are too coarse"
"""How a reason begins that weights keep every limit and lots do not; the last says the most."""
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
    digit, width = 0, width - 1
    if view.clash:
        lines += wrapped(_words(view.clash), width, " ", "warn")
        lines.append(())
    else:
        lines += wrapped(_no_clash(view), width, " ", "dim")
    ways = _relaxable(view.clash)
    least, most = NAME_WIDTHS
    names = min(max((len(clash_name(one)) + 1 for one in view.clash), default=least), most)
    for member in view.clash:
        digit += member in ways
        unit = units.get(member.name, "")
        taken = _digit(digit) if member in ways else ""
        lines += _member(member, unit, taken, max(names, least), width)
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
    one = len(clash) == 1
    cannot = (
        "this limit cannot hold: no book keeps to it."
        if one
        else f"these {len(clash)} limits cannot all hold: no book keeps to every one of them."
    )
    mended = [member for member in clash if member.needed is not None]
    if len(mended) == len(clash):
        return f"{cannot} {'It' if one else 'Any one of them'} relaxed as said below mends it."
    if mended:
        return f"{cannot} One of them relaxed mends it where it says how far."
    return f"{cannot} None of them relaxed alone mends it: other limits clash as well."


def _no_clash(view: RebalanceView) -> str:
    if view.clash_pending:
        if COARSE in view.reasons:
            return f"{COARSE}; what they would fit into is being looked for"
        return f"{NO_BOOK}: which of them clash is being looked for"
    of_lots = [reason for reason in view.reasons if reason.startswith(LOTS)]
    if of_lots:
        return f"no limits clash, but {of_lots[-1]}"
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


def _member(member: Clash, unit: str, digit: str, names: int, width: int) -> list[Line]:
    unit = "usd" if member.setting.endswith(DOLLARS) else unit
    unit = "fraction" if member.setting in SHARES_OF_RISK | OTHERS else unit
    name = left(clash_name(member), names)
    stands = _value(member.limit, unit)
    # Their rows among the limits are volatilities.
    stands += " of volatility_max" if member.setting in SHARES_OF_RISK else ""
    head: Line = ((f" {digit:<1} ", "key"), (name, "title"), (stands, "text"))
    if member.relaxed is not None:
        needed = f"{_value(member.relaxed, unit)} would do"
        enough: Line = ((" → ", "dim"), (needed, "accent"))
        broken = width_of((*head, *enough)) > width
        heads = [head, (("  ", "dim"), *enough)] if broken else [(*head, *enough)]
        # The head says it all, unless another setting stands behind the limit.
        return heads if member.setting else [*heads, *_why(member.text, width)]
    return [head, *_why(member.text or ALONE, width)]


def _why(text: str, width: int) -> list[Line]:
    """Return why no value would do: what comes after the names of all that clash."""
    return wrapped(_spoken(text.partition(": ")[2] or text), width, "   ", "dim")


def _spoken(text: str) -> str:
    """Return a sentence with its limits as the heads of this page name them."""
    return _NAMED.sub(lambda found: SPOKEN[found[1]], limits_named(text))


def _offer(offer: Offer, digit: str, width: int) -> list[Line]:
    words = wrapped(_spoken(offer.text), width, f" {digit:<1} ")
    return [((words[0][0][0], "key"), *words[0][1:]), *words[1:]]


def clash_name(member: Clash) -> str:
    """Return the name of a limit, or of a fixed target, as it is read."""
    kind, _, of = member.name.partition(":")
    if kind == "target":
        return f"target {figures.contract(of)}"
    if member.setting.endswith(DOLLARS):
        return f"{member.setting} {figures.contract(of)}".strip()
    name = limit_name(member.name)
    # The figures beside it are the setting's, not the limit's.
    return f"{name} {member.setting}" if member.setting in OTHERS else name


def _value(value: float, unit: str) -> str:
    """Return a limit in the unit of its row, in full: a relaxation has few digits."""
    if unit == "usd":
        return f"{figures.number(value, 0)} $"
    share = unit in {"fraction", "annual"}
    text = figures.number(value * 100, 4) if share else figures.number(value, 6)
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (text or "0") + ("%" if share else "x" if unit == "x" else "")


SPOKEN = {name: f"{words} " for name, words in WORDS.items() if "_" not in name}
SPOKEN |= {"target": "target ", "cluster": "cluster "}
_NAMED = re.compile(rf"\b({'|'.join(SPOKEN)})(?::| (?=[−\d]))")
"""A limit of one word within a sentence: before whose it is, or before its figure."""
