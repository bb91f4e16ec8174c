"""What a desk says of itself at its start, before anything may be sent."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from perptui.desk.simulated_venue import keyless, on_paper
from perptui.model.errors import ConfigError
from perptui.settings import credentials
from perptui.settings.schema import Settings

ACCOUNT = "account"
"""File in a desk's folder that says of whose account its journal is."""
NO_KEYS = "none"


def sources_of(settings: Settings) -> dict[str, str]:
    """Return where the keys of each real venue come from, in words; never the keys.

    Raises
    ------
    ConfigError
        When a source has keys and cannot be trusted or read.
    """
    found = {}
    for name, venue in settings.venues.items():
        if venue.endpoint != "simulated":
            keys = credentials.find(name, venue.account)
            found[name] = NO_KEYS if keys is None else keys.source
    return found


def refuse_live(settings: Settings, *, allowed: bool) -> None:
    """Let a desk send for real only where the configuration and the command line both say so.

    Parameters
    ----------
    allowed : bool
        ``--live`` was given.

    Raises
    ------
    ConfigError
        When one of them does not say so, and as root.
    """
    live = settings.desk.mode == "live"
    if live and not allowed:
        raise ConfigError(
            'expected --live with desk.mode = "live", was without; add --live to send real '
            'orders, or set desk.mode = "paper"'
        )
    if allowed and not live:
        raise ConfigError(
            f'expected desk.mode = "live" with --live, was {settings.desk.mode!r}; '
            "leave --live out, or set the mode"
        )
    if live and os.getuid() == 0:
        raise ConfigError(
            "expected an ordinary user in live mode, was root; use an account of its own"
        )


def require_keys(settings: Settings) -> None:
    """Let no desk begin in live mode without the keys of each venue.

    Raises
    ------
    ConfigError
        When one has none, or they cannot be trusted or read.
    """
    if settings.desk.mode != "live":
        return
    for name, source in sources_of(settings).items():
        if source == NO_KEYS:
            account = settings.venues[name].account
            raise ConfigError(
                f"expected keys of {name} {account} in live mode, was none; write "
                f"{credentials.file_of(name, account)} (mode 0600) with api_key and secret"
            )


def account_of(settings: Settings) -> str:
    """Return whose account the desk has, in a word: SIMULATED, PAPER, REHEARSAL, TESTNET, LIVE.

    Raises
    ------
    ConfigError
        When a source has keys and cannot be trusted or read.
    """
    return "PAPER" if on_paper(settings) else settings.market_words


def refuse_other_account(settings: Settings, state: Path) -> None:
    """Let a desk go on with the account that its journal is of, and with no other.

    Parameters
    ----------
    state : Path
        The desk's folder.

    Raises
    ------
    ConfigError
        When the journal there is of another account.
    """
    file, account = state / ACCOUNT, account_of(settings)
    try:
        before = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        before = ""
    if before and before != account and (state / "journal.db").exists():
        raise ConfigError(
            f"expected desk {settings.desk.name} to go on with its {before} account, was {account}"
            f"; give this one a desk.name of its own, or put {state} aside"
        )
    if before != account:
        file.write_text(f"{account}\n", encoding="utf-8")
        file.chmod(0o600)


def told_at_start(settings: Settings, config: Path | None) -> Iterator[tuple[str, str]]:
    """Yield (level, line) of what a trader should know of this desk.

    Parameters
    ----------
    config : Path, optional
        The configuration in force.
    """
    for name, source in sources_of(settings).items():
        if source != NO_KEYS:
            yield "info", f"keys of {name} from {source}"
    if keyless(settings):
        equity = f"{settings.paper.equity_usd:,.0f} USD"
        yield "warn", f"no key, so no account: the book is a paper account of {equity}, not yours"
    for path in filter(None, (config, _shared_folder(settings))):
        said = writable_by_others(path)
        if said:
            yield "alarm" if settings.desk.mode == "live" else "warn", said


def _shared_folder(settings: Settings) -> Path | None:
    folder = settings.desk.socket_dir
    return Path(folder).expanduser() if folder else None


def writable_by_others(path: Path) -> str:
    """Return that others than owner and root can change `path`, in words; "" when they cannot.

    A folder that its group may write is another matter than one that everybody may: each may put
    files there, but with the sticky bit nobody takes away another's.
    """
    try:
        found = path.stat()
    except OSError:
        return ""
    mode = stat.S_IMODE(found.st_mode)
    open_to = stat.S_IWOTH if stat.S_ISDIR(found.st_mode) else stat.S_IWOTH | stat.S_IWGRP
    if found.st_uid not in {os.getuid(), 0}:
        return f"{path} belongs to uid {found.st_uid}: take it over or use another"
    if mode & open_to:
        return f"{path} can be changed by others (mode {mode:04o}): chmod go-w {path}"
    if stat.S_ISDIR(found.st_mode) and mode & stat.S_IWGRP and not mode & stat.S_ISVTX:
        return f"whoever writes in {path} can take the desk's socket away: chmod +t {path}"
    return ""
