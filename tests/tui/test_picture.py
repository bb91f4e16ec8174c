from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from perptui.tui.picture import (
    GAP,
    Line,
    beside,
    cells,
    changed_runs,
    crop,
    differences,
    drawable,
    fit,
    left,
    on_ground,
    right,
    width_of,
)

ROLES = st.sampled_from(["text", "dim", "gain"])
TEXTS = st.text(alphabet=st.sampled_from("ab ▲·−中é"), max_size=12)
LINES = st.lists(st.tuples(TEXTS, ROLES), max_size=5).map(tuple)


def patched(old: Line, new: Line) -> list[tuple[str, str]]:
    """Return `old` with the changed runs of `new` written over it."""
    found, wanted = cells(old), cells(new)
    for x, width in changed_runs(old, new):
        found[x : x + width] = wanted[x : x + width]
    return found


@given(LINES, LINES)
def test_writing_the_changed_runs_over_the_old_line_gives_the_new_one(a: Line, b: Line) -> None:
    old, new = fit(a, 24), fit(b, 24)
    assert patched(old, new) == cells(new)


@given(LINES)
def test_an_equal_line_has_no_changed_run(line: Line) -> None:
    assert list(changed_runs(fit(line, 24), fit(line, 24))) == []


@given(LINES, st.integers(min_value=0, max_value=30))
def test_fit_gives_exactly_the_width(line: Line, width: int) -> None:
    assert width_of(fit(line, width)) == width


def test_runs_are_split_only_where_the_gap_is_wide() -> None:
    old = fit((("x" * 40, "text"),), 40)
    near = fit((("y" + "x" * (GAP - 1) + "y" + "x" * 33, "text"),), 40)
    far = fit((("y" + "x" * 30 + "y" + "x" * 8, "text"),), 40)
    assert list(changed_runs(old, near)) == [(0, GAP + 1)]
    assert list(changed_runs(old, far)) == [(0, 1), (31, 1)]


def test_a_change_of_role_alone_is_a_change() -> None:
    regions = differences([(("ab", "text"),)], [(("a", "text"), ("b", "gain"))])
    assert [(r.x, r.y, r.width, r.height) for r in regions] == [(1, 0, 1, 1)]


def test_crop_marks_what_is_missing_and_not_what_is_blank() -> None:
    assert crop("abcdef", 4) == "abc…"
    assert crop("ab    ", 4) == "ab  "
    assert crop("中文字", 4) == "中…"
    assert crop("abc", 0) == ""
    assert left("ab", 4) + right("ab", 4) == "ab    ab"


def test_beside_keeps_the_right_end() -> None:
    line = beside((("name " * 10, "text"),), (("12:04", "dim"),), 20)
    assert "".join(text for text, _ in line).endswith("12:04")
    assert width_of(line) == 20


def test_controls_and_bidi_signs_become_visible_cells() -> None:
    text = drawable("a\x1b[31m\x07\u202eb\u200b\x9b")
    assert text.isprintable()
    assert cell_len(text) == len("a\x1b[31m\x07\u202eb\u200b\x9b")


def test_ground_keeps_the_role() -> None:
    assert on_ground((("x", "gain"), ("y", "loss@zebra")), "cursor") == (
        ("x", "gain@cursor"),
        ("y", "loss@cursor"),
    )
