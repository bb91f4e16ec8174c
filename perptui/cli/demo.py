"""`perptui demo`: a whole desk on a simulated venue."""

from __future__ import annotations

import argparse
from pathlib import Path

from perptui.cli.simulate import require_seed
from perptui.client.demo import launcher, put_aside
from perptui.model.clock import SystemClock
from perptui.model.errors import InputError
from perptui.settings.schema import SimulatorSettings

SPEED_MAX = 10_000.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the market's options and the terminal's appearance."""
    parser.add_argument("--seed", type=int, default=7, help="of the generated market")
    parser.add_argument("--data", type=Path, help="replay this directory of Parquet history")
    parser.add_argument("--start", default="", help="where the replay begins, ISO 8601")
    parser.add_argument("--speed", type=float, default=1.0, help="venue seconds per second")
    add_appearance(parser)


def add_appearance(parser: argparse.ArgumentParser) -> None:
    """Add how the terminal draws, the same for every command that opens one."""
    parser.add_argument("--theme", default="", help="a theme's name, instead of ui.theme")
    parser.add_argument(
        "--low-bandwidth", action="store_true", help="sixteen colours, for slow lines"
    )


def run(args: argparse.Namespace) -> int:
    """Start the children, then the terminal; end the children with it."""
    if not 0 < args.speed <= SPEED_MAX:
        raise InputError(
            f"expected --speed above 0 and up to {SPEED_MAX:g}, was {args.speed:g}; correct it"
        )
    require_seed(args.seed)
    data = "" if args.data is None else str(args.data.resolve())
    market = SimulatorSettings(seed=args.seed, data=data, start=args.start, speed=args.speed)
    clock = SystemClock()
    way = launcher(market, clock)
    try:
        if way.claim():
            put_aside(clock)
        # The children start with the first picture: before it they would only take its processor.
        from perptui.cli.terminal import open_terminal

        return open_terminal(way, args)
    finally:
        way.end()
