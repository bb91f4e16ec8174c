"""``perptui simulate``: the simulated venue alone, for a desk or for any other client."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path

from perptui.model.errors import InputError
from perptui.model.pauses import spare

EXIT_FAILED = 1
PORT_MAX = 65535
UNEXPECTED = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
)
"""What a damaged installation, an unusable socket or a fault of ours may raise at the start."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--socket", required=True, help="UNIX socket to listen on (made 0600)")
    parser.add_argument("--port", type=int, help="listen on this port of 127.0.0.1 as well")
    parser.add_argument(
        "--wire", default="binanceusdm", help="protocol to speak, by ccxt's id (binanceusdm)"
    )
    parser.add_argument("--data", default="", help="directory of Parquet history to replay")
    parser.add_argument("--start", default="", help="ISO 8601 instant at which the market begins")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated market")
    parser.add_argument("--speed", type=float, default=1.0, help="venue seconds per second")
    parser.add_argument("--equity", default="404310", help="opening equity, USD")
    parser.add_argument(
        "--book", default="demo", help="demo, none, or a file of [{id, contracts, entry_price}]"
    )
    parser.add_argument(
        "--paper",
        default="",
        help="keep a paper account in this file, begun with --equity; its market is fed to it",
    )
    parser.add_argument(
        "--parent-fd", type=int, help="end when this file descriptor reaches its end"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM, the keyboard, or the end of the parent; 1 when it cannot start.

    Raises
    ------
    InputError
        When an option is wrong.
    """
    said: list[str] = []

    def ready() -> None:
        said.append(f"ready {args.socket}")
        sys.stdout.write(f"{said[0]}\n")
        sys.stdout.flush()

    try:
        _serve(args, ready)
    except UNEXPECTED as error:
        # Once it serves, a traceback in its log says more than a line does.
        if said:
            raise
        sys.stderr.write(f"perptui: the simulated venue cannot start: {_one_line(error)}\n")
        return EXIT_FAILED
    return 0


def _serve(args: argparse.Namespace, ready: Callable[[], None]) -> None:
    from perptui.model.clock import SystemClock
    from perptui.simulator.server import VenueServer, run_until_stopped
    from perptui.simulator.venue import ServedVenue, SimulatedVenue, VenueOptions

    _require_port(args.port)
    if args.paper:
        from perptui.simulator.paper import PaperAccount

        account: ServedVenue = PaperAccount(Path(args.paper), _equity(args.equity), SystemClock())
        run_until_stopped(VenueServer(account, Path(args.socket)), ready, args.parent_fd)
        return
    require_seed(args.seed)
    options = VenueOptions(
        wire=args.wire,
        data=args.data,
        start=args.start,
        seed=args.seed,
        speed=args.speed,
        equity=_equity(args.equity),
        book=args.book,
    )
    venue = SimulatedVenue(options, SystemClock())
    spare()
    run_until_stopped(VenueServer(venue, Path(args.socket), args.port), ready, args.parent_fd)


def _one_line(error: BaseException) -> str:
    """Return what failed and where: its kind, its text, and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(frame.filename).name}:{frame.lineno})"


def require_seed(seed: int) -> None:
    """Refuse a seed that a generator cannot have.

    Raises
    ------
    InputError
        When it is negative.
    """
    if seed < 0:
        raise InputError(f"expected --seed of 0 or above, was {seed}; give another")


def _require_port(port: int | None) -> None:
    if port is not None and not 1 <= port <= PORT_MAX:
        raise InputError(f"expected --port from 1 to {PORT_MAX}, was {port}; give another")


def _equity(text: str) -> Decimal:
    try:
        equity = Decimal(text)
    except InvalidOperation:
        equity = Decimal(0)
    if not equity.is_finite() or equity <= 0:
        raise InputError(f"expected dollars above 0 for --equity, was {text!r}; give a number")
    return equity
