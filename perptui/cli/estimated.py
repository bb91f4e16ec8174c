"""What ``perptui estimate`` prints: the report as JSON, and a table for a person's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from perptui.cli.printed import flags_of
from perptui.model.carry import best_venues, carry_usd_day
from perptui.model.clock import iso
from perptui.model.forecast import Estimates, FundingTerm, InstrumentForecast, RegimeForecast
from perptui.model.money import CENT, decimal_of, plain
from perptui.model.report import (
    EstimatedFunding,
    EstimatedInstrument,
    EstimatedRegime,
    EstimatedRegimeTrack,
    EstimatedReturn,
    EstimatedTerm,
    EstimatedTrack,
    EstimatedVolatility,
    EstimatedVote,
    EstimateReport,
)
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import REGIMES

HOURS_A_YEAR = 24.0 * 365.0


def report_of(
    estimates: Estimates,
    snapshot: MarketSnapshot,
    strategy: str,
    left_out: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> EstimateReport:
    """Return what ``--json`` prints; `left_out`: contracts without data, not even asked for."""
    track = estimates.track
    held = _notionals(snapshot)
    rates = {rate.id: rate for rate in snapshot.funding}
    best = best_venues({one.id: one for one in snapshot.instruments}, rates, held)
    daily = {key: carry_usd_day(held[key], rates[key]) for key in held if key in rates}
    return EstimateReport(
        as_of=iso(estimates.as_of_ms),
        strategy=strategy,
        horizon_days=estimates.horizon_days,
        regime=_regime(estimates.regime),
        instruments=tuple(
            _instrument(row, held.get(row.id), daily.get(row.id), best.get(row.id, row.venue))
            for row in estimates.instruments
        ),
        correlation=estimates.correlation,
        covariance=estimates.covariance,
        omega=estimates.omega,
        least_eigenvalue=estimates.least_eigenvalue,
        models=estimates.models,
        track=EstimatedTrack(
            tuple(iso(stamp) for stamp in track.ts_ms),
            track.forecast,
            track.realised,
            track.low,
            track.high,
        ),
        tails=estimates.tails,
        court=estimates.court,
        left_out=(*left_out, *estimates.left_out),
        notes=(*notes, *flags_of(estimates), *estimates.notes),
    )


def _notionals(snapshot: MarketSnapshot) -> dict[str, Decimal]:
    """Return signed notionals of what is held, USD."""
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    sizes = {one.id: one.contract_size for one in snapshot.instruments}
    return {
        position.id: position.contracts * sizes[position.id] * marks[position.id]
        for account in snapshot.accounts
        for position in account.positions
    }


def _by_regime(probabilities: Sequence[float]) -> dict[str, float]:
    return dict(zip(REGIMES, probabilities, strict=True)) if probabilities else {}


def _regime(regime: RegimeForecast) -> EstimatedRegime:
    track = regime.track
    return EstimatedRegime(
        label=regime.label,
        probabilities=_by_regime(regime.probabilities),
        exposure=regime.exposure,
        evidence=regime.evidence,
        since=iso(regime.since_ms),
        votes=tuple(
            EstimatedVote(vote.model, vote.label, _by_regime(vote.probabilities), vote.text)
            for vote in regime.votes
        ),
        track=EstimatedRegimeTrack(
            tuple(iso(stamp) for stamp in track.ts_ms),
            {name: tuple(row[k] for row in track.probabilities) for k, name in enumerate(REGIMES)},
        ),
    )


def _instrument(
    row: InstrumentForecast, held: Decimal | None, daily: Decimal | None, best_venue: str
) -> EstimatedInstrument:
    drift, volatility = row.drift, row.volatility
    return EstimatedInstrument(
        id=row.id,
        expected_return=EstimatedReturn(
            drift.d1,
            drift.d7,
            drift.d30,
            drift.blend,
            row.expected_return,
            row.expected_return_sd,
        ),
        funding=_funding(row, held, daily, best_venue),
        volatility_annual=EstimatedVolatility(
            ewma=volatility.ewma,
            realised=volatility.realised,
            combined=volatility.combined,
            models=volatility.models,
            downside=volatility.downside,
            jump_share=volatility.jump_share,
            total=volatility.total,
            funding=volatility.funding,
            return_funding_correlation=volatility.return_funding_correlation,
            exit_cost_sd=volatility.exit_cost_sd,
        ),
        volume_usd_day=row.volume_usd_day,
        half_spread=row.half_spread,
        flags=row.flags,
    )


def _funding(
    row: InstrumentForecast, held: Decimal | None, daily: Decimal | None, best_venue: str
) -> EstimatedFunding:
    funding = row.funding
    return EstimatedFunding(
        rate=funding.rate,
        interval_h=funding.interval_h,
        apr=funding.apr,
        horizon_mean=funding.horizon_mean,
        horizon_sd=funding.horizon_sd,
        mean_1d=funding.mean_1d,
        mean_7d=funding.mean_7d,
        mean_30d=funding.mean_30d,
        z=funding.z,
        horizon_z=funding.horizon_z,
        term=tuple(_term(term, funding.interval_h, held) for term in funding.term),
        parts=funding.parts,
        regime=funding.regime,
        halflife_h=funding.halflife_h,
        anchor_apr=funding.anchor_apr,
        long_cap=funding.long_cap,
        short_cap=funding.short_cap,
        carry_usd_day=None if daily is None else _dollars(daily),
        best_venue=best_venue,
    )


def _term(term: FundingTerm, interval_h: float, held: Decimal | None) -> EstimatedTerm:
    # The next settlement pays for its whole interval, however few hours are left of it.
    paid_h = interval_h if term.span == "next" else term.hours
    return EstimatedTerm(
        span=term.span,
        hours=term.hours,
        mean=term.mean,
        sd=term.sd,
        apr=term.mean * HOURS_A_YEAR / paid_h,
        carry_usd=None if held is None else _dollars(-held * decimal_of(term.mean, "funding")),
        carry_sd_usd=None if held is None else _dollars(abs(held) * decimal_of(term.sd, "sd")),
    )


def _dollars(amount: Decimal) -> str:
    return plain(amount.quantize(CENT, rounding=ROUND_HALF_EVEN))


def table_of(estimates: Estimates) -> str:
    """Return the estimates for a person's eyes: per horizon, in percent; volatility a year."""
    regime = estimates.regime
    chances = "  ".join(
        f"{name} {chance:.2f}" for name, chance in zip(REGIMES, regime.probabilities, strict=True)
    )
    lines = [
        f"{iso(estimates.as_of_ms)}   horizon {estimates.horizon_days:g} days",
        f"regime {regime.label.upper()}   {chances}   exposure x{regime.exposure:.2f}",
        *(f"  {line}" for line in regime.evidence),
        "",
        f"{'':<28}{'return':>9}{'± sd':>8}{'drift/d':>9}{'funding':>9}{'± sd':>8}{'APR':>8}"
        f"{'ewma':>7}{'real.':>7}{'comb.':>7}",
    ]
    lines.extend(
        f"{row.id:<28}{row.expected_return:>9.2%}{row.expected_return_sd:>8.2%}"
        f"{row.drift.blend:>9.3%}{row.funding.horizon_mean:>9.3%}{row.funding.horizon_sd:>8.3%}"
        f"{row.funding.apr:>8.1%}{row.volatility.ewma:>7.0%}{row.volatility.realised:>7.0%}"
        f"{row.volatility.combined:>7.0%}"
        for row in estimates.instruments
    )
    lines.extend(["", "correlation"])
    lines.extend(
        f"{row.id:<28}" + "".join(f"{value:>6.2f}" for value in correlation)
        for row, correlation in zip(estimates.instruments, estimates.correlation, strict=True)
    )
    flagged = [row for row in estimates.instruments if row.flags]
    lines.extend(f"{row.id}: {', '.join(row.flags)}" for row in flagged)
    return "\n".join(lines) + "\n"
