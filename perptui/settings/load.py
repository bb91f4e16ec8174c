"""Settings from their layers: the shipped file, the user's file, ``--set key=value``.

The user's file need not repeat everything, with these exceptions. Limits are taken from it alone:
one that is absent there is an error, never a broad default. And its ``[venues]`` and ``[stress]``
replace the shipped ones, so that no venue is polled, and no stress prepared for, that it does not
name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli

from perptui.model.errors import ConfigError
from perptui.settings.decode import decode
from perptui.settings.lines import lines_of
from perptui.settings.paths import config_file, resource
from perptui.settings.ranges import refuse_contradictions
from perptui.settings.schema import Settings

DEFAULT = "default"
COMMAND_LINE = "--set"
WHOLE_TABLES = ("limits", "venues", "stress")


class Loaded(msgspec.Struct, frozen=True):
    """Settings and where each value came from.

    Attributes
    ----------
    file : Path | None
        The user's file; None when only the shipped defaults are in force.
    origins : dict[str, str]
        By dotted path: ``default``, ``FILE:LINE`` (or ``FILE``), or ``--set``.
    """

    settings: Settings
    file: Path | None
    origins: dict[str, str]


def user_file() -> Path | None:
    """Return the user's config.toml, or None when there is none."""
    file = config_file()
    return file if file.is_file() else None


def load(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Loaded:
    """Return the settings in force.

    Parameters
    ----------
    file : Path, optional
        The user's file, usually `user_file()`; without one the shipped defaults stand alone.
    overrides : mapping, optional
        Values by dotted path that win over both, as `assignments` returns them.

    Raises
    ------
    ConfigError
        When a file cannot be read or is no TOML, or for the first key that is unknown, missing,
        of a wrong type, out of range, or in contradiction to another.
    """
    tree, _ = _read(resource("config.toml"))
    origins = dict.fromkeys(_leaves(tree), DEFAULT)
    if file is not None:
        user, lines = _read(file)
        for table in WHOLE_TABLES:
            if table == "limits" or table in user:
                tree[table] = {}
        _merge(tree, user)
        origins |= {path: _place(file, lines.get(path)) for path in _leaves(user)}
        origins |= {path: _place(file, line) for path, line in lines.items()}
    for path, value in (overrides or {}).items():
        _assign(tree, path, value)
        origins[path] = COMMAND_LINE

    def where(path: str) -> str:
        origin = origins.get(path, DEFAULT)
        return "" if origin == DEFAULT else f" ({origin})"

    settings = decode(Settings, tree, where)
    refuse_contradictions(settings, where)
    return Loaded(settings, file, origins)


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Return the values of ``--set key=value`` arguments by dotted path.

    A value is read as TOML; one that is not (a bare word) is taken as text.

    Raises
    ------
    ConfigError
        When an argument has no ``=`` or no key.
    """
    values: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise ConfigError(
                f"expected --set KEY=VALUE, was {text!r}; write it like --set limits.gross_max=2.5"
            )
        try:
            values[path.strip()] = tomli.loads(f"value = {value}")["value"]
        except (tomli.TOMLDecodeError, RecursionError):
            values[path.strip()] = value.strip()
    return values


def flat(settings: Settings) -> dict[str, Any]:
    """Return every value in force by dotted path, in the order of config.toml."""
    tree = msgspec.to_builtins(settings)
    for parameters in tree["strategy"].values():
        del parameters["name"]
    return _leaves(tree)


def _read(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"expected a readable file {file}, was not ({error.strerror}); "
            "`perptui config init` writes one"
        ) from error
    except UnicodeDecodeError:
        raise ConfigError(f"expected UTF-8 text in {file}, was not; save it as UTF-8") from None
    try:
        return tomli.loads(text), lines_of(text)
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"expected TOML in {file}, was not: {error}; mend that place") from None


def _place(file: Path, line: int | None) -> str:
    return str(file) if line is None else f"{file}:{line}"


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= _leaves(value, f"{path}.")
        else:
            found[path] = value
    return found


def _merge(tree: dict[str, Any], user: Mapping[str, Any]) -> None:
    for key, value in user.items():
        below = tree.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(below, value)
        else:
            tree[key] = value


def _assign(tree: dict[str, Any], path: str, value: Any) -> None:
    *tables, key = path.split(".")
    for table in tables:
        below = tree.setdefault(table, {})
        if not isinstance(below, dict):
            raise ConfigError(f"expected a key of config.toml, was {path!r}; {table} is a value")
        tree = below
    tree[key] = value
