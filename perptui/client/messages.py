"""What an attachment tells the terminal: frozen, one kind a happening."""

from __future__ import annotations

import msgspec

from perptui.protocol.views import DeskView, Panel


class Attached(msgspec.Struct, frozen=True):
    """A desk said hello; `private` when it lives and dies with its terminal.

    `uid` is this terminal's as the kernel told the desk, `roles` what it may do there.
    """

    desk: str
    version: str
    pid: int
    uid: int
    private: bool
    roles: tuple[str, ...]


class NotLetIn(msgspec.Struct, frozen=True):
    """The desk does not let this user in, and why; it is not asked again."""

    why: str


class PictureTaken(msgspec.Struct, frozen=True):
    """The whole picture, on attach."""

    view: DeskView


class PanelReplaced(msgspec.Struct, frozen=True):
    """One panel anew; `panel` is its field in `DeskView`."""

    panel: str
    view: Panel


class PanelObserved(msgspec.Struct, frozen=True):
    """One panel as it stands was observed again."""

    panel: str
    observed_mono: float


class DeskLost(msgspec.Struct, frozen=True):
    """The desk is gone, or was not there, and why, in words; the attachment tries again."""

    why: str


FromDesk = Attached | NotLetIn | PictureTaken | PanelReplaced | PanelObserved | DeskLost
