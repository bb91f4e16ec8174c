import pytest

from perptui.tui.plot import Raster, Series, chart, spark, ticks


def test_braille_dots_are_where_unicode_puts_them() -> None:
    raster = Raster(2, 1, "braille")
    assert raster.dots == (4, 4)
    raster.set(0, 0, 0)  # dot 1
    raster.set(1, 3, 0)  # dot 8
    raster.set(2, 1, 1)  # dot 2 of the second cell
    assert raster.character(0, 0) == ("⢁", 0)
    assert raster.character(1, 0) == ("⠂", 1)
    assert Raster(1, 1, "braille").character(0, 0) == (" ", None)


def test_half_blocks_and_ascii_marks() -> None:
    block = Raster(1, 1, "block")
    block.set(0, 0, 0)
    assert block.character(0, 0) == ("▀", 0)
    block.set(0, 1, 0)
    assert block.character(0, 0) == ("█", 0)
    plain = Raster(1, 1, "ascii")
    plain.set(0, 0, 1)
    assert plain.character(0, 0) == ("+", 1)


def test_a_rising_line_drawn_by_hand() -> None:
    lines = chart(
        [Series([0.0, 1.0], "series1")],
        12,
        4,
        label=lambda v: f"{v:g}",
        glyphs="ascii",
        floor_at=0.0,
    )
    drawn = ["".join(text for text, _ in line) for line in lines]
    assert all("*" in line for line in drawn)
    assert drawn[0].rstrip().endswith("*")
    assert drawn[-1].lstrip(" 0┤│").startswith("*")
    assert all(len(line) == 12 for line in drawn)


def test_the_axis_carries_round_values() -> None:
    lines = chart(
        [Series([32.0, 88.0, 61.0], "series1")], 30, 6, label=lambda v: f"{v:.0f}", floor_at=30.0
    )
    marks = ["".join(text for text, _ in line).split("┤")[0].strip() for line in lines]
    assert [mark for mark in marks if "│" not in mark] == ["80", "60", "40"]


def test_a_gap_is_left_where_a_value_is_missing() -> None:
    lines = chart(
        [Series([5.0, 5.0, None, None, 5.0, 5.0], "series1")], 22, 3, label=str, glyphs="block"
    )
    drawn = "".join("".join(text for text, role in line if role == "series1") for line in lines)
    marks = [c in "▀▄█" for c in drawn if c in "▀▄█ "]
    assert not all(marks)


def test_dashes_are_drawn_every_other_cell() -> None:
    lines = chart([Series([1.0, 1.0], "a", dashed=True)], 22, 2, label=lambda v: "", glyphs="block")
    row = next(text for line in lines for text, role in line if "▀" in text or "▄" in text)
    assert row[0] != " "
    assert row[1] == " "


def test_nothing_is_drawn_of_nothing_or_in_no_room() -> None:
    assert chart([Series([], "a")], 30, 5, label=str) == []
    assert chart([Series([1.0, 2.0], "a")], 30, 1, label=str) == []
    assert chart([Series([1.0, 2.0], "a")], 5, 4, label=str) == []


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (30.0, 90.0, 3, [40.0, 60.0, 80.0]),
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0][:6]),
        (2.0, 2.0, 3, [2.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, expected: list[float]) -> None:
    found = ticks(low, high, most)
    assert len(found) <= most
    if len(expected) <= most:
        assert found == pytest.approx(expected)


def test_sparks_run_from_lowest_to_highest() -> None:
    assert spark([1, 2, 3, 5, 7, 6, 7, 8], 8) == "▁▂▃▅▇▆▇█"
    assert spark([1, 8], 8, "ascii") == "_*"
    assert spark([4.0, 4.0], 8) == "▅▅"
    assert spark([], 8) == ""
    assert spark([1, 2, 3], 0) == ""
