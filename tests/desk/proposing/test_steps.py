"""Steps of a what-if: whose each is, and what stepping back takes away."""

from __future__ import annotations

import msgspec
import pytest

from perptui.desk.proposing.steps import Steps
from perptui.model.errors import InputError
from perptui.model.whatif import WhatIf
from perptui.protocol.views_rebalance import Author

Standing = tuple[WhatIf, Author | None, Author | None]
MIRA, NOOR = Author(1000, 41, "mira"), Author(1001, 42, "noor")
TWO, THREE, FOUR = (WhatIf(limits={"gross_max": gross}) for gross in (2.0, 3.0, 4.0))


def standing(steps: Steps) -> Standing:
    """Return what is asked for, who types it, and whose step would be taken back."""
    return steps.now, steps.typed and steps.typed.by, steps.undoes


def test_each_step_is_its_makers_and_the_first_is_nobodys() -> None:
    steps = Steps()
    assert standing(steps) == (WhatIf(), None, None)
    steps.push(TWO, MIRA)
    steps.push(THREE, NOOR)
    assert standing(steps) == (THREE, None, NOOR)
    steps.undo()
    assert standing(steps) == (TWO, None, MIRA)
    steps.redo()
    assert standing(steps) == (THREE, None, NOOR)
    steps.undo()
    steps.undo()
    assert standing(steps) == (WhatIf(), None, None)
    with pytest.raises(InputError):
        steps.undo()


def test_a_preview_is_its_typists_until_it_is_settled() -> None:
    steps = Steps()
    steps.push(TWO, MIRA)
    steps.preview(THREE, NOOR)
    assert standing(steps) == (THREE, NOOR, NOOR)
    steps.preview(FOUR, MIRA)
    assert standing(steps) == (FOUR, MIRA, MIRA)
    steps.push(THREE, NOOR)
    assert standing(steps) == (THREE, None, NOOR)


def test_a_mark_brings_back_whose_they_were() -> None:
    steps = Steps()
    steps.push(TWO, MIRA)
    mark = steps.mark()
    steps.preview(THREE, NOOR)
    steps.push(FOUR)
    assert standing(steps) == (FOUR, None, None)
    steps.restore(mark)
    assert standing(steps) == (TWO, None, MIRA)


def test_a_preview_alone_makes_what_no_step_before_it_made() -> None:
    steps = Steps()
    steps.push(msgspec.structs.replace(TWO, shocks={"BTC": -0.1}))
    assert steps.mark().tried == ()
    steps.preview(msgspec.structs.replace(THREE, shocks={"BTC": -0.1}, targets={"bybit:X": 0.2}))
    assert steps.mark().tried == ("target:bybit:X=0.2", "gross_max=3")
    steps.preview(TWO)
    assert steps.mark().tried == ()
    steps.push(steps.now)
    assert steps.mark().tried == ()


def test_a_preview_that_was_undone_is_redone_as_a_step() -> None:
    steps = Steps()
    steps.push(TWO, MIRA)
    steps.preview(THREE, NOOR)
    steps.undo()
    assert standing(steps) == (TWO, None, MIRA)
    assert steps.can_redo
    steps.redo()
    assert standing(steps) == (THREE, None, NOOR)
    steps.undo()
    steps.preview(TWO, MIRA)
    steps.undo()
    steps.redo()
    assert standing(steps) == (THREE, None, NOOR)
    with pytest.raises(InputError):
        steps.redo()
