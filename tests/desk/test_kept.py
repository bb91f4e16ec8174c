"""The highest equity and the day's opening outlive the process."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from perptui.desk.kept import Kept, KeptDay, KeptFile

KEPT = Kept(
    Decimal("404693.39027010"), {"binanceusdm": KeptDay(20_000, 1_728_000_000_007, Decimal("1.10"))}
)


def test_it_is_kept_exactly_and_for_its_owner_alone(tmp_path: Path) -> None:
    KeptFile(tmp_path / "peak").keep(KEPT)
    assert KeptFile(tmp_path / "peak").read() == KEPT
    assert (tmp_path / "peak").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob("peak*")) == [tmp_path / "peak"]


def test_nothing_is_read_where_nothing_was_kept(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "peak")
    file.keep(None)
    assert (file.read(), file.fault) == (Kept(), "")


@pytest.mark.parametrize(
    "text", ["", "much", "5", '{"peak_usd":"NaN"}', '{"peak_usd":"-5"}', '{"days":1}', "\xff"]
)
def test_what_is_damaged_is_left_aside_and_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "peak").write_bytes(text.encode("latin-1"))
    file = KeptFile(tmp_path / "peak")
    assert file.read() == Kept()
    assert "count from now" in file.fault


def test_an_unwritable_place_costs_the_file_only(tmp_path: Path) -> None:
    (tmp_path / "peak").mkdir()
    KeptFile(tmp_path / "peak").keep(KEPT)
    assert (tmp_path / "peak").is_dir()
