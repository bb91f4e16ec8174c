from pathlib import Path

import pytest

from perptui.model.errors import ConfigError
from perptui.tui import theme
from tests.tui.terminal import THEMES

SHIPPED = ("ansi", "colourblind", "dark", "light")


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_shipped_themes_stand() -> None:
    assert tuple(theme.available(THEMES)) == SHIPPED
    for name in SHIPPED:
        palette = theme.find(name, THEMES)
        assert palette.textual().ansi == (name == "ansi")
        assert palette.style("gain@cursor").bgcolor != palette.style("gain").bgcolor


@pytest.mark.parametrize("name", ["colourblind", "dark", "light"])
@pytest.mark.parametrize("ground", ["base", "zebra", "cursor"])
@pytest.mark.parametrize("role", ["text", "dim", "gain", "loss", "warn", "alarm", "accent"])
def test_words_are_readable_on_every_ground(name: str, ground: str, role: str) -> None:
    style = theme.find(name, THEMES).style(f"{role}@{ground}")
    assert style.color is not None
    assert style.bgcolor is not None
    pair = style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex
    assert contrast(*pair) >= 3.0


def test_a_users_theme_wins_over_the_shipped_one(tmp_path: Path) -> None:
    text = (THEMES[0] / "dark.toml").read_text().replace("#101418", "#000000")
    (tmp_path / "dark.toml").write_text(text)
    style = theme.find("dark", (*THEMES, tmp_path)).style("text")
    assert style.bgcolor is not None
    assert style.bgcolor.get_truecolor().hex == "#000000"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("gain =", "gian ="), "without foreground.gain"),
        (("[background]\n", '[background]\nsky = "#ffffff"\n'), "with background.sky"),
        (('gain = "#58c98b"', 'gain = "greenish"'), "expected colours"),
        (("[background]", "[grounds]"), "expected a table [background]"),
        (("dark = true", "dark = "), "expected a theme in"),
    ],
    ids=["missing", "unknown", "colour", "table", "toml"],
)
def test_a_wrong_theme_names_its_fault(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((THEMES[0] / "dark.toml").read_text().replace(*change))
    with pytest.raises(ConfigError) as refused:
        theme.load(path)
    assert words in str(refused.value)


def test_an_unknown_theme_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ansi, colourblind, dark, light"):
        theme.find("drak", (*THEMES, tmp_path / "none"))
