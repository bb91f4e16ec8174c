from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.errors import ProtocolError
from perptui.protocol import frames, intents, views


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 97))
def test_payloads_come_out_as_they_went_in_however_the_stream_is_cut(
    payloads: list[bytes], cut: int
) -> None:
    stream = b"".join(frames.frame(payload) for payload in payloads)
    deframer = frames.Deframer()
    out = [p for i in range(0, len(stream), cut) for p in deframer.feed(stream[i : i + cut])]
    assert out == payloads


def test_a_huge_length_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProtocolError, match="reconnect"):
        list(frames.Deframer().feed(b"\xff\xff\xff\xff"))
    with pytest.raises(ProtocolError, match="send less"):
        frames.frame(bytes(frames.MAX_FRAME + 1))


def test_a_replaced_panel_keeps_decimals_exact() -> None:
    view = views.PositionsView(gross_usd=Decimal("1219200.10"), waiting=None)
    message = frames.decode_to_terminal(frames.encode(frames.Replace.of(41, view)))
    assert isinstance(message, frames.Replace)
    assert (message.seq, message.panel) == (41, "positions")
    assert message.view() == view


def test_every_field_of_the_desk_view_has_its_panel() -> None:
    assert set(frames.PANELS) == set(views.DeskView.__struct_fields__)


@pytest.mark.parametrize(
    "intent",
    [
        intents.Solve(strategy="tactical"),
        intents.Bend(text="target:binanceusdm:BTC/USDT:USDT=-0.35", preview=True),
        intents.Unbend(),
        intents.Reduce(share=0.25),
        intents.AskFrontier(on=False),
        intents.Undo(),
        intents.ConfirmTicket(
            id="T7", typed="9f3c", seen_end=True, key_gaps_ms=(120.5, 88.0), columns=120, rows=40
        ),
        intents.Kill(reason="fat finger", state="REDUCING"),
    ],
)
def test_intents_survive_the_wire(intent: intents.Intent) -> None:
    ask = frames.Ask(number=3, intent=intent)
    assert frames.decode_to_desk(frames.encode(ask)) == ask


def test_what_is_looked_at_survives_the_wire() -> None:
    look = frames.Look(("limits", "rebalance"))
    assert frames.decode_to_desk(frames.encode(look)) == look


def test_malformed_messages_are_named() -> None:
    with pytest.raises(ProtocolError, match="desk message"):
        frames.decode_to_terminal(b"\xc1")
    with pytest.raises(ProtocolError, match="intent"):
        frames.decode_to_desk(frames.encode({"number": 1, "intent": {"type": "Sell"}}))
    with pytest.raises(ProtocolError, match="known panel"):
        frames.Replace(seq=1, panel="orders", body=msgspec.Raw(b"\x80")).view()
    with pytest.raises(ProtocolError, match="status panel"):
        frames.Replace(seq=1, panel="status", body=msgspec.Raw(b"\x80")).view()


def test_text_that_is_no_utf8_is_malformed_both_ways() -> None:
    asked = frames.encode(frames.Ask(number=3, intent=intents.Kill(reason="fat finger")))
    with pytest.raises(ProtocolError, match="expected an intent"):
        frames.decode_to_desk(asked.replace(b"fat", b"f\xfft"))
    told = frames.encode(frames.Reply(number=3, ok=False, text="why not"))
    with pytest.raises(ProtocolError, match="expected a desk message"):
        frames.decode_to_terminal(told.replace(b"why", b"w\xffy"))
    panel = frames.Replace.of(41, views.PositionsView(gross_usd=Decimal("1219200.10")))
    body = bytes(panel.body).replace(b"1219200", b"121\xff200")
    with pytest.raises(ProtocolError, match="expected a positions panel"):
        msgspec.structs.replace(panel, body=msgspec.Raw(body)).view()
