"""Volatility and regime as the terminal shows them, with the verdicts and the notes in words."""

from __future__ import annotations

import math

from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.desk.state import Picture
from perptui.desk.views.notes import ModelWords, condensed, merged_verdicts, model_words
from perptui.model.clock import DAY_MS
from perptui.model.forecast import Estimates, VolatilityTrack
from perptui.protocol.views import RegimeView

WEEK_DAYS = 7


def regime_view(picture: Picture, proposed: ProposalPicture) -> RegimeView:
    """Return volatility and regime, or what they wait for."""
    estimates = proposed.estimates
    if estimates is None:
        return RegimeView(waiting=regime_waits(picture, proposed))
    regime, track = estimates.regime, estimates.track
    forecast = estimates.book_volatility
    realised = realised_over(track, estimates.as_of_ms, WEEK_DAYS)
    ratio = realised / forecast if forecast and realised is not None else None
    fallbacks = model_words(estimates.instruments)
    return RegimeView(
        label=regime.label,
        probabilities=regime.probabilities,
        since_ms=regime.since_ms,
        exposure=regime.exposure,
        exposure_before=proposed.exposure_before,
        exposure_used=None if proposed.target is None else proposed.target.exposure,
        strategy=proposed.strategy,
        horizon_days=estimates.horizon_days,
        evidence=regime.evidence,
        forecast_volatility=forecast,
        realised_7d=realised,
        ratio_7d=ratio,
        track_ms=track.ts_ms,
        track_forecast=track.forecast,
        track_realised=track.realised,
        track_low=track.low,
        track_high=track.high,
        votes=regime.votes,
        regime_ms=regime.track.ts_ms,
        regime_track=regime.track.probabilities,
        models=estimates.models,
        scores=estimates.court.track,
        silent=fallbacks.silent,
        coverage=estimates.court.coverage,
        calibration=estimates.court.calibration,
        verdicts=merged_verdicts(estimates.court.words),
        tails=estimates.tails,
        weak=weak_rows(estimates, fallbacks),
        bar_ms=picture.bars_ms,
        observed_mono=proposed.estimated_mono,
        waiting=None,
    )


def regime_waits(picture: Picture, proposed: ProposalPicture) -> str:
    """Return what the first estimates wait for, in words."""
    if proposed.failure:
        return proposed.failure
    if picture.history:
        return picture.history
    return "estimating" if proposed.state == "solving" else "waiting for the quant process"


def weak_rows(estimates: Estimates, fallbacks: ModelWords) -> tuple[str, ...]:
    """Return what is left out or weak, so that no estimate looks better than it is.

    What is said of many contracts is one line.
    """
    flags = [f"{row.id}: {flag}" for row in estimates.instruments for flag in row.flags]
    return (
        *estimates.left_out,
        *condensed([*estimates.notes, *flags, *fallbacks.partial], len(estimates.instruments)),
    )


def realised_over(track: VolatilityTrack, as_of_ms: int, days: int) -> float | None:
    """Return the root mean square of the track's realised volatility over the last whole `days`."""
    first_ms = (as_of_ms // DAY_MS - days) * DAY_MS
    recent = [
        value for stamp, value in zip(track.ts_ms, track.realised, strict=True) if stamp >= first_ms
    ]
    if not recent:
        return None
    return math.sqrt(math.fsum(value * value for value in recent) / len(recent))
