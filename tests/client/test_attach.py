import asyncio
import os
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from perptui.client.attach import Attachment
from perptui.client.messages import (
    Attached,
    DeskLost,
    FromDesk,
    NotLetIn,
    PanelObserved,
    PanelReplaced,
    PictureTaken,
)
from perptui.model.errors import ConfigError
from perptui.protocol.frames import Observed, Refused, Reply, encode, frame
from perptui.protocol.intents import Intent, Solve, Undo
from tests.tui import book
from tests.tui.served import ServedDesk


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[ServedDesk]:
    served = ServedDesk(Path(os.environ["XDG_RUNTIME_DIR"]) / "desk.sock", book.desk())
    await served.start()
    yield served
    await served.stop()


class Line:
    """An attachment that runs, and what it has delivered."""

    def __init__(self, attachment: Attachment, got: list[FromDesk]) -> None:
        self.attachment = attachment
        self.got = got
        self.task = asyncio.create_task(attachment.run())

    async def until(self, fulfilled: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not fulfilled():  # noqa: ASYNC110  any condition on what was delivered
                await asyncio.sleep(0.005)

    def kinds(self) -> list[type]:
        return [type(message) for message in self.got]

    async def end(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await self.attachment.close()


def attach(served: ServedDesk, **more: object) -> Line:
    got: list[FromDesk] = []
    made = Attachment(served.connect, got.append, first_retry_s=0.01, **more)  # type: ignore[arg-type]
    return Line(made, got)


@pytest.mark.asyncio
async def test_the_picture_comes_whole_and_then_by_panel(desk: ServedDesk) -> None:
    line = attach(desk)
    await line.until(lambda: PictureTaken in line.kinds())
    assert line.kinds() == [Attached, PictureTaken]
    assert line.got[1] == PictureTaken(book.desk())
    moved = book.positions(age_s=0.5)
    desk.replace(moved)
    await line.until(lambda: len(line.got) == 3)
    assert line.got[2] == PanelReplaced("positions", moved)
    desk.send(encode(Observed(seq=2, panel="positions", observed_mono=7.5)))
    await line.until(lambda: len(line.got) == 4)
    assert line.got[3] == PanelObserved("positions", 7.5)
    await line.end()


@pytest.mark.asyncio
async def test_each_intent_gets_its_own_answer(desk: ServedDesk) -> None:
    def answer(intent: Intent) -> Reply:
        return Reply(number=0, ok=isinstance(intent, Solve), text=type(intent).__name__)

    desk.answer = answer
    line = attach(desk)
    await line.until(lambda: line.attachment.attached)
    solved, undone = await asyncio.gather(
        line.attachment.ask(Solve(strategy="tactical")), line.attachment.ask(Undo())
    )
    assert (solved.ok, solved.text) == (True, "Solve")
    assert (undone.ok, undone.text) == (False, "Undo")
    assert desk.asked == [Solve(strategy="tactical"), Undo()]
    await line.end()


@pytest.mark.asyncio
async def test_a_lost_desk_answers_what_was_asked_and_is_found_again(desk: ServedDesk) -> None:
    desk.answer = lambda _: None
    line = attach(desk)
    await line.until(lambda: line.attachment.attached)
    waiting = asyncio.create_task(line.attachment.ask(Solve()))
    await line.until(lambda: desk.asked == [Solve()])
    await desk.stop()
    reply = await waiting
    assert not reply.ok
    assert reply.text == "the desk was lost before it answered"
    await line.until(lambda: DeskLost in line.kinds())
    assert not (await line.attachment.ask(Undo())).ok
    await desk.start()
    await line.until(lambda: line.kinds().count(PictureTaken) == 2)
    assert desk.asked == [Solve()], "nothing may be asked twice"
    await line.end()


@pytest.mark.asyncio
async def test_a_desk_is_told_once_what_is_looked_at_and_the_next_desk_too(
    desk: ServedDesk,
) -> None:
    line = attach(desk)
    line.attachment.look(["positions", "limits"])
    await line.until(lambda: desk.looks == [("limits", "positions")])
    line.attachment.look(["limits", "positions"])
    line.attachment.look(["rebalance"])
    await line.until(lambda: len(desk.looks) > 1)
    assert desk.looks[1:] == [("rebalance",)]
    await desk.stop()
    await desk.start()
    await line.until(lambda: len(desk.looks) > 2)
    assert desk.looks[2:] == [("rebalance",)]
    await line.end()


@pytest.mark.asyncio
async def test_after_a_loss_another_desk_is_started(desk: ServedDesk) -> None:
    relaunched: list[str] = []

    async def relaunch() -> tuple[StreamReader, StreamWriter]:
        relaunched.append("again")
        await desk.start()
        return await desk.connect()

    line = attach(desk, relaunch=relaunch)
    await line.until(lambda: PictureTaken in line.kinds())
    assert relaunched == []
    await desk.stop()
    await line.until(lambda: line.kinds().count(PictureTaken) == 2)
    assert relaunched == ["again"]
    await line.end()


@pytest.mark.asyncio
async def test_a_desk_that_vanished_before_it_was_joined_is_started_anew(desk: ServedDesk) -> None:
    await desk.stop()

    async def relaunch() -> tuple[StreamReader, StreamWriter]:
        await desk.start()
        return await desk.connect()

    line = attach(desk, relaunch=relaunch)
    await line.until(lambda: PictureTaken in line.kinds())
    assert line.kinds() == [DeskLost, Attached, PictureTaken]
    await line.end()


@pytest.mark.asyncio
async def test_a_desk_that_could_not_start_is_not_started_again_and_again() -> None:
    async def connect() -> tuple[StreamReader, StreamWriter]:
        raise ConfigError("expected limits.gross_max, was absent; add it")

    async def relaunch() -> tuple[StreamReader, StreamWriter]:
        raise AssertionError("nothing may be started")

    got: list[FromDesk] = []
    line = Line(Attachment(connect, got.append, relaunch=relaunch, first_retry_s=0.01), got)
    await line.until(lambda: len(got) >= 2)
    assert set(got) == {DeskLost("expected limits.gross_max, was absent; add it")}
    await line.end()


@pytest.mark.asyncio
async def test_no_desk_is_said_in_words_without_a_path() -> None:
    served = ServedDesk(Path(os.environ["XDG_RUNTIME_DIR"]) / "none.sock", book.desk())
    line = attach(served)
    await line.until(lambda: len(line.got) >= 2)
    assert line.got[0] == DeskLost("no such file or directory")
    await line.end()


@pytest.mark.asyncio
async def test_another_protocol_is_refused_with_the_cure(desk: ServedDesk) -> None:
    desk.protocol = 99
    line = attach(desk)
    await line.until(lambda: bool(line.got))
    lost = line.got[0]
    assert isinstance(lost, DeskLost)
    assert "was 99" in lost.why
    assert "same version" in lost.why
    await line.end()


@pytest.mark.asyncio
async def test_a_malformed_frame_ends_the_connection_and_a_new_one_is_made(
    desk: ServedDesk,
) -> None:
    line = attach(desk)
    await line.until(lambda: PictureTaken in line.kinds())
    desk.send(encode({"type": "Nonsense"}))
    await line.until(lambda: line.kinds().count(PictureTaken) == 2)
    assert next(m.why for m in line.got if isinstance(m, DeskLost)).startswith("expected")
    await line.end()


@pytest.mark.asyncio
async def test_an_answer_to_nothing_is_dropped(desk: ServedDesk) -> None:
    line = attach(desk)
    await line.until(lambda: PictureTaken in line.kinds())
    desk.send(encode(Reply(number=77, ok=True, text="late")))
    desk.replace(book.limits())
    await line.until(lambda: PanelReplaced in line.kinds())
    assert DeskLost not in line.kinds()
    await line.end()


@pytest.mark.asyncio
async def test_a_desk_that_does_not_let_this_user_in_is_not_asked_again() -> None:
    connections = 0

    async def refuse(_: StreamReader, writer: StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(frame(encode(Refused("expected a user of desk main; have view name you"))))
        writer.close()

    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "desk.sock"
    server = await asyncio.start_unix_server(refuse, path)
    got: list[FromDesk] = []
    attachment = Attachment(
        lambda: asyncio.open_unix_connection(path), got.append, first_retry_s=0.01
    )
    await asyncio.wait_for(attachment.run(), 5)
    assert got == [NotLetIn("expected a user of desk main; have view name you")]
    assert connections == 1
    await attachment.close()
    server.close()
    await server.wait_closed()
