from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from math import gcd

import pytest

from tests.campaign.core import LIVES
from tests.campaign.fates import FATES
from tests.campaign.hands import ACTS, WAYS
from tests.campaign.happenings import CHANCES
from tests.campaign.mutant_table import MUTANTS, hunt_named
from tests.campaign.mutants import broken
from tests.campaign.picture import CLOUDS
from tests.campaign.report import faults, mutants, survived, tiers
from tests.campaign.seeds import REGRESSIONS, THEMED
from tests.campaign.survived import SURVIVED
from tests.campaign.targets import violated
from tests.campaign.themes import PLAIN, THEMES, theme_of
from tests.campaign.tiers import TWICE_EVERY, Stage, run_seeds
from tests.campaign.variants import VARIANTS

pytestmark = [pytest.mark.unmeasured, pytest.mark.slow]

FAST = (
    "SENDING is journalled after the order left",
    "an UNKNOWN order is sent again under its id",
    "the next leg goes while one still works",
    "the token that was typed is not checked",
    "fills are de-duplicated by trade id across contracts",
    "the average price is wrong",
)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as entered:
        yield entered


def test_sessions_violate_nothing_and_every_hundredth_repeats_to_the_byte() -> None:
    tier, coverage = run_seeds(range(100, 250))
    assert tier.violations == []
    assert tier.done == 150
    struck = {fault for _, fault, _, _ in coverage.counts}
    assert {"hang", "504 -1007", "fills twice", "none"} <= struck


@pytest.mark.parametrize(("seed", "why"), REGRESSIONS)
def test_what_was_found_once_stays_mended(stage: Stage, seed: int, why: str) -> None:
    assert stage.judge(seed, theme=PLAIN).violations == [], why


@pytest.mark.parametrize(("seed", "why"), THEMED)
def test_what_a_theme_found_once_stays_mended(stage: Stage, seed: int, why: str) -> None:
    assert stage.judge(seed).violations == [], why


def test_every_theme_meets_all_settings_and_is_played_twice_too() -> None:
    assert len({one.name for one in THEMES}) == len(THEMES)
    assert gcd(len(THEMES), len(VARIANTS) * TWICE_EVERY) == 1
    for number, theme in enumerate(THEMES):
        assert theme_of(number) is theme
        assert set(theme.chances) <= set(CHANCES)
        assert set(theme.acts) <= set(ACTS)
        assert set(theme.ways) <= set(WAYS)
        assert set(theme.lives) <= set(LIVES)
        assert {*theme.faults, *theme.requests} <= set(FATES)
        assert set(theme.clouds) <= set(CLOUDS)


@pytest.mark.parametrize("name", FAST)
def test_a_broken_order_path_is_caught(name: str) -> None:
    assert pickle.dumps((hunt_named, name))  # as it goes to another process
    caught = hunt_named(name, 40)
    assert caught.seed is not None
    assert re.match(r"I\d+: ", caught.by)


def test_rounded_targets_keep_every_hard_limit_without_tolerance() -> None:
    assert [violated(seed) for seed in range(3)] == [[], [], []]


def test_a_mutant_leaves_nothing_behind(stage: Stage) -> None:
    history = stage.judge(3, keep=True).history
    for mutant in MUTANTS:
        with broken(mutant):
            pass
    assert history
    assert stage.judge(3, keep=True).history == history


def test_there_are_thirty_broken_order_paths_or_more_each_of_its_own_name() -> None:
    names = [one.name for one in MUTANTS]
    assert len(set(names)) == len(names) >= 30


def test_tables_say_what_was_asked_done_violated_and_what_faults_came_to() -> None:
    tier, coverage = run_seeds([5])
    assert re.search(r"sessions +1 +1 +0 +\d+\.\d", tiers([tier]))
    assert re.search(r"sessions +none +submit +\d+ +ACKED \d+", faults(coverage))
    assert re.search(r"timeout after accept +0 by wire", survived(coverage, SURVIVED))
    assert "SURVIVES" in mutants([("a", None, ""), ("b", 7, "I1: x")])
