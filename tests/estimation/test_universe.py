import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.estimation.universe import (
    REFUSALS,
    DailyLiquidity,
    UniverseRules,
    Weekly,
    decide,
    mondays,
    weekly,
)
from perptui.model.clock import DAY_MS, iso, parse_iso

START = parse_iso("2024-01-01T00:00Z")  # a Monday
RULES = UniverseRules(size=2, buffer=1.5)


def daily(
    days: int, volumes: list[float], *, first_day: int = 0, depth: float = np.nan
) -> DailyLiquidity:
    contracts = len(volumes)
    return DailyLiquidity(
        START + DAY_MS * np.arange(1, days + 1, dtype=np.int64),
        np.tile(np.array(volumes), (days, 1)),
        np.full((days, contracts), 24.0),
        np.full((days, contracts), depth),
        np.full(contracts, START + first_day * DAY_MS),
        np.ones((days, contracts), dtype=bool),
    )


def scored(score: np.ndarray) -> Weekly:
    blank = np.zeros(score.shape)
    at = START + 7 * DAY_MS * np.arange(len(score), dtype=np.int64)
    return Weekly(at, score, blank, blank, blank, (score <= 0).astype(np.int64), score)


def members(known: Weekly, rules: UniverseRules = RULES) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in decide(known, rules).member]


def test_mondays_are_absolute() -> None:
    found = mondays(START - 1, START + 15 * DAY_MS)
    assert [iso(stamp)[:10] for stamp in found.tolist()] == [
        "2024-01-01",
        "2024-01-08",
        "2024-01-15",
    ]
    # A Monday that a series begins on knows nothing of it yet.
    assert mondays(START, START + 15 * DAY_MS).tolist() == found[1:].tolist()
    assert not len(mondays(START, START + 1))


def test_a_contract_enters_at_the_size_and_leaves_behind_the_buffer() -> None:
    # Size 2, a member stays to rank 3. Column 2 rises over column 1, then both fall behind 3.
    score = np.array(
        [
            [9.0, 8.0, 7.0, 6.0],
            [9.0, 7.0, 8.0, 6.0],
            [9.0, 7.0, 8.0, 7.5],
            [9.0, 7.9, 8.0, 7.5],
        ]
    )
    # Rank 3 keeps column 1 in the second week; in the third it is fourth and out, and third
    # again in the fourth it does not come back.
    assert members(scored(score)) == [[0, 1], [0, 1, 2], [0, 2], [0, 2]]
    since = decide(scored(score), RULES).since
    assert since[3].tolist() == [0, -1, 1, -1]


def test_a_member_that_is_refused_leaves_whatever_its_rank_was() -> None:
    score = np.array([[9.0, 8.0], [0.0, 8.0], [9.0, 8.0]])
    found = decide(scored(score), RULES)
    assert [np.flatnonzero(row).tolist() for row in found.member] == [[0, 1], [1], [0, 1]]
    assert found.rank.tolist() == [[1, 2], [0, 1], [1, 2]]
    assert found.since.tolist() == [[0, 0], [-1, 0], [2, 0]]


def test_ties_rank_by_column() -> None:
    assert decide(scored(np.full((1, 3), 5.0)), RULES).rank.tolist() == [[1, 2, 3]]


def test_a_wavering_border_changes_nothing_with_the_buffer_and_much_without() -> None:
    rng = np.random.default_rng(2)
    score = np.array([10.0, 9.0, 5.0, 5.0, 1.0]) * np.exp(rng.normal(0, 0.05, (200, 5)))
    still = decide(scored(score), UniverseRules(size=3, buffer=1.5)).member
    nervous = decide(scored(score), UniverseRules(size=3, buffer=1.0)).member
    changes = [int(np.abs(np.diff(rows.astype(int), axis=0)).sum()) for rows in (still, nervous)]
    assert changes[0] <= 1
    assert changes[1] > 50


def test_the_median_of_thirty_days_ranks_and_one_wild_day_does_not() -> None:
    calm = daily(60, [5e6, 4e6])
    calm.volume_usd[50, 1] = 1e12
    known = weekly(calm, mondays(START, START + 60 * DAY_MS), RULES)
    assert known.volume_usd[-1].tolist() == [5e6, 4e6]
    assert iso(int(known.at_ms[-1]))[:10] == "2024-02-26"
    # By hand: days 26 to 55 ended by the 56th day.
    calm.volume_usd[26:56, 0] = np.arange(30.0)
    assert weekly(calm, known.at_ms, RULES).volume_usd[-1, 0] == 14.5


def test_each_refusal_has_its_reason() -> None:
    market = daily(63, [5e6] * 6)
    market.first_ms[1] = START + 40 * DAY_MS
    market.hours[-1, 2] = 0.0
    market.hours[-20:-13, 3] = 0.0
    market.volume_usd[-16:, 4] = 0.0
    market.funded[-1, 5] = False
    known = weekly(market, mondays(START, START + 63 * DAY_MS), RULES)
    assert [REFUSALS[code] for code in known.refused[-1]] == list(REFUSALS)
    assert known.age_days[-1].tolist() == [63, 23, 63, 63, 63, 63]
    assert known.missing[-1, 3] == pytest.approx(7 / 30)
    assert decide(known, RULES).member[-1].tolist() == [True] + [False] * 5


def test_a_thin_book_scores_less_in_proportion_and_an_unknown_one_as_its_volume() -> None:
    for depth, share in ((np.nan, 1.0), (4e6, 1.0), (2.5e5, 0.25)):
        market = daily(40, [8e6], depth=depth)
        known = weekly(market, mondays(START, START + 40 * DAY_MS), RULES)
        assert known.score[-1, 0] == pytest.approx(8e6 * share)
    half = daily(40, [8e6])
    half.depth_usd[-8:, 0] = 5e5
    known = weekly(half, mondays(START, START + 40 * DAY_MS), RULES)
    assert known.depth_usd[-1, 0] == pytest.approx(5e5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 17))
def test_what_is_decided_does_not_change_when_more_is_known(seed: int, cut_weeks: int) -> None:
    rng = np.random.default_rng(seed)
    days, contracts = 7 * 18, 6
    market = DailyLiquidity(
        START + DAY_MS * np.arange(1, days + 1, dtype=np.int64),
        rng.lognormal(15, 1, (days, contracts)),
        np.where(rng.random((days, contracts)) < 0.9, 24.0, 0.0),
        np.where(rng.random((days, contracts)) < 0.5, 1e6, np.nan),
        START + DAY_MS * rng.integers(0, 60, contracts),
        rng.random((days, contracts)) < 0.95,
    )
    short = DailyLiquidity(
        market.end_ms[: 7 * cut_weeks],
        market.volume_usd[: 7 * cut_weeks],
        market.hours[: 7 * cut_weeks],
        market.depth_usd[: 7 * cut_weeks],
        market.first_ms,
        market.funded[: 7 * cut_weeks],
    )
    whole = decide(weekly(market, mondays(START, START + days * DAY_MS), RULES), RULES)
    at = mondays(START, START + 7 * cut_weeks * DAY_MS)
    early = decide(weekly(short, at, RULES), RULES)
    for name in ("rank", "member", "since"):
        np.testing.assert_array_equal(getattr(whole, name)[: len(at)], getattr(early, name))
