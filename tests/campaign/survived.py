"""Every fault that the safety design names: which cell of a tier strikes it, or which test does."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from perptui.simulator.faults import FaultKind
from tests.campaign.coverage import Cell, Coverage
from tests.campaign.fates import FATES, READ_FAULTS
from tests.campaign.kills import POINTS
from tests.campaign.wire_world import ENDPOINTS

QUERIES = ("server_time", "account", "fills", "open_orders", "order")
"""What a session's desk asks its venue."""
REQUIRED: dict[str, tuple[Cell, ...]] = {
    "sessions": (
        *(("sessions", fault, "submit") for fault in FATES),
        *(("sessions", fault, call) for fault, call in product(READ_FAULTS, QUERIES)),
    ),
    "wire": tuple(("wire", kind.value, name) for kind, name in product(FaultKind, ENDPOINTS)),
    "kills": tuple(("kills", "SIGKILL", point) for point in POINTS),
    "monkeys": (
        ("monkeys", "hostile text", "picture"),
        ("monkeys", "hostile text", "terminal"),
    ),
}
"""What each tier must have struck at least once when it ran in full."""


def _wire(*kinds: str, at: str = "order") -> tuple[Cell, ...]:
    return tuple(("wire", kind, at) for kind in kinds)


def _everywhere(*kinds: str) -> tuple[Cell, ...]:
    return tuple(("wire", kind, name) for kind, name in product(kinds, ENDPOINTS))


def _told(*faults: str, at: str = "submit") -> tuple[Cell, ...]:
    return tuple(("sessions", fault, at) for fault in faults)


def _sky(*faults: tuple[str, str]) -> tuple[Cell, ...]:
    return tuple(("sessions", fault, at) for fault, at in faults)


SURVIVED: dict[str, tuple[Cell | str, ...]] = {
    "timeout after accept": _wire("hang", "timeout", "timeout_408"),
    "reset in mid-response": _everywhere("reset_mid_body"),
    "429, 418, 5xx storm": _everywhere("rate_limited", "banned", "bad_gateway", "unavailable"),
    "truncated, HTML, empty, {} 200": _everywhere("truncated", "html", "empty", "empty_object"),
    "NaN, null, negative, 1e999": _everywhere("nan", "null_field", "negative", "overflow"),
    "strings, duplicate keys": _everywhere("word", "key_twice"),
    "zero or crossed book": (
        *_wire("zero_book", "crossed_book", at="quotes"),
        "tests/venues/test_garbage.py::test_a_crossed_or_empty_book_is_refused",
        "tests/venues/test_garbage.py::test_a_crossed_top_of_book_is_missing_not_believed",
    ),
    "clock skew of 2 s and 60 s, backwards": _sky(
        ("clock +2000 ms", "server_time"),
        ("clock -2000 ms", "server_time"),
        ("clock +60000 ms", "server_time"),
    ),
    "stale feed": (*_everywhere("stale"), *_sky(("picture: stale", "gate"))),
    "bars out of order, duplicated, missing": (
        "tests/history/test_clean.py::test_the_order_of_rows_changes_nothing",
        "tests/history/test_clean.py::"
        "test_rows_of_one_stamp_are_kept_once_when_they_agree_and_never_when_they_differ",
        "tests/history/test_clean.py::"
        "test_missing_hours_count_what_is_not_there_since_the_series_began",
        "tests/venues/test_garbage.py::test_bars_must_rise_on_the_hour_inside_their_range",
    ),
    "duplicated fills, reused trade id": (
        *_sky(("fills twice", "fills")),
        *_wire("repeated_entry", "reused_id", at="trades"),
        "tests/venues/test_faults.py::test_a_trade_id_used_twice_loses_no_fill",
    ),
    "partial fill, then reject, cancel or expire": (
        *_sky(("partial fill, then CANCELED", "venue"), ("partial fill, then EXPIRED", "venue")),
        "tests/simulator/test_events.py::test_an_order_fills_in_part_and_ends",
    ),
    "venue restart with an empty order list": (
        *_sky(("restart, empty list", "open_orders"), ("restart, empty list", "order")),
        *_wire("no_orders", at="open orders"),
    ),
    "position changed outside, ADL, liquidation": _sky(
        ("another hand", "positions"), ("ADL", "positions"), ("liquidation", "positions")
    ),
    "funding sign flip, 8h to 4h to 1h": (
        "tests/simulator/test_events.py::test_funding_turns_from_the_next_settlement_on",
        "tests/simulator/test_events.py::test_funding_is_settled_more_often",
        "tests/estimation/funding/test_forecast.py::"
        "test_a_changed_interval_is_flagged_and_rates_stay_comparable",
    ),
    "leverage tier change": ("tests/simulator/test_events.py::test_tiers_change_under_a_position",),
    "delisting, rename, 1000X multiplier": (
        *_wire("contract_closed"),
        "tests/simulator/test_events.py::test_a_contract_is_settled_and_takes_no_orders",
        "tests/simulator/test_events.py::test_a_contract_goes_on_as_a_thousand_coins",
    ),
    "min notional, step, price band": (
        *_told("400 -4164", "400 -1111", "400 -4131"),
        "tests/simulator/test_events.py::test_a_rule_of_a_contract_changes",
    ),
    "insufficient margin on leg 3 of 5": (
        *_wire("no_margin"),
        "tests/simulator/test_events.py::test_margin_runs_out_on_the_third_of_five_legs",
    ),
    "two traders confirming at once": (
        "tests/desk/orders/test_trading.py::test_two_traders_confirming_at_once",
        "tests/desk/orders/test_approval.py::test_of_two_that_decide_at_once_exactly_one_wins",
    ),
    "SIGKILL at each of nine points": REQUIRED["kills"],
    "disk full": (
        "tests/desk/orders/test_trading.py::test_a_full_disk_stops_the_ticket_and_loses_nothing",
        "tests/desk/orders/test_journal_faults.py::test_a_full_and_a_read_only_file_system",
        "tests/desk/orders/test_journal_faults.py::test_a_file_that_may_not_grow_in_a_real_process",
    ),
    "journal locked, corrupted, read-only": (
        "tests/desk/orders/test_kill_in_flight.py::"
        "test_a_locked_journal_takes_no_kill_and_sends_nothing_either",
        "tests/desk/orders/test_journal_faults.py::"
        "test_a_damaged_page_stops_the_desk_and_the_next_start_names_the_cure",
        "tests/desk/orders/test_journal_faults.py::test_a_full_and_a_read_only_file_system",
    ),
    "SIGHUP, SIGTERM": (
        "tests/tui/test_process.py::test_a_signal_leaves_the_terminal_clean",
        "tests/tui/test_process_ticket.py::test_a_signal_on_the_ticket_leaves_the_terminal_clean",
        "tests/cli/test_desk.py::test_a_desk_runs_once_and_ends_in_order_on_sigterm",
    ),
    "resize to 1x1": (
        ("monkeys", "hostile text", "terminal"),
        "tests/tui/test_app.py::test_a_resize_lays_the_desk_out_anew",
    ),
    "malformed config, wrong-mode secrets": (
        "tests/settings/test_load.py::test_a_file_that_is_no_toml_or_not_there",
        "tests/settings/test_credentials.py::test_a_file_open_to_others_is_refused",
        "tests/settings/test_credentials.py::test_a_malformed_file_is_refused_without_quoting_it",
    ),
    "solver infeasible, unbounded, inaccurate, late": (
        "tests/optimization/program/test_solve.py::"
        "test_limits_that_cannot_all_hold_are_infeasible_not_an_error",
        "tests/optimization/program/test_solve.py::"
        "test_an_answer_short_of_its_tolerance_is_no_answer",
        "tests/optimization/program/test_solve.py::test_an_infinite_bound_never_reaches_the_solver",
        "tests/desk/test_worker.py::test_a_job_that_takes_too_long_is_ended_with_its_process",
    ),
    "crash of the quant process": (
        "tests/desk/test_quant_killed.py::"
        "test_a_ticket_goes_its_way_while_the_quant_process_dies_at_every_step",
        "tests/quant/test_worker.py::test_a_crash_is_an_answer_too",
    ),
    "covariance not PSD, all missing": (
        "tests/optimization/test_pose.py::"
        "test_a_covariance_that_is_not_psd_is_refused_and_a_singular_one_is_not",
        "tests/estimation/covariance/test_correlation.py::"
        "test_pairwise_holes_never_leave_a_matrix_that_is_not_positive",
        "tests/quant/test_gather.py::test_constant_and_tiny_prices_and_missing_funding_are_refused",
    ),
    "GARCH not converging": (
        "tests/estimation/variance/test_garch.py::test_omega_at_its_bound_is_rejected",
        "tests/estimation/variance/test_garch.py::test_a_bad_series_gives_words_and_no_number",
        "tests/estimation/variance/test_garch_path.py::"
        "test_a_rejected_fit_and_a_horizon_out_of_range_are_refused",
    ),
    "hostile strings in any field": (
        *_everywhere("hostile_text", "long_text", "nested"),
        *REQUIRED["monkeys"],
    ),
    "kill while a send is in flight": (
        "tests/desk/orders/test_kill_in_flight.py::"
        "test_the_leg_in_flight_is_journalled_and_nothing_goes_after_it",
        "tests/desk/orders/test_kill_in_flight.py::"
        "test_a_kill_does_not_wait_for_the_call_in_flight",
    ),
}


def never_struck(coverage: Coverage, tiers: Iterable[str]) -> list[str]:
    """Return what `tiers`, run in full, had to strike and did not, a line each."""
    struck = coverage.cells()
    ran = set(tiers)
    cells = [cell for tier in REQUIRED if tier in ran for cell in REQUIRED[tier]]
    cells += [cell for cell in named_cells() if cell[0] in ran and cell not in cells]
    return [
        f"never struck: {fault} at {where} ({tier})"
        for tier, fault, where in cells
        if not struck[tier, fault, where]
    ]


def named_cells() -> list[Cell]:
    """Return the cells that the table of faults names, each once."""
    found = (one for named in SURVIVED.values() for one in named if not isinstance(one, str))
    return list(dict.fromkeys(found))
