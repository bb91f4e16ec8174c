"""Keys that come while a solve is under way: nothing entered is left out, no wish stays behind."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from perptui.protocol.frames import Reply, encode
from perptui.protocol.intents import (
    Bend,
    ExportOrders,
    Intent,
    OpenTicket,
    Quit,
    Redo,
    Unbend,
    Undo,
    Withdraw,
)
from perptui.protocol.views_rebalance import Offer
from perptui.tui.whatif import unsettled
from tests.tui import book, what_ifs
from tests.tui.sitting import Session, session
from tests.tui.what_ifs import BTC, ETH

pytestmark = [pytest.mark.asyncio, pytest.mark.unmeasured]
NAMES = {
    "]": "right_square_bracket", "[": "left_square_bracket", "\r": "enter", "\x1b": "escape",
    "^": "ctrl+r",
}  # fmt: skip


def ok(_: Intent) -> Reply:
    return Reply(number=0, ok=True)


async def burst(made: Session, keys: str, judge: Callable[[Intent], Reply] = ok) -> None:
    """Press keys while the first solve that they ask for is under way; then answer them all."""
    first: list[Reply] = []

    def answer(intent: Intent) -> Reply | None:
        said = judge(intent)
        if first:
            return said
        first.append(Reply(number=len(made.desk.asked), ok=said.ok, text=said.text))
        return None

    made.desk.answer = answer
    await made.pilot.press(*(NAMES.get(key, key) for key in keys))
    await made.until(lambda: bool(first))
    made.desk.answer = judge
    made.desk.send(encode(first[0]))


def kept(made: Session) -> list[str]:
    """Return what was asked for as more than a preview."""
    bends = [intent for intent in made.desk.asked if isinstance(intent, Bend)]
    return [intent.text for intent in bends if not intent.preview]


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        (":gross_max=1.5\r]", ["gross_max=1.5", f"target:{BTC}=0.630"]),
        (":gross_max=1.5\r:cvar_max=.05\r", ["gross_max=1.5", "cvar_max=.05"]),
        ("e.1\rje.05\r", [f"target:{BTC}=.1", f"target:{ETH}=.05"]),
        ("]je.1\r", [f"target:{BTC}=0.630", f"target:{ETH}=.1"]),
        ("]j]", [f"target:{BTC}=0.630", f"target:{ETH}=0.410"]),
        ("]]j]", [f"target:{BTC}=0.640", f"target:{ETH}=0.410"]),
        ("]:gross_max=2\r", [f"target:{BTC}=0.630", "gross_max=2"]),
        ("]je.1\x1b]", [f"target:{BTC}=0.630", f"target:{ETH}=0.410"]),
        ("e.1\r]", [f"target:{BTC}=.1", f"target:{BTC}=0.110"]),
    ],
)
async def test_what_is_entered_or_nudged_is_sent_whatever_follows(
    keys: str, texts: list[str]
) -> None:
    async with session() as made:
        await made.press("5")
        await burst(made, keys)
        await made.until(lambda: len(kept(made)) >= len(texts))
        assert kept(made) == texts
        panel = made.app.desk_screen.rebalance_panel()
        await made.until(lambda: not panel.wanted)


async def test_a_wish_goes_when_it_is_refused_and_the_others_stay() -> None:
    def judge(intent: Intent) -> Reply:
        refused = isinstance(intent, Bend) and BTC in intent.text
        return Reply(number=0, ok=not refused, text="no book" if refused else "")

    async with session() as made:
        await made.press("5")
        panel = made.app.desk_screen.rebalance_panel()
        await burst(made, "]j]", judge)
        assert panel.wanted == {BTC: pytest.approx(0.63), ETH: pytest.approx(0.41)}
        await made.until(lambda: BTC not in panel.wanted)
        await made.until(lambda: not panel.wanted)
        await made.until(lambda: kept(made)[-1:] == [f"target:{ETH}=0.410"])


async def test_of_two_lines_the_one_that_is_refused_is_named_under_the_other() -> None:
    def judge(intent: Intent) -> Reply:
        refused = isinstance(intent, Bend) and "gross_max=1" in intent.text
        return Reply(number=0, ok=not refused, text="no book" if refused else "")

    async with session() as made:
        await made.press("5")
        await burst(made, ":gross_max=1\r:net_max=.2", judge)
        await made.until(lambda: "gross_max=1: no book" in made.text())
        assert ":net_max=.2" in made.text()
        await made.press("enter")
        await made.until(lambda: kept(made)[-1] == "net_max=.2")


async def test_a_line_that_was_refused_takes_back_its_preview_when_it_is_left() -> None:
    def judge(intent: Intent) -> Reply:
        refused = isinstance(intent, Bend) and intent.text.endswith("1.5")
        return Reply(number=0, ok=not refused, text="no book" if refused else "")

    async with session() as made:
        await made.press("5")
        await burst(made, ":gross_max=1.5\r", judge)
        await made.until(lambda: "no book" in made.text())
        await made.press("escape")
        await made.until(lambda: made.desk.asked[-1] == Withdraw())


async def test_undo_takes_back_the_nudges_and_leaves_what_was_entered_before() -> None:
    async with session() as made:
        await made.press("5")
        await burst(made, ":gross_max=1.5\r]]u")
        await made.until(lambda: Undo() in made.desk.asked)
        assert kept(made) == ["gross_max=1.5"]
        assert made.desk.asked[-2] == Bend(text=f"target:{BTC}=0.640", preview=True)


async def test_where_no_book_meets_a_target_the_asked_one_is_shown_edited_and_nudged() -> None:
    view = what_ifs.infeasible()
    rows = tuple(
        msgspec.structs.replace(row, weight_target=0.9, edited=True) if row.id == BTC else row
        for row in view.rows
    )
    standing = msgspec.structs.replace(view, rows=rows)
    async with session(book.desk(rebalance=standing)) as made:
        await made.press("5", "y")
        assert "*+.900" in made.text()
        await made.press("e")
        assert "was +.900 of equity" in made.text()
        await made.press("escape", NAMES["["])
        await made.until(lambda: kept(made) == [f"target:{BTC}=0.890"])


@pytest.mark.parametrize("keys", ["]c", "]]c", "]jc", "e.1\rc", "rc"])
async def test_a_plan_waits_for_the_answer_to_what_was_asked_before_it(keys: str) -> None:
    async with session() as made:
        await made.press("5")
        await burst(made, keys)
        plan = OpenTicket(digest=book.DIGEST, purpose="send", columns=120, rows=40)
        await made.until(lambda: made.desk.asked[-1] == plan)
        assert unsettled(made.desk.asked[-2]) is False


async def test_a_plan_is_not_made_of_what_was_refused_or_is_bent_further() -> None:
    def judge(intent: Intent) -> Reply:
        settled = isinstance(intent, Bend) and not intent.preview
        return Reply(number=0, ok=not settled, text="no book" if settled else "")

    async with session() as made:
        await made.press("5")
        await burst(made, "]c", judge)
        await made.until(lambda: "no book" in made.text())
        await burst(made, "]c]")
        assert "bent further: no plan of what was before" in made.text()
        await made.until(lambda: kept(made)[-1:] == [f"target:{BTC}=0.640"])
        assert not any(isinstance(intent, OpenTicket) for intent in made.desk.asked)


@pytest.mark.parametrize("beside", "pA")
async def test_what_leaves_the_what_if_as_it_is_lets_the_plan_follow(beside: str) -> None:
    async with session() as made:
        await made.press("5")
        await burst(made, f"]c{beside}")
        await made.until(lambda: isinstance(made.desk.asked[-1], OpenTicket))
        assert "bent further" not in made.text()


async def test_an_export_waits_too() -> None:
    async with session() as made:
        await made.press("5")
        await burst(made, "]x")
        await made.until(lambda: made.desk.asked[-1] == ExportOrders(digest=book.DIGEST))
        assert kept(made) == [f"target:{BTC}=0.630"]


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        ("um", ["strategy=tactical"]),
        ("Dmm", ["strategy=tactical", "strategy=hybrid"]),
        ("umo", ["strategy=tactical", "robust=ellipsoid"]),
        ("u]mu:net_max=.2\r", ["net_max=.2", f"target:{BTC}=0.580"]),
        ("0]]", [f"target:{BTC}=0.590"]),
        ("0]j]", [f"target:{BTC}=0.580", f"target:{ETH}=0.410"]),
        ("u]", [f"target:{BTC}=0.580"]),
        ("D]", [f"target:{BTC}=0.580"]),
        (f":target:{BTC}=free\r]", [f"target:{BTC}=free", f"target:{BTC}=0.580"]),
        ("0e.1\r]", [f"target:{BTC}=.1", f"target:{BTC}=0.110"]),
        ("0]e.1\r", [f"target:{BTC}=.1"]),
        ("0]u:net_max=.2\r", ["net_max=.2"]),
    ],
)
async def test_a_relative_key_starts_from_what_the_key_before_it_leads_to(
    keys: str, texts: list[str]
) -> None:
    view = book.rebalance()
    rows = tuple(
        msgspec.structs.replace(row, weight_target=0.57, weight_rounded=0.57)
        if row.id == BTC
        else row
        for row in view.rows
    )
    led_to = msgspec.structs.replace(view, rows=rows, strategy="balanced", robust="box")
    bent = what_ifs.what_if(strategy="tactical", robust="ellipsoid")
    async with session(book.desk(rebalance=bent)) as made:

        def judge(intent: Intent) -> Reply:
            if not isinstance(intent, Bend) or intent.text.endswith("free"):
                made.desk.replace(led_to)
            return ok(intent)

        await made.press("5", "home")
        first: list[Intent] = []

        def answer(intent: Intent) -> Reply | None:
            first.append(intent)
            return None if len(first) == 1 else judge(intent)

        made.desk.answer = answer
        await made.pilot.press(*(NAMES.get(key, key) for key in keys))
        await made.until(lambda: bool(first))
        made.desk.answer = judge
        judge(first[0])
        made.desk.send(encode(Reply(number=len(made.desk.asked), ok=True)))
        await made.until(lambda: len(kept(made)) >= len(texts))
        assert kept(made) == texts
        panel = made.app.desk_screen.rebalance_panel()
        await made.until(lambda: not panel.wanted and not panel.nudges)


PLAN = f"target:{BTC}=0.155 reduce_only=true"
FREED = f"target:{BTC}=free strategy=balanced"


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        ("1]", [PLAN, f"target:{BTC}=0.165"]),
        ("1[[", [PLAN, f"target:{BTC}=0.135"]),
        ("2m", [FREED, "strategy=tactical"]),
        ("m1m", ["strategy=balanced", PLAN, "strategy=tactical"]),
        (":strategy=tactical\rm", ["strategy=tactical", "strategy=hybrid"]),
        (":robust=box\roo", ["robust=box", "robust=ellipsoid", "robust=off"]),
        (":strategy.robust=box\ro", ["strategy.robust=box", "robust=ellipsoid"]),
        ("m:strategy=tactical\rm", ["strategy=balanced", "strategy=tactical", "strategy=hybrid"]),
        ("um:strategy=tactical\rm", ["strategy=tactical", "strategy=hybrid"]),
    ],
)
async def test_a_relative_key_starts_from_what_a_way_out_or_a_line_sets(
    keys: str, texts: list[str]
) -> None:
    offers = Offer("reduce", "reduce", PLAN), Offer("free", "free", FREED)
    # It holds a strategy and a robust mean that are not the desk's own: none is dropped by m or o.
    view = what_ifs.infeasible(
        clash=(), offers=offers, strategy="hybrid", robust="off",
        assignments=("strategy=hybrid", "robust=off"),
    )  # fmt: skip
    async with session(book.desk(rebalance=view)) as made:
        await made.press("5", "home", *("" if ":" in keys else "i"))
        await burst(made, keys)
        await made.until(lambda: len(kept(made)) >= len(texts))
        assert kept(made) == texts


LONG = (
    "expected an optimum under market_correlation_max 0.35, cvar_max 0.08 and volatility_max 0.4, "
    "was none to trust: the solver stopped at its 200th step with a residual of 3e-4 where at most "
    "1e-6 is taken; nothing is sent: loosen one of them, only reduce (reduce_only=true), or solve "
    "again at newer quotes"
)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_long_refusal_is_read_to_its_end(size: tuple[int, int]) -> None:
    def judge(_: Intent) -> Reply:
        return Reply(number=0, ok=False, text=LONG)

    async with session(size=size) as made:
        made.desk.answer = judge
        await made.press("5", "r")
        await made.until(lambda: "expected an optimum" in made.text())
        read = " ".join(line.strip("│ !") for line in made.text().split("\n"))
        assert LONG in " ".join(read.split())
        assert "BTC  binance" in made.text(), "the trades stay in sight"
        await made.press("enter")
        assert "refused expected an optimum" in made.text()
        await made.press("escape", "2", "r")
        await made.until(lambda: made.text().rstrip().endswith("…"))
        made.desk.answer = ok
        await made.press("5", "r", "enter")
        await made.until(lambda: "refused expected" not in made.text())


async def test_what_is_wrong_with_a_line_is_read_in_full_while_it_is_typed() -> None:
    async with session(size=(80, 24)) as made:
        await made.press("5", *":zz=1")
        read = " ".join(line.strip("│ !") for line in made.text().split("\n"))
        assert "expected a limit, a parameter of the strategy or target:ID" in " ".join(
            read.split()
        )
        await made.press("escape")
        assert "expected a limit" not in made.text()


@pytest.mark.parametrize(
    ("keys", "then"),
    [
        ("]u", []),
        (":gross_max=1.5\ru", []),
        ("e.1\ruu", []),
        ("0u:net_max=.2\r", ["net_max=.2"]),
    ],
)
async def test_the_undo_of_what_was_refused_takes_back_nothing_older(
    keys: str, then: list[str]
) -> None:
    def judge(intent: Intent) -> Reply:
        refused = isinstance(intent, Unbend) or (
            isinstance(intent, Bend) and "net_max" not in intent.text
        )
        return Reply(number=0, ok=not refused, text="no book" if refused else "")

    async with session(book.desk(rebalance=what_ifs.what_if())) as made:
        await made.press("5", "home")
        await burst(made, keys, judge)
        if not then:
            await made.until(lambda: "no book; nothing before it was undone" in made.text())
        await made.until(lambda: not made.app.bending)
        assert kept(made)[len(kept(made)) - len(then) :] == then
        assert not any(isinstance(intent, Undo | Redo) for intent in made.desk.asked)


async def test_what_follows_an_undo_that_is_left_out_is_asked_and_later_undos_too() -> None:
    def judge(intent: Intent) -> Reply:
        return Reply(number=0, ok=not isinstance(intent, Unbend), text="no book")

    async with session(book.desk(rebalance=what_ifs.what_if())) as made:
        await made.press("5", "home")
        await burst(made, "0u:net_max=.2\ru", judge)
        await made.until(lambda: made.desk.asked[-2:] == [Bend(text="net_max=.2"), Undo()])


async def test_a_preview_that_cannot_be_taken_back_says_so() -> None:
    def judge(intent: Intent) -> Reply:
        return Reply(number=0, ok=not isinstance(intent, Withdraw), text="not taken back yet")

    async with session() as made:
        await made.press("5")
        await burst(made, ":gross_max=1.5\x1b", judge)
        await made.until(lambda: "not taken back yet" in made.text())


@pytest.mark.parametrize("keys", ["]", "]]", ":gross_max=1.5\r]"])
async def test_what_is_nudged_before_leaving_is_kept(keys: str) -> None:
    async with session() as made:
        await made.press("5")
        made.desk.answer = lambda _: None
        await made.pilot.press(*(NAMES.get(key, key) for key in keys))
        await made.pilot.press("q")
        await made.until(lambda: Quit(leave_desk=False) in made.desk.asked)
        before = made.desk.asked[-2]
        weight = 0.64 if keys == "]]" else 0.63
        assert before == Bend(text=f"target:{BTC}={weight:.3f}")
        await made.until(lambda: made.app.return_value == 0)


DROPPED = Unbend(key=f"target:{BTC}")


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        (":gross_max=1.5\ru", []),
        (":gross_max=1.5\ruu", []),
        ("0u", [DROPPED]),
        ("0:net_max=.2\ru", [DROPPED]),
        ("0:net_max=.2\r", [DROPPED, Bend(text="net_max=.2")]),
        ("uu", [Undo(), Undo()]),
        ("u^", [Undo()]),
    ],
)
async def test_leaving_undoes_nothing_older_than_what_may_be_refused(
    keys: str, sent: list[Intent]
) -> None:
    async with session(book.desk(rebalance=what_ifs.what_if())) as made:
        await made.press("5")
        made.desk.answer = lambda _: None
        await made.pilot.press(*(NAMES.get(key, key) for key in keys))
        await made.pilot.press("q")
        await made.until(lambda: Quit(leave_desk=False) in made.desk.asked)
        if keys.startswith(":"):
            assert not any(isinstance(intent, Undo) for intent in made.desk.asked)
        else:
            assert made.desk.asked[:-1] == sent
