"""Which desk and which journal a command means."""

from __future__ import annotations

import json
from pathlib import Path

from perptui.client.demo import DESK as DEMO
from perptui.model.errors import InputError
from perptui.settings.load import assignments, load, user_file
from perptui.settings.paths import journal_file, known


def desk_named(name: str) -> str:
    """Return the desk of that name, the configured one when it is empty.

    Raises
    ------
    ConfigError
        When the desk's name cannot be one.
    """
    given = [f"desk.name={json.dumps(name)}"] if name else []
    return load(user_file(), assignments(given)).settings.desk.name


def journal_of(name: str) -> Path:
    """Return the journal of the desk of that name, else of the configured one.

    Where the configured desk has none, it is the demo's: then the demo is all there is.

    Raises
    ------
    InputError
        When there is none.
    ConfigError
        When the desk's name cannot be one.
    """
    desk = desk_named(name)
    for candidate in (desk,) if name else (desk, DEMO):
        if known(candidate) and (path := journal_file(candidate)).is_file():
            return path
    raise InputError(f"expected a journal of desk {desk}, was none; name another with --desk")
