"""Themes: TOML files in ``themes/`` and the user's own folder, as styles of roles."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

from perptui.model.errors import ConfigError

ROLES = (
    "text",
    "dim",
    "title",
    "header",
    "border",
    "focus",
    "key",
    "gain",
    "loss",
    "ok",
    "warn",
    "alarm",
    "accent",
    "edited",
    "series1",
    "series2",
    "series3",
)
"""Colours of the foreground that a theme must name under ``[foreground]``."""

GROUNDS = ("base", "zebra", "cursor", "bar", "alarm")
"""Colours of the background that a theme must name under ``[background]``."""

BOLD = frozenset({"title", "alarm", "focus"})


class Palette:
    """The styles of one theme, by role: ``gain``, or ``gain@cursor`` on another ground.

    Parameters
    ----------
    name : str
        The theme's name: its file's, without its ending.
    foreground, background : dict[str, str]
        Colours by role and ground: ``#rrggbb``, or an ANSI colour's name.
    dark, ansi : bool
        Whether the ground is dark, and whether only the terminal's own colours are used.
    """

    def __init__(
        self,
        name: str,
        foreground: dict[str, str],
        background: dict[str, str],
        *,
        dark: bool,
        ansi: bool,
    ) -> None:
        self.name = name
        self.dark = dark
        self.ansi = ansi
        self._foreground = foreground
        self._background = background
        self.style = lru_cache(maxsize=512)(self._style)

    def _style(self, role: str) -> Style:
        kind, _, ground = role.partition("@")
        colour = self._foreground[kind] if ground != "alarm" else self._background["base"]
        if self.ansi and ground in {"alarm", "cursor"}:
            colour = "bright_white"
        return Style(
            color=colour, bgcolor=self._background[ground or "base"], bold=kind in BOLD or None
        )

    def textual(self) -> Theme:
        """Return the theme for Textual's own widgets (the palette of commands)."""
        front, back = self._foreground, self._background

        def named(colour: str) -> str:
            return colour if colour.startswith("#") else f"ansi_{colour}"

        # Textual's own sheet asks an ANSI theme for more variables than it can derive.
        model = BUILTIN_THEMES["ansi-dark" if self.dark else "ansi-light"]
        return Theme(
            name=f"perptui-{self.name}",
            primary=named(front["accent"]),
            secondary=named(front["dim"]),
            warning=named(front["warn"]),
            error=named(front["alarm"]),
            success=named(front["gain"]),
            accent=named(front["accent"]),
            foreground=named(front["text"]),
            background=named(back["base"]),
            surface=named(back["zebra"]),
            panel=named(back["bar"]),
            dark=self.dark,
            ansi=self.ansi,
            variables=dict(model.variables) if self.ansi else {},
        )


def _table(data: dict[str, object], key: str, names: tuple[str, ...], path: Path) -> dict[str, str]:
    table = data.get(key)
    if not isinstance(table, dict):
        raise ConfigError(f"expected a table [{key}] in {path}, was absent; add it")
    missing = [name for name in names if not isinstance(table.get(name), str)]
    unknown = sorted(set(table) - set(names))
    if missing or unknown:
        wrong = f"{key}.{(missing or unknown)[0]}"
        raise ConfigError(
            f"expected exactly the colours {', '.join(names)} under [{key}], "
            f"was {'without' if missing else 'with'} {wrong} in {path}; mend it"
        )
    return {name: str(table[name]) for name in names}


def load(path: Path) -> Palette:
    """Return the theme in the TOML file `path`.

    Raises
    ------
    ConfigError
        When the file is unreadable, a colour is missing, unknown, or no colour.
    """
    import tomllib

    from rich.color import Color, ColorParseError

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"expected a theme in {path}, was {error}; mend the file") from None
    foreground = _table(data, "foreground", ROLES, path)
    background = _table(data, "background", GROUNDS, path)
    try:
        for colour in {*foreground.values(), *background.values()}:
            Color.parse(colour)
    except ColorParseError as error:
        raise ConfigError(f"expected colours in {path}, was {error}; mend the file") from None
    return Palette(
        path.stem,
        foreground,
        background,
        dark=bool(data.get("dark", True)),
        ansi=bool(data.get("ansi", False)),
    )


def available(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Return the theme files by name; a later folder wins."""
    return {
        path.stem: path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.glob("*.toml"))
    }


def find(name: str, folders: tuple[Path, ...]) -> Palette:
    """Return the theme called `name`.

    Raises
    ------
    ConfigError
        When no folder has it, or its file is wrong.
    """
    for folder in reversed(folders):
        path = folder / f"{name}.toml"
        if path.is_file():
            return load(path)
    known = ", ".join(available(folders))
    raise ConfigError(f"expected a theme among {known}, was {name!r}; choose one in [ui] theme")
