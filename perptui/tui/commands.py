"""The palette's commands: every key's action but those that move, confirm, cancel or kill."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from textual.app import SystemCommand
from textual.screen import Screen

from perptui.tui.keymap import KEYS

KEPT_TO_KEYS = frozenset({"confirm", "kill", "cancel_working", "palette", "command"})


def commands(screen: Screen[Any]) -> Iterator[SystemCommand]:
    """Yield a command for each action of the desk screen that may be searched for."""
    for key in KEYS:
        if key.group != "move" and key.id not in KEPT_TO_KEYS:
            runner = _runner(screen, key.action or key.id)
            yield SystemCommand(key.words, f"key {key.keys}", runner)


def _runner(screen: Screen[Any], action: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await screen.app.run_action(action, screen)

    return run
