import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from perptui.model.text import MAX_LENGTH, cells_of, folded, safe_text


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
        ("\u11a8", "\\u11a8"),
        ("\ud7b0", "\\ud7b0"),
        ("\u093e", "\\u093e"),
        ("\U0001f3fb", "\\U0001f3fb"),
        ("한국 風險", "한국 風險"),
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
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me", "Mc"}
    assert not [c for c in shown if unicodedata.category(c) in hidden]
    assert shown.encode("utf-8").decode() == shown


@given(st.text(alphabet=st.characters(), max_size=200))
def test_safe_text_is_idempotent(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@pytest.mark.unmeasured
def test_every_character_that_is_shown_takes_its_cells_and_no_more() -> None:
    """Against the widths that the terminal library draws by, for all of Unicode."""
    wrong = [
        hex(code)
        for code in range(0x20, 0x110000)
        if safe_text(chr(code)) == chr(code) and not 1 <= cell_len(chr(code)) <= cells_of(chr(code))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("  1  BTC", ["  1  BTC"]),
        ("one two three", ["one two", "  three"]),
        ("  one two three", ["  one two", "  three"]),
        ("風險風險風險", ["風險風險風", "  險"]),
        ("a 風險風險風險", ["a", "  風險風險", "  風險"]),
    ],
)
def test_lines_are_folded_between_words_or_where_they_are_full(text: str, lines: list[str]) -> None:
    assert folded(text, 10, "  ") == lines


@given(st.text(alphabet="ab 風險é", max_size=80), st.integers(6, 20))
def test_nothing_is_lost_by_folding_and_no_line_is_wider(text: str, width: int) -> None:
    lines = folded(text, width, "  ")
    lead = len(text) - len(text.lstrip(" "))
    assert all(cell_len(line) <= max(width, lead) for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
