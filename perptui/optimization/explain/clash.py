"""When no book keeps every limit: which limits clash, how far each must give, what can be done.

One minimal conflicting set by deletion (Chinneck and Dravnieks 1991): a limit without which the
rest still clash takes no part. It starts from the limits that carry a price in phase 1, which clash
by themselves (Farkas), so that a handful of small programs find it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TypeVar

from perptui.model.errors import OptimizationError
from perptui.model.explanation import NO_BOOK, Clash
from perptui.optimization.explain.existence import Pose
from perptui.optimization.explain.feasibility import PRICED, Feasibility
from perptui.optimization.explain.found import TOLERANCE, Found
from perptui.optimization.explain.least import NO_LOTS, UNSURE, Need, Proof, needed, proven
from perptui.optimization.explain.limit_rows import TARGET, Key
from perptui.optimization.explain.reduction import reduction_offer
from perptui.optimization.explain.relaxation import DRAWDOWN, Relaxation, relaxation_of
from perptui.optimization.explain.wording import DOLLARS, figure, listed
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.search import Search, run

PLAINEST = frozenset({"gross", "volatility", "turnover", TARGET})
NOT_FOUND = (UNSURE, NO_LOTS)
AS_THEY_ARE = "the other limits as they are"
FUNDING_CAP = "funding_cap:"
Limit = TypeVar("Limit", bound=Relaxation | Clash)
HOLD = "hold: nothing is traded, the book stays as it is"


def clashes(inputs: ProgramInputs, pose: Pose | None = None) -> tuple[Clash, ...]:
    """Return one minimal set of limits that cannot all hold; empty where a book keeps them all.

    Each member's `needed` is the least value of its setting with which, alone and with every other
    limit as it is, a book exists; None where other limits clash as well, and its text names them.
    Empty too where the solver gives no answer to trust: then nothing is said of single limits.

    Parameters
    ----------
    pose : callable, optional
        Poses the program with one assignment more: each `needed` is then proven by a book of it.
    """
    return run(clash_search(inputs, pose))


def clash_search(inputs: ProgramInputs, pose: Pose | None = None) -> Search[tuple[Clash, ...]]:
    """Return what `clashes` does, by a search that pauses between its solves."""
    limits = Feasibility(inputs)
    needs = Needs(limits)
    try:
        members = yield from minimal_conflict(limits, proof=needs)
        ways = [relaxation_of(key, inputs) for key in members]
        named = zip(ways, members, strict=True)
        lost = [way for way, key in named if needs.values[key] is None]
        lost = [way for way in lost if way.setting not in needs.unsure]
        beside = yield from _beside(lost, limits)
        beside |= {way.name: UNSURE for way in ways if way.setting in needs.unsure}
        found = {way.name: needs.values[key] for way, key in zip(ways, members, strict=True)}
        bare = {name: Proof(need.value) for name, need in found.items() if need is not None}
        proof = bare if pose is None else (yield from _proven(ways, found, limits, pose))
        # The limits by themselves had a value, the program posed with it no book.
        beside |= {name: one.why for name, one in proof.items() if one.value is None}
    except OptimizationError:
        return ()
    said: dict[tuple[str, str], Clash] = {}
    for way in ways:
        value = proof.get(way.name, Proof(None)).value
        others = [other for other in ways if other.name != way.name]
        text = _text(way, value, others, beside.get(way.name, ""))
        clash = Clash(way.name, way.limit, value, way.setting, text)
        said.setdefault((way.name, way.setting), clash)
    return tuple(said.values())


def _proven(
    ways: Sequence[Relaxation],
    needs: Mapping[str, Need | None],
    limits: Feasibility,
    pose: Pose,
) -> Search[dict[str, Proof]]:
    """Return the values that a book of the program posed anew bears out, one search a setting."""
    known: dict[str, Proof] = {}
    found: dict[str, Proof] = {}
    for way in ways:
        need = needs[way.name]
        if need is None:
            continue
        found[way.name] = Proof(need.value)
        if not way.setting:
            continue
        if way.setting not in known:
            known[way.setting] = yield from proven(way, need, limits, pose)
        found[way.name] = known[way.setting]
    return found


class Needs:
    """Least relaxed values, found on the way; each that exists proves a member.

    A book that keeps every limit but one, and that one relaxed, is a book of all sets without it:
    it takes part in every conflict.

    Attributes
    ----------
    values : dict of Key to Need or None
        As `needed` gives them.
    unsure : set of str
        Settings whose least value the solver did not find.
    """

    def __init__(self, limits: Feasibility) -> None:
        self._limits = limits
        self.values: dict[Key, Need | None] = {}
        self.unsure: set[str] = set()
        self._known: dict[tuple[str, frozenset[Key]], Need | None] = {}

    def proves(self, key: Key, kept: Set[Key]) -> Search[bool]:
        """Return whether a book keeps `kept` without `key` and nothing else relaxed."""
        inputs = self._limits.inputs
        way = relaxation_of(key, inputs)
        # One setting may stand behind many limits, and needs the same for each.
        same = way.setting, frozenset(way.give)
        if same not in self._known:
            try:
                self._known[same] = yield from needed(key, inputs, self._limits)
            except OptimizationError:
                # A conflict is one whatever its ways out: it is said that this one is not known.
                self._known[same] = None
                self.unsure.add(way.setting)
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
        try:
            without = yield from _asked(limits, kept - {key})
        except OptimizationError:
            # Not known to be needless: it stays.
            continue
        if without.amount > TOLERANCE:
            kept = kept - {key}
            fewer = _priced(without, kept)
            if fewer < kept and (yield from limits.clash(fewer)):
                kept = fewer
    return tuple(key for key in limits.keys if key in kept)


def _asked(limits: Feasibility, kept: Set[Key]) -> Search[Found]:
    """Return what `conflict` does; asked once more without what is known from other questions."""
    try:
        return (yield from limits.conflict(kept))
    except OptimizationError:
        return (yield from Feasibility(limits.inputs).conflict(kept))


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
    if not way.setting:
        need = "" if value is None else f" (it would have to be {figure('', value)})"
        return f"{cannot}: no one setting relaxes it{need}: {way.why}"
    if value is not None:
        return f"{cannot}: needs {_owner(way)}{figure(way.setting, value, outward_from=way.limit)}"
    if beside in NOT_FOUND:
        return f"{cannot}: {beside}"
    also = f", as {beside} cannot hold either" if beside else ""
    return f"{cannot}: no value of it alone would do, {AS_THEY_ARE}{also}"


def _standing(limits: Sequence[Relaxation | Clash]) -> str:
    """Return limits with their figures; those of one setting together."""
    return listed([_group_words(group) for group in _by_setting(limits)])


def _by_setting(limits: Sequence[Limit]) -> list[list[Limit]]:
    groups: dict[str, list[Limit]] = {}
    for one in limits:
        groups.setdefault(one.setting or one.name, []).append(one)
    return list(groups.values())


def _group_words(group: Sequence[Relaxation | Clash]) -> str:
    first = group[0]
    shown = figure(first.setting, first.limit)
    if first.setting in DOLLARS:
        # It goes by the name of what it caps besides, which is another limit.
        of = [one.name.partition(":")[2] for one in group if ":" in one.name]
        return f"{first.setting} {shown}" + (f" ({', '.join(of)})" if of else "")
    if len(group) > 1:
        return f"{first.setting} {shown} ({', '.join(one.name for one in group)})"
    return f"{first.name} {_owner(first)}{shown}"


def _owner(one: Relaxation | Clash) -> str:
    """Return the setting's name, and a blank, where the limit goes by another."""
    other = one.name.startswith(FUNDING_CAP) or one.setting == DRAWDOWN
    return f"{one.setting} " if other else ""


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
    return (words, *offers(inputs, share))


def offers(inputs: ProgramInputs, share: float | None) -> tuple[str, str]:
    """Return in words what can always be done, and needs no solver: to hold, and to reduce.

    Parameters
    ----------
    share : float, optional
        As `reduce_only_share` gives it.
    """
    return HOLD, reduction_offer(inputs, share)


def summary(found: Sequence[Clash]) -> str:
    """Return in words what clashes, and what would mend it."""
    if not found:
        return f"{NO_BOOK} within the solver's accuracy"
    ways = [
        f"{_mended_by(group)} {figure(first.setting, first.needed, outward_from=first.limit)}"
        for group in _by_setting(found)
        for first in group[:1]
        if first.needed is not None and first.setting
    ]
    together = "cannot hold" if len(found) == 1 else "cannot hold together"
    mended = f"needs {listed(ways, 'or')}" if ways else _without_ways(found)
    return f"{NO_BOOK}: {_standing(found)} {together}: {mended}"


def _mended_by(group: Sequence[Clash]) -> str:
    """Return the name of what is to be set: the setting, where the limit goes by another."""
    first = group[0]
    by_setting = len(group) > 1 or first.setting in DOLLARS or _owner(first)
    return first.setting if by_setting else first.name


def _without_ways(found: Sequence[Clash]) -> str:
    for why in NOT_FOUND:
        if any(one.text.endswith(why) for one in found):
            return why.replace("it needs", "one of them needs")
    return f"relaxing one of them alone is not enough, {AS_THEY_ARE}"
