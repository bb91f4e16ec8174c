"""The regime of the book: a vote of rule, hidden Markov and jump model, in fast and out slowly.

A linear pool: each model's probabilities of calm, normal, stress and crisis count by its weight,
and a model with too little history is silent. Everything is causal: an hour's vote uses that hour
and those before it, with models as they had been fitted by then (method §5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import divided
from perptui.estimation.regime.exposure import exposure_scale
from perptui.estimation.regime.inputs import MONDAY_MS, SideInputs, regime_inputs
from perptui.estimation.regime.models import ModelPath, hidden_markov_path, jump_path
from perptui.estimation.regime.rule import (
    CALM,
    CRISIS,
    CRISIS_ENTER,
    DWELL_H,
    LEGS,
    NORMAL,
    STRESS,
    follow_rule,
    held,
    rule_probabilities,
    streak,
)
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.forecast import RegimeForecast, RegimeTrack, RegimeVote
from perptui.model.strategy import REGIMES, StrategyParameters

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MODELS = ("rule", "hidden Markov", "jump")
WEIGHTS = (0.4, 0.3, 0.3)
"""No voice alone makes stress, two that are sure do."""
ENTER, LEAVE = 0.55, 0.45
"""P(stress or crisis) at which stress begins, and below which it ends: on 8 books up to 2022 the
crises then stand clear of the first, and entries well below 20 a year."""
CALM_ENTER, CALM_LEAVE = 0.55, 0.45
CRISIS_SHARE = 0.5
"""Of P(stress or crisis): above it stress is a crisis."""
SLOW_H = 3
"""Hours below a threshold before its regime is left; it is entered in one (method §5)."""
TRACK_DAYS = 60
TRACK_STEP_H = 4
LIVE_HOURS = 24 * (TRACK_DAYS + 40)
"""Of models' speech where only the present and its track are asked for: 40 days to settle in."""


@dataclass(frozen=True, slots=True)
class RegimePath:
    """What was known of the regime hour by hour.

    Attributes
    ----------
    labels : (T,) array
        Indices into `REGIMES`.
    probabilities : (T, 4) array
        The pool's, of `REGIMES`; NaN before the rule speaks.
    votes : (3, T, 4) array
        Each of `MODELS`'; NaN where it is silent.
    silent : tuple[str, ...]
        Why each of `MODELS` is silent at the last hour; "" where it speaks.
    ratios : (T, 2) array
        The legs' ratios, NaN at first.
    legs_on : tuple[bool, ...]
        Which legs of the rule are in stress at the last hour.
    quiet_hours : int
        Hours for which all of these have stood below the threshold at which they leave.
    """

    labels: IntArray
    probabilities: FloatArray
    votes: FloatArray
    silent: tuple[str, ...]
    ratios: FloatArray
    legs_on: tuple[bool, ...]
    quiet_hours: int

    @property
    def confidence(self) -> float:
        """Return the pool's probability of what the label says, now.

        Of stress or crisis together where it is either, and likewise of calm or normal.
        """
        stressed = float(self.probabilities[-1, STRESS:].sum())
        return stressed if self.labels[-1] >= STRESS else 1.0 - stressed


def label_hours(
    book: FloatArray,
    start_ms: int = MONDAY_MS,
    side: SideInputs | None = None,
    recent_hours: int | None = None,
) -> RegimePath:
    """Return the regime of each hour of an equal-weight book's hourly log returns (T,).

    Parameters
    ----------
    start_ms : int
        When the first hour begins: weekly refits stand on Mondays 00:00 UTC.
    side : SideInputs, optional
        What else is known by hour.
    recent_hours : int, optional
        The models speak in the last of so many hours only, which saves older refits; the rule
        speaks in all. `LIVE_HOURS` are enough for the track and for the filters to settle.

    Raises
    ------
    EstimationError
        With fewer than 20 days of hours, a book that does not move, or side inputs of another
        length.
    """
    inputs = regime_inputs(book, start_ms, side)
    rule = follow_rule(inputs.ratios)
    says = rule_probabilities(rule, inputs.ratios)
    first = 0 if recent_hours is None else max(len(book) - recent_hours, 0)
    models = hidden_markov_path(inputs, first), jump_path(inputs, first)
    votes = np.stack([says, *(_four_of_three(model, says) for model in models)])
    pool = pooled(votes)
    on = rule.legs_on[-1]
    return RegimePath(
        labels=confirmed(pool),
        probabilities=pool,
        votes=votes,
        silent=("", *(model.silent for model in models)),
        ratios=inputs.ratios,
        legs_on=tuple(on.tolist()),
        quiet_hours=int(rule.quiet[-1][on].min(initial=len(book))) if on.any() else 0,
    )


def _four_of_three(model: ModelPath, rule: FloatArray) -> FloatArray:
    """Return P of the four regimes from a model's three states.

    A state says how volatile the book is beside its last year, not whether its volatility doubled:
    what of the highest state is a crisis is what the rule makes of stress.
    """
    stress = rule[:, STRESS] + rule[:, CRISIS]
    share = np.divide(rule[:, CRISIS], stress, out=np.zeros(len(rule)), where=stress > 0.0)
    low, middle, high = model.probabilities.T
    return np.column_stack([low, middle, high * (1.0 - share), high * share])


def pooled(votes: FloatArray) -> FloatArray:
    """Return the votes (3, T, 4) weighted by `WEIGHTS` among those that speak, (T, 4).

    A model says all four probabilities of an hour or none of them.
    """
    total, above = np.zeros((votes.shape[1], 1)), np.zeros(votes.shape[1:])
    for weight, vote in zip(WEIGHTS, votes, strict=True):
        speaks = np.isfinite(vote[:, :1])
        total += weight * speaks
        above += np.where(speaks, weight * vote, 0.0)
    return divided(above, total, total > 0.0)


def confirmed(pool: FloatArray) -> IntArray:
    """Return the labels (T,) of the pool's probabilities: in at once, out after `SLOW_H` hours.

    Normal where nothing speaks.
    """
    p_stress = pool[:, STRESS] + pool[:, CRISIS]
    stress = _kept(p_stress, ENTER, LEAVE)
    doubled = stress & (pool[:, CRISIS] > CRISIS_SHARE * p_stress)
    crisis = held(doubled, streak(~doubled) >= SLOW_H) & stress
    calm = _kept(pool[:, CALM], CALM_ENTER, CALM_LEAVE)
    labels = np.where(crisis, CRISIS, np.where(stress, STRESS, np.where(calm, CALM, NORMAL)))
    return labels.astype(np.int64)


def _kept(chance: FloatArray, enter: float, leave: float) -> BoolArray:
    return held(chance > enter, streak(~(chance >= leave)) >= SLOW_H)


def forecast_regime(
    path: RegimePath,
    end_ms: int,
    volatility: float,
    strategy: StrategyParameters,
    exposure_before: float | None = None,
) -> RegimeForecast:
    """Return the regime at the last hour, its exposure, its votes, its track and the evidence.

    Parameters
    ----------
    path : RegimePath
        From `label_hours`; its last hour ended at `end_ms`.
    volatility : float
        Annualised forecast of the equal-weight book.
    exposure_before : float, optional
        The scale of the previous bar.
    """
    label = int(path.labels[-1])
    calm, normal, stress, crisis = path.probabilities[-1].tolist()
    chances = (calm, normal, stress, crisis)
    exposure = exposure_scale(chances, volatility, strategy, exposure_before)
    changes = np.flatnonzero(path.labels != label)
    same = len(path.labels) - (int(changes[-1]) + 1 if len(changes) else 0)
    votes = _votes(path)
    return RegimeForecast(
        label=REGIMES[label],
        probabilities=chances,
        since_ms=end_ms - (same - 1) * HOUR_MS,
        exposure=exposure,
        evidence=(
            *_leg_evidence(path),
            _vote_evidence(path, votes),
            _exposure_evidence(exposure, volatility, strategy),
        ),
        votes=votes,
        track=_track(path, end_ms),
    )


def _votes(path: RegimePath) -> tuple[RegimeVote, ...]:
    votes = []
    for model, weight, silent, row in zip(
        MODELS, WEIGHTS, path.silent, path.votes[:, -1].tolist(), strict=True
    ):
        if silent:
            votes.append(RegimeVote(model, "", (), silent))
        else:
            most = REGIMES[row.index(max(row))]
            votes.append(RegimeVote(model, most, tuple(row), f"weight {weight:g}"))
    return tuple(votes)


def _track(path: RegimePath, end_ms: int) -> RegimeTrack:
    """Return the pool at every fourth hour of the clock over the last 60 days, as known then."""
    rows = np.arange(max(len(path.labels) - TRACK_DAYS * DAY_MS // HOUR_MS, 0), len(path.labels))
    stamps = end_ms - (len(path.labels) - 1 - rows) * HOUR_MS
    chosen = (stamps % (TRACK_STEP_H * HOUR_MS) == 0) & np.isfinite(path.probabilities[rows, 0])
    return RegimeTrack(
        tuple(stamps[chosen].tolist()),
        tuple(tuple(row) for row in path.probabilities[rows[chosen]].tolist()),
    )


def _leg_evidence(path: RegimePath) -> tuple[str, ...]:
    lines = []
    for leg, on, ratio in zip(LEGS, path.legs_on, path.ratios[-1], strict=True):
        text = f"{leg.name} volatility {ratio:.2f} x its 180 d level"
        if ratio > CRISIS_ENTER:
            text += f" (> {CRISIS_ENTER:g}: crisis)"
        elif ratio > leg.enter:
            text += f" (> {leg.enter:g}: stress)"
        elif on:
            text += f" (stress until below {leg.leave:g} for {DWELL_H} h)"
        lines.append(text)
    if any(path.legs_on) and path.quiet_hours:
        lines.append(f"quiet for {path.quiet_hours} h")
    return tuple(lines)


def _vote_evidence(path: RegimePath, votes: tuple[RegimeVote, ...]) -> str:
    said = ", ".join(f"{vote.model} {vote.label or 'silent'}" for vote in votes)
    sides = ("calm or normal", "stress or crisis")
    side = sides[int(path.labels[-1] >= STRESS)]
    return f"vote: {said}; {side} with {path.confidence:.0%}"


def _exposure_evidence(exposure: float, volatility: float, strategy: StrategyParameters) -> str:
    text = (
        f"exposure {exposure:.2f}: target {strategy.volatility_target:.0%} a year over "
        f"forecast {volatility:.0%}, capped by regime"
    )
    return text if strategy.follow_regime else f"{text}; {strategy.name} does not follow it"
