"""Notes that say the same of many contracts or models, in one line each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from perptui.model.forecast import InstrumentForecast

NAMED = 3
"""So many contracts are named; more are counted."""

_OF_CONTRACT = re.compile(r"(?P<id>\w+:[^\s:]+(?::[^\s:]+)?): (?P<words>.+)", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SILENT = re.compile(r"(?P<model>\S+) (?P<words>silent: .+)")


class ModelWords(msgspec.Struct, frozen=True):
    """Why variance models do not speak.

    Attributes
    ----------
    silent : dict
        By model that no contract is forecast with: why.
    partial : tuple of str
        "ID: model silent, why" of a contract that a model leaves out, which speaks of others.
    """

    silent: dict[str, str]
    partial: tuple[str, ...]


def model_words(instruments: Sequence[InstrumentForecast]) -> ModelWords:
    """Return why variance models do not speak, of all contracts or of some."""
    whole: dict[str, str] = {}
    partial: list[str] = []
    reasons: dict[str, dict[str, str]] = {}
    for row in instruments:
        for model in row.volatility.models:
            if model.fallback:
                reasons.setdefault(model.name, {})[row.id] = model.fallback
    for name, by_contract in reasons.items():
        if len(by_contract) == len(instruments):
            whole[name] = "; ".join(_ranges(by_contract).keys())
        else:
            partial += [f"{one}: {name} silent, {why}" for one, why in by_contract.items()]
    return ModelWords(whole, tuple(partial))


def condensed(lines: Sequence[str], contracts: int) -> tuple[str, ...]:
    """Return `lines` with those that differ by their contract and figures alone made one.

    "ID: 60 days of history" of two contracts becomes "60 to 71 days of history: ID, ID"; more than
    three contracts are counted. What is of no contract stays as it is, and first.

    Parameters
    ----------
    contracts : int
        How many there are, to say "all".
    """
    general: list[str] = []
    groups: dict[str, dict[str, str]] = {}
    for line in lines:
        found = _OF_CONTRACT.fullmatch(line)
        if found is None:
            general.append(line)
        else:
            words = found["words"]
            groups.setdefault(_NUMBER.sub("#", words), {})[found["id"]] = words
    joined = [
        f"{words}: {_who(ids, contracts)}"
        for group in groups.values()
        for words, ids in _ranges(group).items()
    ]
    return (*dict.fromkeys(general), *joined)


def _ranges(by_contract: Mapping[str, str]) -> dict[str, list[str]]:
    """Return words with their contracts; words that differ in one figure alone as its range."""
    groups: dict[str, dict[str, str]] = {}
    for one, words in by_contract.items():
        groups.setdefault(_NUMBER.sub("#", words), {})[one] = words
    found: dict[str, list[str]] = {}
    for group in groups.values():
        merged = _as_range(list(group.values()))
        if merged is None:
            for one, words in group.items():
                found.setdefault(words, []).append(one)
        else:
            found[merged] = list(group)
    return found


def _as_range(texts: Sequence[str]) -> str | None:
    """Return texts that differ in at most one figure as one with its range; None where more do."""
    columns = list(zip(*(_NUMBER.findall(text) for text in texts), strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) > 1:
        return None
    spans = iter(_span(column) for column in columns)
    return _NUMBER.sub(lambda _: next(spans), texts[0])


def _span(figures: Sequence[str]) -> str:
    ordered = sorted(set(figures), key=lambda text: float(text.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _who(ids: Sequence[str], contracts: int) -> str:
    if len(ids) <= NAMED:
        return ", ".join(ids)
    return f"all {len(ids)} contracts" if len(ids) == contracts else f"{len(ids)} contracts"


def merged_verdicts(words: Sequence[str]) -> tuple[str, ...]:
    """Return the court's words with models that are silent alike on one line."""
    models: dict[str, list[str]] = {}
    for line in words:
        found = _SILENT.fullmatch(line)
        if found is not None:
            models.setdefault(found["words"], []).append(found["model"])
    merged: dict[str, None] = {}
    for line in words:
        found = _SILENT.fullmatch(line)
        text = line if found is None else f"{', '.join(models[found['words']])} {found['words']}"
        merged[text] = None
    return tuple(merged)
