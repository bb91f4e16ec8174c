import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.text import MAX_LENGTH, safe_text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("BTC", "BTC"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x9b1mb", "a\\x9b1mb"),
        ("\x7f", "\\x7f"),
        ("line\r\nbreak", "line\\x0d\\x0abreak"),
        ("\u202eevil", "\\u202eevil"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\ufeffbom", "\\ufeffbom"),
        ("\ud800lone", "\\ud800lone"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("a\u0301", "a\\u0301"),
        ("\u2028", "\\u2028"),
        ("\u3164", "\\u3164"),
        ("[@click=app.x]SAFE[/]", "[@click=app.x]SAFE[/]"),
        ("USDⓈ-M", "USDⓈ-M"),
        (12, "12"),
        ("", ""),
    ],
)
def test_invisible_characters_are_written_out(hostile: object, shown: str) -> None:
    assert safe_text(hostile) == shown


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert safe_text("x" * 64) == "x" * 64
    assert safe_text("x" * 65) == "x" * 63 + "…"
    assert safe_text("\x00" * 64) == ("\\x00" * 16)[:63] + "…"


@given(st.text(alphabet=st.characters(), max_size=200))
def test_nothing_hidden_survives_and_the_length_is_bounded(text: str) -> None:
    shown = safe_text(text)
    assert len(shown) <= MAX_LENGTH
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"}
    assert not [c for c in shown if unicodedata.category(c) in hidden]
    assert shown.encode("utf-8").decode() == shown


@given(st.text(alphabet=st.characters(), max_size=200))
def test_safe_text_is_idempotent(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)
