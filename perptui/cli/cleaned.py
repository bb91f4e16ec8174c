"""What cleaning did to the series of a history, as the headless commands print it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from perptui.model.cleaning import CleanedSeries, LeftOutRows, MissingTime, SuspectRows
from perptui.model.clock import iso
from perptui.model.errors import HistoryError
from perptui.model.instrument import VENUE_ALIASES

if TYPE_CHECKING:
    from perptui.history.dataset import History
    from perptui.history.report import CleaningReport


def cleaned_series(
    history: History, named: Sequence[tuple[str, str]], at_ms: int
) -> tuple[CleanedSeries, ...]:
    """Return what cleaning did to each series of the contracts (venue, venue symbol) by `at_ms`."""
    found: list[CleanedSeries] = []
    for venue, symbol in named:
        try:
            found.extend(map(_record, history.reports(venue, symbol, at_ms)))
        except HistoryError as error:
            name = f"{VENUE_ALIASES.get(venue, venue)}/{symbol}"
            found.append(CleanedSeries(name, error=str(error)))
    return tuple(found)


def _record(report: CleaningReport) -> CleanedSeries:
    return CleanedSeries(
        series=report.series,
        rows=report.rows,
        kept=report.kept,
        first=None if report.first_ms is None else iso(report.first_ms),
        last=None if report.last_ms is None else iso(report.last_ms),
        left_out=tuple(
            LeftOutRows(one.reason, one.rows, iso(one.first_ms), iso(one.last_ms))
            for one in report.left_out
        ),
        out_of_order=report.out_of_order,
        gaps=tuple(MissingTime(iso(gap.from_ms), iso(gap.to_ms), gap.hours) for gap in report.gaps),
        bad_prints=tuple(iso(stamp) for stamp in report.bad_prints),
        suspect=tuple(
            SuspectRows(one.what, one.rows, iso(one.first_ms), iso(one.last_ms), one.text)
            for one in report.suspicions
        ),
    )
