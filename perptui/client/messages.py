"""What an attachment tells the terminal: frozen, one kind a happening."""

from __future__ import annotations

from dataclasses import dataclass

from perptui.protocol.views import DeskView, Panel


@dataclass(frozen=True, slots=True)
class Attached:
    """A desk said hello; `private` when it lives and dies with its terminal."""

    desk: str
    version: str
    pid: int
    uid: int
    private: bool


@dataclass(frozen=True, slots=True)
class PictureTaken:
    """The whole picture, on attach."""

    view: DeskView


@dataclass(frozen=True, slots=True)
class PanelReplaced:
    """One panel anew; `panel` is its field in `DeskView`."""

    panel: str
    view: Panel


@dataclass(frozen=True, slots=True)
class DeskLost:
    """The desk is gone, or was not there, and why, in words; the attachment tries again."""

    why: str


FromDesk = Attached | PictureTaken | PanelReplaced | DeskLost
