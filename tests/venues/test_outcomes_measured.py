"""Every row of the table of outcomes through the real ccxt: the live classes, and the truth."""

from collections import Counter

import pytest

from perptui.model.order import LegState
from tests.venues.measured import ROWS, Measured, Row, measure, table

MODES = ("async", "sync")


@pytest.fixture(scope="module")
def measured() -> dict[tuple[str, str], Measured]:
    return {(row.name, row.mode): row for row in measure()}


def test_every_row_is_measured_through_both_clients(
    measured: dict[tuple[str, str], Measured],
) -> None:
    assert set(measured) == {(row.name, mode) for row in ROWS for mode in MODES}
    assert len(ROWS) == 34


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_row_of_the_table(measured: dict[tuple[str, str], Measured], row: Row, mode: str) -> None:
    found = measured[row.name, mode]
    assert found.outcome.state is found.expected, found
    assert found.raised == found.expected_raised
    assert found.at_venue is row.at_venue


def test_no_request_was_made_twice_and_the_history_agrees(
    measured: dict[tuple[str, str], Measured],
) -> None:
    for found in measured.values():
        handled = found.history.startswith("handled 200")
        if found.name == "connect refused":
            assert found.history == ""
        elif found.name == "-4116":
            assert found.history == "handled 400"
        else:
            assert "+" not in found.history, "one request"
            assert handled is found.at_venue


def test_nothing_that_is_at_the_venue_is_called_not_placed(
    measured: dict[tuple[str, str], Measured],
) -> None:
    states = Counter((found.at_venue, found.outcome.state) for found in measured.values())
    assert not states[True, LegState.REJECTED]
    assert not states[True, LegState.NOT_SENT]
    assert not states[False, LegState.ACKED]


def test_one_class_of_ccxts_means_both(measured: dict[tuple[str, str], Measured]) -> None:
    """Why exceptions are not what decides: one and the same for what was and was not placed."""
    placed: dict[tuple[str, str], set[bool]] = {}
    for found in measured.values():
        placed.setdefault((found.mode, found.raised), set()).add(found.at_venue)
    assert placed["async", "ExchangeError"] == {True, False}
    assert placed["sync", "InvalidOrder"] == {True, False}
    assert placed["sync", "OperationFailed"] == {True, False}


def test_the_table_is_printed_a_row_a_line(measured: dict[tuple[str, str], Measured]) -> None:
    lines = table(list(measured.values())).splitlines()
    assert len(lines) == 1 + 2 * len(ROWS)
    assert "InsufficientFunds" in "\n".join(lines)
