"""When no book keeps every limit: which limits clash, how far each must give, what can be done.

One minimal conflicting set by deletion (Chinneck and Dravnieks 1991): a limit without which the
rest still clash takes no part. It starts from the limits that carry a price in phase 1, which clash
by themselves (Farkas), so that a handful of small programs find it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from perptui.model.errors import OptimizationError
from perptui.model.explanation import NO_BOOK, Clash
from perptui.optimization.explain.feasibility import PRICED, Feasibility
from perptui.optimization.explain.found import TOLERANCE, Found
from perptui.optimization.explain.least import needed
from perptui.optimization.explain.limit_rows import TARGET, Key
from perptui.optimization.explain.reduction import reduction_offer
from perptui.optimization.explain.relaxation import Relaxation, relaxation_of
from perptui.optimization.explain.search import Search, run
from perptui.optimization.explain.wording import figure, listed
from perptui.optimization.inputs import ProgramInputs

PLAINEST = frozenset({"gross", "volatility", "turnover", TARGET})
HOLD = "hold: nothing is traded, the book stays as it is"


def clashes(inputs: ProgramInputs) -> tuple[Clash, ...]:
    """Return one minimal set of limits that cannot all hold; empty where a book keeps them all.

    Each member's `needed` is the least value of its setting with which, alone and with every other
    limit as it is, a book exists; None where other limits clash as well, and its text names them.
    Empty too where the solver gives no answer to trust: then nothing is said of single limits.
    """
    return run(clash_search(inputs))


def clash_search(inputs: ProgramInputs) -> Search[tuple[Clash, ...]]:
    """Return what `clashes` does, by a search that pauses between its solves."""
    limits = Feasibility(inputs)
    needs = Needs(limits)
    try:
        members = yield from minimal_conflict(limits, proof=needs)
        ways = [relaxation_of(key, inputs) for key in members]
        lost = [way for way, key in zip(ways, members, strict=True) if needs.values[key] is None]
        beside = yield from _beside(lost, limits)
    except OptimizationError:
        return ()
    found: dict[tuple[str, str], Clash] = {}
    for way, key in zip(ways, members, strict=True):
        value = needs.values[key]
        others = [other for other in ways if other.name != way.name]
        text = _text(way, value, others, beside.get(way.name, ""))
        clash = Clash(way.name, way.limit, value, way.setting, text)
        found.setdefault((way.name, way.setting), clash)
    return tuple(found.values())


class Needs:
    """Least relaxed values, found on the way; each that exists proves a member.

    A book that keeps every limit but one, and that one relaxed, is a book of all sets without it:
    it takes part in every conflict.

    Attributes
    ----------
    values : dict of Key to float or None
        As `needed` gives them.
    """

    def __init__(self, limits: Feasibility) -> None:
        self._limits = limits
        self.values: dict[Key, float | None] = {}
        self._known: dict[tuple[str, frozenset[Key]], float | None] = {}

    def proves(self, key: Key, kept: Set[Key]) -> Search[bool]:
        """Return whether a book keeps `kept` without `key` and nothing else relaxed."""
        inputs = self._limits.inputs
        way = relaxation_of(key, inputs)
        # One setting may stand behind many limits, and needs the same for each.
        same = way.setting, frozenset(way.give)
        if same not in self._known:
            self._known[same] = yield from needed(key, inputs, self._limits)
        value = self.values[key] = self._known[same]
        return value is not None and kept & set(way.give) == {key}


def _beside(lost: Sequence[Relaxation], limits: Feasibility) -> Search[dict[str, str]]:
    """Return, in words, what clashes without each of these limits; a conflict serves many."""
    conflicts: list[tuple[Key, ...]] = []
    words = {}
    for way in lost:
        mine = set(way.give)
        known = next((one for one in conflicts if mine.isdisjoint(one)), None)
        if known is None:
            known = yield from minimal_conflict(limits, frozenset(limits.keys) - mine)
            conflicts.append(known)
        words[way.name] = _standing([relaxation_of(key, limits.inputs) for key in known])
    return words


def minimal_conflict(
    limits: Feasibility, among: Set[Key] | None = None, proof: Needs | None = None
) -> Search[tuple[Key, ...]]:
    """Return the keys of one conflict of which no proper part is one; empty where none clash.

    Parameters
    ----------
    among : set of Key, optional
        Limits that are looked at; without it all are.
    proof : Needs, optional
        Asked first of each limit; what it does not prove a member is left out for a try.

    Raises
    ------
    OptimizationError
        When the solver gives no answer to trust.
    """
    every = frozenset(limits.keys) if among is None else frozenset(among)
    whole = yield from limits.conflict(every)
    if whole.amount <= TOLERANCE:
        return ()
    kept = _priced(whole, every)
    if not (yield from limits.clash(kept)):
        kept = every
    for key in sorted(kept, key=lambda one: (_plainness(one), limits.keys.index(one))):
        if key not in kept:
            continue
        if proof is not None and (yield from proof.proves(key, kept)):
            continue
        without = yield from limits.conflict(kept - {key})
        if without.amount > TOLERANCE:
            kept = kept - {key}
            fewer = _priced(without, kept)
            if fewer < kept and (yield from limits.clash(fewer)):
                kept = fewer
    return tuple(key for key in limits.keys if key in kept)


def _plainness(key: Key) -> int:
    """Return when a limit is tried for deletion: last what a trader sets himself."""
    return 0 if key[0] in {"lower", "upper"} else 1 + (key[0] in PLAINEST)


def _priced(found: Found, kept: Set[Key]) -> frozenset[Key]:
    least = PRICED * max(found.prices.values(), default=0.0)
    return frozenset(key for key in kept if found.prices.get(key, 0.0) > least)


def _text(way: Relaxation, value: float | None, others: Sequence[Relaxation], beside: str) -> str:
    cannot = f"{_standing([way])} cannot hold"
    if others:
        cannot += f" with {_standing(others)}"
    if value is not None:
        return f"{cannot}: needs {figure(way.setting, value, outward_from=way.limit)}"
    also = f", as {beside} cannot hold either" if beside else ""
    return f"{cannot}: no value of it alone would do{also}"


def _standing(ways: Sequence[Relaxation]) -> str:
    return listed([f"{one.name} {figure(one.setting, one.limit)}" for one in ways])


def explain(
    inputs: ProgramInputs, found: Sequence[Clash] | None, share: float | None
) -> tuple[str, ...]:
    """Return in words what clashes, what would mend it, and the two offers that need no solver.

    Parameters
    ----------
    found : sequence of Clash, optional
        As `clashes` gives them; None where they were not looked for.
    share : float, optional
        As `reduce_only_share` gives it.
    """
    words = NO_BOOK if found is None else summary(found)
    return (words, HOLD, reduction_offer(inputs, share))


def summary(found: Sequence[Clash]) -> str:
    """Return in words what clashes, and what would mend it."""
    if not found:
        return f"{NO_BOOK} within the solver's accuracy"
    names = listed([f"{one.name} {figure(one.setting, one.limit)}" for one in found])
    ways = [
        f"{one.name} {figure(one.setting, one.needed, outward_from=one.limit)}"
        for one in found
        if one.needed is not None
    ]
    together = "cannot hold" if len(found) == 1 else "cannot hold together"
    mended = f"needs {listed(ways, 'or')}" if ways else "and other limits clash as well"
    return f"{NO_BOOK}: {names} {together}: {mended}"
