"""How long an answer stands on the news line."""

from __future__ import annotations

import pytest

from tests.tui.sitting import session


@pytest.mark.asyncio
async def test_what_is_said_while_a_solve_is_under_way_goes_with_its_answer() -> None:
    async with session() as made:
        made.app.desk_screen.say("solving")
        await made.until(lambda: " solving" in made.text())
        await made.press("r")
        await made.until(lambda: bool(made.desk.asked))
        # No clock moved: it is the answer that ends it.
        await made.until(lambda: " solving" not in made.text())
        assert "regime normal → stress" in made.text()
