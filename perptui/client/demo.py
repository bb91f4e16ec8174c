"""The demo: a desk named ``demo`` on a simulated venue, all of it children of one terminal.

Nothing in the desk knows of it: it is the shipped configuration with the venue's socket set.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from perptui.client.launch import Launcher, Market, place_of
from perptui.desk.lifecycle import PEAK, put_aside_journal
from perptui.model.clock import Clock, parse_iso
from perptui.model.errors import InputError
from perptui.settings import paths
from perptui.settings.schema import SimulatorSettings

DESK = "demo"
VENUE = "binanceusdm"
COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE")
"""Those of the opening book: every further one delays the first proposal by its history."""
ALONE_USD = 1_000_000_000
"""More than any ticket may be: the demo has one trader, and nobody who could approve."""


def launcher(market: SimulatorSettings, clock: Clock) -> Launcher:
    """Return the way to the demo desk: the running one, else one of our own to start.

    Raises
    ------
    InputError
        When the market's directory or start is none.
    ConfigError
        When the demo's directories cannot be used.
    """
    venue_socket = paths.socket_file(DESK, name="venue")
    command = ["--config", str(paths.resource("config.toml"))]
    for assignment in assigned(coins_of(market), venue_socket):
        command += ["--set", assignment]
    simulated = Market(venue_socket, paths.log_file(DESK, "simulator"), market)
    return Launcher(place_of(DESK), clock, command, simulated)


def assigned(coins: Iterable[str], venue_socket: Path) -> tuple[str, ...]:
    """Return what the demo sets of the shipped configuration, as arguments of ``--set``."""
    symbols = json.dumps([f"{coin}/USDT:USDT" for coin in coins])
    return (
        f'desk.name="{DESK}"',
        'desk.mode="paper"',
        f"venues.{VENUE}.socket={json.dumps(str(venue_socket))}",
        f"venues.{VENUE}.symbols={symbols}",
        f"approval.notional_usd={ALONE_USD}",
    )


def coins_of(market: SimulatorSettings) -> tuple[str, ...]:
    """Return the demo's coins: those that the replayed directory has hourly bars of, else all.

    Raises
    ------
    InputError
        When the directory has none of them, or the start is no instant.
    """
    if market.start:
        try:
            parse_iso(market.start)
        except ValueError:
            raise InputError(
                f"expected an ISO 8601 instant, was {market.start!r}; "
                "write it like 2024-08-04T12:00Z"
            ) from None
    if not market.data:
        return COINS
    folder = Path(market.data) / "binance"
    found = tuple(coin for coin in COINS if (folder / f"{coin}USDT-1h.parquet").is_file())
    if not found:
        raise InputError(
            f"expected hourly bars like {folder}/BTCUSDT-1h.parquet, was none; "
            "point --data at a directory of market history"
        )
    return found


def put_aside(clock: Clock) -> None:
    """Make room for a new demo: keep the earlier journal under its time, forget its market."""
    state = paths.state_dir(DESK)
    put_aside_journal(paths.journal_file(DESK), clock.utc_ms())
    shutil.rmtree(state / "history", ignore_errors=True)
    for left in (paths.KILL_FILE, PEAK):
        (state / left).unlink(missing_ok=True)
