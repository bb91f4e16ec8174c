"""What is kept of earlier work: the same for the same objects, made anew for all others."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import msgspec
import numpy as np

from perptui.model.limit import LimitCheck
from perptui.optimization.checks import checks_of, exact_book, float_book, weights_of
from perptui.optimization.compose import DECIDED, now_of
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.kept import Kept
from perptui.optimization.pose import program_inputs
from tests.optimization.market import BALANCED, LIMITS
from tests.optimization.three_coins import BTC, ETH, FOUND, SNAP


def test_results_are_kept_by_object_and_by_value() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    kept: Kept[int] = Kept(2)
    large = [1.0]
    assert kept.of((large,), (2,), make) == 0
    assert kept.of((large,), (2,), make) == 0
    assert kept.of(([1.0],), (2,), make) == 1
    assert kept.of((large,), (3,), make) == 2
    # Only the last two are kept.
    assert kept.of((large,), (2,), make) == 3


def posed(targets: dict[str, float] | None = None, **bent: float) -> ProgramInputs:
    limits = msgspec.structs.replace(LIMITS, **bent)
    return program_inputs(SNAP, FOUND, BALANCED, limits, targets or {})


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, np.asarray(other))
    return bool(one == other)


def test_a_program_posed_on_kept_ground_is_the_one_posed_afresh() -> None:
    first = posed({BTC: 0.3})
    fresh = program_inputs(
        msgspec.structs.replace(SNAP),
        msgspec.structs.replace(FOUND),
        BALANCED,
        LIMITS,
        {BTC: 0.3},
    )
    assert posed({ETH: 0.1}).limits is first.limits
    assert fresh.limits is not first.limits
    for field in fields(ProgramInputs):
        one, other = getattr(first, field.name), getattr(fresh, field.name)
        if field.name != "limits":
            assert same(one, other), field.name
    for field in fields(type(first.limits)):
        assert same(getattr(first.limits, field.name), getattr(fresh.limits, field.name))


def test_what_is_said_of_the_present_book_is_kept_until_a_limit_or_the_market_changes() -> None:
    first = posed({BTC: 0.3})
    assert now_of(posed({ETH: 0.1})) is now_of(first)
    looser = posed(gross_max=LIMITS.gross_max * 2)
    assert now_of(looser) is not now_of(first)
    assert {one.limit for one in now_of(looser).limits if one.name == "gross"} == {
        LIMITS.gross_max * 2
    }
    for field in fields(ProgramInputs):
        value = getattr(first, field.name)
        if field.name not in DECIDED and isinstance(value, np.ndarray):
            changed: dict[str, Any] = {field.name: value.copy()}
            assert now_of(replace(first, **changed)) is not now_of(first)


def test_checks_in_floats_are_the_exact_ones_to_rounding() -> None:
    inputs = posed()
    exact = exact_book(inputs, [contract.position for contract in inputs.contracts])
    floats = float_book(inputs, weights_of(exact))

    def figures(checks: tuple[LimitCheck, ...]) -> list[tuple[str, bool, float]]:
        return [(one.name, one.ok, one.limit) for one in checks]

    expected, checks = checks_of(inputs, exact), checks_of(inputs, floats)
    assert figures(checks) == figures(expected)
    values = [one.value for one in expected]
    np.testing.assert_allclose([one.value for one in checks], values, rtol=1e-12, atol=1e-14)
