"""The page of what clashes: the members and their digits, the ways out, what stays broken."""

from __future__ import annotations

import msgspec

from tests.tui import book, what_ifs
from tests.tui.test_snapshots import drawn

changed = msgspec.structs.replace


def page(size: tuple[int, int] = (120, 40), **changes: object) -> str:
    """Return the clash page's words, one blank between them."""
    view = what_ifs.infeasible(**changes)
    return " ".join(" ".join(drawn(book.desk(rebalance=view), size, "5", "i")).split())


def test_a_reduction_is_headed_by_what_it_leaves_broken() -> None:
    headline = "reduction: 2 limits stay broken"
    view = changed(
        what_ifs.what_if(),
        clash=(),
        offers=(),
        status="ok",
        headline=headline,
        breached=("gross", "coin_net:BTC"),
    )
    lines = drawn(book.desk(rebalance=view), (120, 40), "5")
    assert any(f" · {headline} · " in line for line in lines)
    assert not any(" · ok · " in line for line in lines)
    shown = " ".join(" ".join(drawn(book.desk(rebalance=view), (120, 40), "5", "i")).split())
    assert f"{headline}: gross, coin net BTC. A step: propose again after it" in shown
