"""Which contracts are liquid enough to hold, decided once a week and kept by hysteresis.

Contracts are ranked by the median dollar volume of 30 days. One enters when it is among the first
`size` and leaves when it falls behind `size` times `buffer`, or can be traded no more: a rank that
wavers around the border changes nothing. Decisions fall on Mondays at 00:00 UTC and each follows
from the one before, from the first day of history on; so the same history gives the same members
whenever it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perptui.model.clock import DAY_MS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = 4 * DAY_MS
"""1970-01-05T00:00Z, the first Monday of the epoch."""


@dataclass(frozen=True, slots=True)
class UniverseRules:
    """How members are chosen.

    Attributes
    ----------
    size : int
        A contract ranked so high enters.
    buffer : float
        A member stays while its rank is within `size` times this.
    volume_days : int
        Days of the median volume; a day without bars counts as one without volume.
    least_age_days : int
        A younger contract is not taken.
    most_missing : float
        Share of hours without bars in those days above which a contract is not taken.
    least_depth_usd : float
        Mean depth within 1 % on one side; where less is known to be there, the score is less in
        proportion.
    """

    size: int = 8
    buffer: float = 1.5
    volume_days: int = 30
    least_age_days: int = 30
    most_missing: float = 0.2
    least_depth_usd: float = 1e6

    @property
    def last_rank(self) -> int:
        """The last rank that a member keeps its place with."""
        return int(self.size * self.buffer)


class DailyLiquidity(NamedTuple):
    """D days of N contracts, each day from one midnight UTC to the next.

    `end_ms` (D,) are the days' ends; `volume_usd` and `hours` (D, N) the dollars traded and the
    hours that bars cover, 0 without any; `depth_usd` (D, N) NaN where unknown; `first_ms` (N,) the
    opening of each contract's first bar; `funded` (D, N) whether funding had settled within a day
    and a half of the day's end.
    """

    end_ms: IntArray
    volume_usd: FloatArray
    hours: FloatArray
    depth_usd: FloatArray
    first_ms: IntArray
    funded: BoolArray


class Weekly(NamedTuple):
    """What is known of N contracts on W Mondays, (W, N) each but `at_ms` (W,).

    `refused` is the number of the first of `REFUSALS` that holds, 0 where none does; `score` is
    what ranks.
    """

    at_ms: IntArray
    volume_usd: FloatArray
    depth_usd: FloatArray
    age_days: FloatArray
    missing: FloatArray
    refused: IntArray
    score: FloatArray


class Membership(NamedTuple):
    """Decisions of W Mondays, (W, N) each: `rank` from 1, 0 where refused, and `member`.

    `since` is the Monday, as a row number, from which a member is one without a break; -1 for
    others.
    """

    rank: IntArray
    member: BoolArray
    since: IntArray


REFUSALS = (
    "",
    "too young",
    "no bars in the last day",
    "too many hours missing",
    "no volume",
    "no funding",
)


def mondays(first_ms: int, at_ms: int) -> IntArray:
    """Return the Mondays 00:00 UTC after `first_ms` and up to `at_ms`, rising."""
    first = (first_ms - FIRST_MONDAY_MS) // WEEK_MS + 1
    last = (at_ms - FIRST_MONDAY_MS) // WEEK_MS
    found: IntArray = FIRST_MONDAY_MS + WEEK_MS * np.arange(first, last + 1, dtype=np.int64)
    return found


def weekly(daily: DailyLiquidity, at_ms: IntArray, rules: UniverseRules) -> Weekly:
    """Return what each Monday `at_ms` (W,) knows: days that ended by then, nothing younger.

    `daily` must have a row for each day up to the last Monday, without holes.
    """
    rows = np.searchsorted(daily.end_ms, at_ms, side="right")
    width = rules.volume_days
    before = np.zeros((width, daily.volume_usd.shape[1]))
    window = rows[:, None] + np.arange(width)
    volume = np.median(np.concatenate([before, daily.volume_usd])[window], axis=1)
    total = np.concatenate([[before[0]], np.cumsum(daily.hours, axis=0)])
    hours = total[rows] - total[np.maximum(rows - width, 0)]
    missing = 1.0 - hours / (24.0 * width)
    last_day = np.concatenate([before[:1], daily.hours])[rows]
    depth = _recent_depth(daily.depth_usd, rows, width)
    age = (at_ms[:, None] - daily.first_ms) / DAY_MS
    funded = np.concatenate([before[:1] > 0, daily.funded])[rows]
    reasons = [
        age < rules.least_age_days,
        last_day <= 0,
        missing > rules.most_missing,
        volume <= 0,
        ~funded,
    ]
    refused = np.select(reasons, list(range(1, len(REFUSALS))), 0).astype(np.int64)
    thin = np.where(np.isfinite(depth), np.minimum(depth / rules.least_depth_usd, 1.0), 1.0)
    return Weekly(at_ms, volume, depth, age, missing, refused, volume * thin)


def _recent_depth(depth: FloatArray, rows: IntArray, width: int) -> FloatArray:
    """Return the mean depth of the days known in each window, (W, N); NaN where none is."""
    seen = np.isfinite(depth)
    start = np.maximum(rows - width, 0)
    counts = np.concatenate([np.zeros((1, depth.shape[1])), np.cumsum(seen, axis=0)])
    totals = np.concatenate(
        [np.zeros((1, depth.shape[1])), np.cumsum(np.where(seen, depth, 0.0), axis=0)]
    )
    count = counts[rows] - counts[start]
    mean = np.full(count.shape, np.nan)
    np.divide(totals[rows] - totals[start], count, out=mean, where=count > 0)
    return mean


def decide(known: Weekly, rules: UniverseRules) -> Membership:
    """Return the members after each Monday, each decision following from the one before.

    Contracts of one score rank in the order of their columns.
    """
    weeks, contracts = known.score.shape
    eligible = known.refused == 0
    order = np.argsort(np.where(eligible, -known.score, np.inf), axis=1, kind="stable")
    rank = np.empty((weeks, contracts), dtype=np.int64)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(1, contracts + 1), rank.shape), 1)
    rank[~eligible] = 0
    enters = eligible & (rank <= rules.size)
    stays = eligible & (rank <= rules.last_rank)
    member = np.zeros((weeks, contracts), dtype=bool)
    since = np.full((weeks, contracts), -1, dtype=np.int64)
    before, began = np.zeros(contracts, dtype=bool), np.full(contracts, -1, dtype=np.int64)
    for week in range(weeks):
        now = enters[week] | (before & stays[week])
        began = np.where(now, np.where(before, began, week), -1)
        member[week], since[week], before = now, began, now
    return Membership(rank, member, since)
