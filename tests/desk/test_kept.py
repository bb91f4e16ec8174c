"""The highest equity outlives the process."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from perptui.desk.peak import PeakFile


def test_it_is_kept_exactly(tmp_path: Path) -> None:
    PeakFile(tmp_path / "peak").keep(Decimal("404693.39027010"))
    assert PeakFile(tmp_path / "peak").read() == Decimal("404693.39027010")


def test_nothing_is_read_where_nothing_was_kept(tmp_path: Path) -> None:
    file = PeakFile(tmp_path / "peak")
    file.keep(None)
    assert file.read() is None


@pytest.mark.parametrize("text", ["", "much", "NaN", "-5", "Infinity", "\xff"])
def test_what_is_no_peak_is_left_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / "peak").write_bytes(text.encode("latin-1"))
    assert PeakFile(tmp_path / "peak").read() is None


def test_an_unwritable_place_costs_the_file_only(tmp_path: Path) -> None:
    (tmp_path / "peak").mkdir()
    PeakFile(tmp_path / "peak").keep(Decimal(5))
    assert (tmp_path / "peak").is_dir()
