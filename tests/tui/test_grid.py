from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from perptui.tui.column import Cell, Column
from perptui.tui.grid import Grid
from perptui.tui.picture import Line


@dataclass(frozen=True)
class Row:
    name: str
    size: float | None
    age: float = 0.0


FORMATTED: list[str] = []


def size_cell(row: Row, _now: float) -> Cell:
    FORMATTED.append(row.name)
    return Cell("·" if row.size is None else f"{row.size:,.0f}")


COLUMNS: list[Column[Row]] = [
    Column("name", lambda r, _: Cell(r.name), lambda r: r.name, align_left=True, priority=0),
    Column("size", size_cell, lambda r: r.size),
    Column("age", lambda r, now: Cell(f"{now - r.age:.0f}"), priority=5, live=True),
    Column("note", lambda r, _: Cell("·"), priority=6, optional=True),
]


def grid(rows: list[Row], sort: str = "size") -> Grid[Row]:
    made: Grid[Row] = Grid(COLUMNS, lambda row: row.name, sort=sort)
    made.set_rows(rows)
    return made


def text(lines: list[Line]) -> list[str]:
    return ["".join(part for part, _ in line).rstrip() for line in lines]


ROWS = [Row("btc", 421300), Row("eth", 301900), Row("sol", None), Row("xrp", 1000000)]


def test_rows_are_sorted_from_the_largest_and_unknown_comes_last_either_way() -> None:
    made = grid(ROWS)
    assert [row.name for row in made.shown] == ["xrp", "btc", "eth", "sol"]
    made.reverse()
    assert [row.name for row in made.shown] == ["eth", "btc", "xrp", "sol"]


def test_figures_are_right_aligned_under_their_header() -> None:
    lines = text(grid(ROWS).lines(30, 6, now=7.0, focused=False))
    assert lines[0].index("size") + 4 == lines[1].index("1,000,000") + 9
    assert lines[2].endswith("7")


def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    made = grid(ROWS)
    made.move(1)
    assert made.selected == Row("btc", 421300)
    made.set_rows([Row("btc", 5), *ROWS[1:]])
    assert made.selected == Row("btc", 5)
    assert [row.name for row in made.shown].index("btc") == 2


def test_the_cursor_is_held_at_the_ends_and_paged_into_sight() -> None:
    made = grid([Row(f"r{index:03}", float(index)) for index in range(100)])
    made.move(-5)
    assert made.selected == Row("r099", 99.0)
    made.last()
    lines = text(made.lines(30, 11, now=0.0, focused=True))
    assert len(lines) == 11
    assert lines[-1].startswith("▸r000")
    made.first()
    assert text(made.lines(30, 11, now=0.0, focused=True))[1].startswith("▸r099")


def test_a_filter_needs_every_word() -> None:
    made = grid(ROWS)
    made.set_filter("BT 421")
    assert [row.name for row in made.shown] == ["btc"]
    made.set_filter("bt 999")
    assert made.selected is None
    made.set_filter("")
    assert len(made.shown) == made.total == 4


def test_sort_goes_round_the_columns_that_can_be_sorted() -> None:
    made = grid(ROWS)
    made.sort_next()
    assert (made.sort, made.descending) == ("name", False)
    assert [row.name for row in made.shown] == ["btc", "eth", "sol", "xrp"]
    made.sort_next()
    assert (made.sort, made.descending) == ("size", True)


def test_only_changed_rows_in_sight_are_formatted_again() -> None:
    rows = [Row(f"r{index:03}", float(index)) for index in range(500)]
    made = grid(rows)
    made.lines(40, 21, now=0.0, focused=False)
    FORMATTED.clear()
    rows[490] = Row("r490", 490.5)
    made.set_rows(rows)
    made.lines(40, 21, now=1.0, focused=False)
    assert FORMATTED == ["r490"]


def test_columns_that_do_not_fit_are_left_out_by_rank_and_reached_by_scrolling() -> None:
    made = grid(ROWS)
    narrow = text(made.lines(17, 5, now=3.0, focused=False))
    assert "age" not in narrow[0]
    assert narrow[0].endswith("→")
    made.scroll(1)
    assert "age" in text(made.lines(17, 5, now=3.0, focused=False))[0]
    made.scroll(-9)
    assert "size" in text(made.lines(17, 5, now=3.0, focused=False))[0]


def test_an_optional_column_without_figures_is_not_there() -> None:
    assert "note" not in text(grid(ROWS).lines(60, 5, now=0.0, focused=False))[0]


def test_widths_never_shrink_while_figures_do() -> None:
    made = grid([Row("btc", 1_000_000.0)])
    before = text(made.lines(40, 3, now=0.0, focused=False))[0].index("age")
    made.set_rows([Row("btc", 1.0)])
    assert text(made.lines(40, 3, now=0.0, focused=False))[0].index("age") == before


def test_marked_rows_take_one_role() -> None:
    made: Grid[Row] = Grid(COLUMNS, lambda row: row.name, mark=lambda row: "dim")
    made.set_rows(ROWS[:1])
    line = made.lines(30, 3, now=0.0, focused=False)[1]
    assert {role for part, role in line if part.strip()} == {"dim"}


def test_an_empty_grid_moves_without_harm() -> None:
    made = grid([])
    made.move(1)
    made.last()
    assert made.selected is None
    assert len(made.lines(30, 5, now=0.0, focused=True)) == 1


@given(
    st.lists(st.tuples(st.text(max_size=9), st.integers()), max_size=9, unique_by=lambda x: x[0]),
    st.integers(min_value=4, max_value=60),
)
def test_every_row_has_a_line_in_order_whatever_its_name(
    rows: list[tuple[str, int]], width: int
) -> None:
    made = grid([Row(name, float(size)) for name, size in rows])
    assert len(made.lines(width, 20, now=0.0, focused=True)) == 1 + len(rows)
    sizes = [row.size for row in made.shown if row.size is not None]
    assert sizes == sorted(sizes, reverse=True)


def test_a_cell_that_was_typed_into_is_as_before_once_the_typing_ends() -> None:
    made = grid(ROWS)
    before = text(made.lines(40, 6, now=0.0, focused=True))
    typed = made.lines(
        40,
        6,
        now=0.0,
        focused=True,
        editing=lambda row, _: ("12▏", "") if row.name == "btc" else None,
    )
    assert "12▏" in "\n".join(text(typed))
    assert text(made.lines(40, 6, now=0.0, focused=True)) == before
