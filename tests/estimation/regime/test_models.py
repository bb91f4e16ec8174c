import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.regime.forward_backward import forward
from perptui.estimation.regime.hidden_markov import fit_hidden_markov
from perptui.estimation.regime.inputs import (
    DAY_H,
    MONDAY_MS,
    RegimeInputs,
    SideInputs,
    regime_inputs,
)
from perptui.estimation.regime.jump_model import fit_jump_model, losses, values
from perptui.estimation.regime.models import (
    HMM_STEPS,
    HMM_TOLERANCE,
    JUMP_SEED,
    JUMP_STARTS,
    LEAST_DAYS,
    PENALTY,
    WINDOW_DAYS,
    hidden_markov_path,
    jump_path,
    training_days,
)
from perptui.model.clock import DAY_MS, HOUR_MS


def inputs_of(days: int, start_ms: int = MONDAY_MS, side: SideInputs | None = None) -> RegimeInputs:
    rng = np.random.default_rng(13)
    level = np.exp(np.repeat(rng.normal(0.0, 0.5, days // 15 + 1), 15 * 24)[: 24 * days])
    return regime_inputs(rng.standard_t(5, 24 * days) * 0.004 * level, start_ms, side)


def test_the_last_hour_is_filtered_with_the_fit_of_the_last_monday() -> None:
    inputs = inputs_of(7 * 60 + 3)
    monday = 7 * 60 * DAY_H
    days = inputs.day[monday - WINDOW_DAYS * DAY_H + DAY_H - 1 : monday : DAY_H]
    assert len(days) == WINDOW_DAYS
    model = fit_hidden_markov(days, 3, iterations=HMM_STEPS, tolerance=HMM_TOLERANCE)
    said = hidden_markov_path(inputs).probabilities[monday - 1 :]
    # Two days after the refit, from what the first of its hours said on the chain of 24 h.
    before, wanted = said[0], []
    for row in (monday - 1 + DAY_H, monday - 1 + 2 * DAY_H):
        chance = np.exp(model.log_emission(inputs.day[row : row + 1])[0])
        joint = (before @ model.transition) * chance
        before = joint / joint.sum()
        wanted.append(before)
    np.testing.assert_allclose(said[[DAY_H, 2 * DAY_H]], wanted, atol=1e-9)
    assert (np.diff(model.means[:, 1]) > 0).all()


def test_the_jump_model_is_online() -> None:
    inputs = inputs_of(7 * 60 + 3)
    monday = 7 * 60 * DAY_H
    days = inputs.recent[monday - WINDOW_DAYS * DAY_H + DAY_H - 1 : monday : DAY_H]
    center, spread = days.mean(axis=0), days.std(axis=0)
    model = fit_jump_model((days - center) / spread, 3, PENALTY, starts=JUMP_STARTS, seed=JUMP_SEED)
    said = jump_path(inputs).probabilities
    rows = np.arange(monday - 1, inputs.rows, DAY_H)
    before = -np.log(said[rows[0] - DAY_H])
    loss = losses((inputs.recent[rows] - center) / spread, model.centers)
    loss[0] += np.minimum(before - before.min(), PENALTY)
    weight = np.exp(-values(loss, PENALTY))
    np.testing.assert_allclose(
        said[rows], weight / weight.sum(axis=1, keepdims=True), rtol=1e-9, atol=1e-12
    )


@pytest.mark.unmeasured
def test_what_was_computed_before_changes_no_byte() -> None:
    """Fits are kept by the bytes they saw: a path after many others is the one of a first call."""
    command = (
        "from tests.estimation.regime.test_models import digest, inputs_of\n"
        "print(digest(inputs_of(230)))"
    )
    root = Path(__file__).resolve().parents[2]
    fresh = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=root
    )
    for days in (200, 215, 229):
        digest(inputs_of(days))
    assert digest(inputs_of(230)) == fresh.stdout.strip()


def digest(inputs: RegimeInputs) -> str:
    """Return a digest of what both models say by hour."""
    found = hashlib.sha256()
    for path in (hidden_markov_path(inputs), jump_path(inputs)):
        found.update(path.probabilities.tobytes())
    return found.hexdigest()


def test_a_panel_that_slides_by_the_hour_asks_for_no_new_fit() -> None:
    whole = inputs_of(260, MONDAY_MS)
    book_rows = whole.rows
    seen = [known_fits(whole, slice(hour, book_rows - 20 + hour)) for hour in (1, 5, 19)]
    assert seen[0]
    assert len(set(seen)) == 1


def known_fits(inputs: RegimeInputs, rows: slice) -> frozenset[bytes]:
    """Return the bytes that the hidden Markov refits of a part of the rows are kept by."""
    part = replace(
        inputs,
        start_ms=inputs.start_ms + rows.start * HOUR_MS,
        ratios=inputs.ratios[rows],
        recent=inputs.recent[rows],
        day=inputs.day[rows],
        correlation=inputs.correlation[rows],
        funding_z=inputs.funding_z[rows],
        spread_z=inputs.spread_z[rows],
    )
    return frozenset(days.tobytes() for _, days in training_days(part, part.day, part.day))


def test_too_few_days_are_silence_and_said_so() -> None:
    for path in (hidden_markov_path, jump_path):
        said = path(inputs_of(LEAST_DAYS - 1))
        assert np.isnan(said.probabilities).all()
        assert f"{LEAST_DAYS} up to a Monday are needed" in said.silent
        assert path(inputs_of(LEAST_DAYS + 20)).silent == ""


@pytest.mark.unmeasured
def test_side_inputs_speak_where_they_are_known_long_enough() -> None:
    rng = np.random.default_rng(4)
    rows = 24 * 420
    moods = np.repeat(rng.normal(0.0, 1.0, rows // 240 + 1), 240)[:rows]
    steady = np.full(rows, 0.6)
    late = np.where(np.arange(rows) < rows - 24 * 60, np.nan, moods)
    without = jump_path(inputs_of(420)).probabilities[-1]
    known = jump_path(inputs_of(420, side=SideInputs(correlation=moods))).probabilities[-1]
    assert not np.allclose(known, without)
    for silent in (SideInputs(correlation=steady), SideInputs(correlation=late)):
        np.testing.assert_allclose(
            jump_path(inputs_of(420, side=silent)).probabilities[-1], without
        )


def test_without_three_states_a_model_is_silent() -> None:
    book = np.tile([0.01, -0.01], 12 * 260)
    inputs = regime_inputs(book, MONDAY_MS - DAY_MS)
    for path in (hidden_markov_path, jump_path):
        assert path(inputs).silent == "silent: three states were not found"


def test_filters_of_all_hours_are_one_chain_an_hour_of_the_day() -> None:
    inputs = inputs_of(200)
    # The first Monday is the first row: no day is known by then, so days begin a week later.
    said = hidden_markov_path(inputs).probabilities
    row = 27 * 7 * DAY_H - 1
    days = inputs.day[8 * DAY_H - 1 : row + 1 : DAY_H]
    model = fit_hidden_markov(days, 3, iterations=HMM_STEPS, tolerance=HMM_TOLERANCE)
    hours = np.arange((row + 5) % DAY_H, row + 6, DAY_H)
    logs = model.log_emission(inputs.day[hours])
    filtered, _ = forward(logs, model.transition, np.full(3, 1.0 / 3.0))
    np.testing.assert_allclose(said[row + 5], filtered[-1], atol=1e-9)
