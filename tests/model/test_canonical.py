"""RFC 8785: the examples of its section 3.2.3 and appendix B."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.canonical import canonical_json, digest_of, digest_of_made
from perptui.model.explanation import LedgerRow
from perptui.model.jobs import AppendHistory, FundingSeries
from perptui.model.limit import LimitCheck
from perptui.model.order import Side


def _double(bits: str) -> float:
    value: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return value


# RFC 8785, appendix B: IEEE 754 bits and the text they must serialise to.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_follow_appendix_b(bits: str, text: str) -> None:
    assert canonical_json(_double(bits)).decode() == text


def test_the_example_of_section_3_2_3_sorts_by_utf16() -> None:
    value = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\x80": 6, "ö": 7}
    keys = list(json.loads(canonical_json(value)))
    assert keys == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


def test_decimals_are_text_and_equal_however_entered() -> None:
    assert canonical_json({"price": Decimal("1E+2")}) == b'{"price":"100"}'
    assert digest_of(Decimal("97844.20")) == digest_of(Decimal("97844.2"))


def test_a_record_is_an_object_of_its_fields() -> None:
    check = LimitCheck(name="gross", value=1.5, limit=3.0, ok=True)
    assert canonical_json(check) == (
        b'{"at_least":false,"binding":false,"limit":3,"name":"gross","ok":true,"value":1.5}'
    )


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        canonical_json([float("nan")])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_a_round_trip(value: float) -> None:
    assert float(json.loads(canonical_json(value))) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_digits_are_those_of_repr(value: float) -> None:
    """David Gay's shortest form, which Python writes, is the one RFC 8785 §3.2.2.3 asks for."""
    text = canonical_json(value).decode()
    assert Decimal(text).normalize() == Decimal(repr(value)).normalize()


def test_records_in_records_are_what_msgspec_makes_of_them() -> None:
    """Second implementation: msgspec's plain values, sorted and written by the standard library."""
    bars = FundingSeries("binanceusdm", "BTCUSDT", ())
    job = AppendHistory((bars,))
    check = LimitCheck("net", 1.5, 2.5, ok=True)
    told = {"job": job, "side": Side.BUY, "limits": [check, check]}
    plain = json.dumps(msgspec.to_builtins(told), sort_keys=True, separators=(",", ":"))
    assert canonical_json(told).decode() == plain


def test_what_no_json_value_stands_for_is_refused() -> None:
    with pytest.raises(TypeError, match="complex"):
        canonical_json({"value": 1j})


def test_what_is_made_is_known_by_its_last_bit_whatever_the_order_of_its_dicts() -> None:
    """SHA-256 of msgpack's own bytes; the order in which a dict was filled is none of them."""
    one = LedgerRow("a", 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, by_limit={"x": 1.0, "y": 2.0})
    other = msgspec.structs.replace(one, by_limit={"y": 2.0, "x": 1.0})
    assert digest_of_made(one) == digest_of_made(other)
    packed = msgspec.msgpack.encode(msgspec.to_builtins(one))
    assert digest_of_made(one) == hashlib.sha256(packed).hexdigest()
    nearly = msgspec.structs.replace(one, alpha=math.nextafter(1.0, 2.0))
    assert digest_of_made(nearly) != digest_of_made(one)
