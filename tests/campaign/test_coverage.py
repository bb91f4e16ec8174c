from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

from tests.campaign.coverage import Coverage, TierResult


def _counted_elsewhere() -> Coverage:
    counted = Coverage("wire")
    counted.note("hang", "order", "UNKNOWN")
    counted.note("hang", "order", "REJECTED")
    counted.note("banned", "cancel", "NOT_SENT", 4)
    return counted


def test_rows_add_up_what_several_processes_counted() -> None:
    ours = Coverage("wire")
    ours.note("hang", "order", "UNKNOWN", 2)
    with ProcessPoolExecutor(1) as pool:
        ours.add(pool.submit(_counted_elsewhere).result())
    assert ours.rows() == [
        ("wire", "banned", "cancel", 4, "NOT_SENT 4"),
        ("wire", "hang", "order", 4, "REJECTED 1, UNKNOWN 3"),
    ]


def test_a_tier_is_right_when_all_ran_and_nothing_was_violated() -> None:
    assert TierResult("a", 3, 3, [], 1.5).ok
    assert not TierResult("a", 3, 2, [], 1.5).ok
    assert not TierResult("a", 3, 3, ["I1"], 1.5).ok
