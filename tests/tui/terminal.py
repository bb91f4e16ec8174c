"""The terminal as tests start it: themes of the repository, a frozen clock, a given picture."""

from __future__ import annotations

from pathlib import Path

from perptui.client.attach import Connect
from perptui.model.clock import Clock
from perptui.protocol.views import DeskView
from perptui.tui.app import DeskApp
from tests.tui import book

ROOT = Path(__file__).resolve().parents[2]
THEMES = (ROOT / "themes",)
SIZES = ((80, 24), (120, 40), (200, 60))


def terminal(
    view: DeskView | None = None,
    *,
    connect: Connect | None = None,
    clock: Clock | None = None,
    theme: str = "dark",
    glyphs: str = "braille",
    keymap: dict[str, str] | None = None,
    folder: Path | None = None,
    themes: tuple[Path, ...] = THEMES,
) -> DeskApp:
    """Return an app that is not running yet."""
    return DeskApp(
        connect,
        clock=clock or book.clock(),
        theme_folders=themes,
        theme=theme,
        glyphs=glyphs,
        keymap=keymap,
        view=view,
        crash_dir=folder,
        pictures_dir=folder,
    )


def screen_text(app: DeskApp) -> list[str]:
    """Return what stands on the screen, line by line."""
    return [
        "".join(segment.text for segment in strip)
        for strip in app.screen._compositor.render_strips()
    ]
