"""Where a key's time goes between the processes of a desk, from outside: for `what_if --hops`.

Each Python process that is started with `environment` imports this module before anything else
(`sitecustomize`), wraps the functions named in `WRAPPED` as their modules are imported, and writes
a line to one file whenever one of them begins or ends. The product knows nothing of it. Stamps are
monotonic seconds of the machine, which all processes share; writing one takes some microseconds.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

VARIABLE = "PERPTUI_HOPS"
ROOT = Path(__file__).resolve().parents[1]
LONG_PAUSE_S = 0.002
"""From this on, a pause of the garbage collector is told."""

WRAPPED: dict[str, tuple[tuple[str, str], ...]] = {
    "textual._xterm_parser": (("XTermParser.feed", "read"),),
    "perptui.tui.actions_rebalance": (("RebalanceActions._nudge", "key"),),
    "perptui.client.attach": (("frame", "asked"), ("Attachment._take", "taken")),
    "perptui.tui.painting": (("Painting.paint", "painted"),),
    "perptui.desk.server": (("decode_to_desk", "desk got"), ("Terminal._take", "views sent")),
    "perptui.desk.worker": (("QuantWorker._request", "job sent"), ("QuantWorker._answer", "back")),
    "perptui.quant.worker": (("Worker.answer", "quant"),),
}
"""What is wrapped, by module: the attribute and the name of its stamp."""

CHAIN = (
    ("read", ">", ""),
    ("key", ">", ""),
    ("asked", "<", ""),
    ("desk got", "<", ""),
    ("job sent", "<", "ProposeJob"),
    ("quant", ">", "ProposeJob"),
    ("quant", "<", ""),
    ("back", ">", ""),
    ("views sent", "<", "rebalance"),
    ("taken", ">", "rebalance"),
    ("taken", "<", ""),
    ("painted", "<", ""),
)
"""A key's way: each stamp is the first of its kind after the one before; ">" begins, "<" ends."""


class Stamp(NamedTuple):
    """One line of the file."""

    at: float
    name: str
    edge: str
    words: str


# -------------------------------------------------------------------- in the processes of the desk


def environment(folder: Path) -> dict[str, str]:
    """Return what a process is started with to write its stamps, and make the file's folder."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("from benchmarks import hops\n\nhops.begin()\n")
    return {VARIABLE: str(folder / "stamps"), "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def begin() -> None:
    """Stamp from here on, in this process."""
    target = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def stamp(name: str, edge: str, words: str = "") -> None:
        os.write(target, f"{time.monotonic():.6f}\t{name}\t{edge}\t{words}\n".encode())

    sys.meta_path.insert(0, _Finder(stamp))
    began = [0.0]

    def collected(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            began[0] = time.monotonic()
        elif time.monotonic() - began[0] >= LONG_PAUSE_S:
            took = (time.monotonic() - began[0]) * 1e3
            stamp("collector", "<", f"{os.getpid()} generation {info['generation']} {took:.1f} ms")

    gc.callbacks.append(collected)


class _Finder:
    """Wraps what `WRAPPED` names as soon as its module is there."""

    def __init__(self, stamp: Callable[..., None]) -> None:
        self._stamp = stamp
        self._looking = False

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Return the module's own spec, whose loader wraps after it; None for any other."""
        if name not in WRAPPED or self._looking:
            return None
        self._looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                for attribute, stamped in WRAPPED[name]:
                    _wrap(module, attribute, stamped, self._stamp)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _wrap(module: Any, attribute: str, name: str, stamp: Callable[..., None]) -> None:
    *outer, last = attribute.split(".")
    owner = functools.reduce(getattr, outer, module)
    inner = getattr(owner, last)

    @functools.wraps(inner)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        stamp(name, ">", _words(args))
        result = inner(*args, **kwargs)
        stamp(name, "<", _words(result) or _words(args))
        return result

    setattr(owner, last, wrapped)


def _words(values: Any) -> str:
    """Return what a call is about: kinds of jobs, panels and their sizes."""
    found = []
    for value in values if isinstance(values, tuple | list) else (values,):
        panel = getattr(value, "panel", "")
        if panel and hasattr(value, "body"):
            found.append(f"{panel} {len(value.body)}")
        elif isinstance(value, bytes) and b"panel" in value[:60]:
            found.append(value[:60].split(b"panel", 1)[1][1:].split(b"\xa4", 1)[0].decode("latin1"))
        elif type(value).__name__.endswith(("Job", "History")):
            found.append(type(value).__name__)
        elif hasattr(value, "job"):
            found.append(type(value.job).__name__)
    return ", ".join(found)


# -------------------------------------------------------------------- in the benchmark


def stamps(folder: Path) -> list[Stamp]:
    """Return what was stamped so far, in order of time."""
    lines = (folder / "stamps").read_text().splitlines()
    parts = (line.split("\t") for line in lines)
    return sorted(Stamp(float(at), name, edge, words) for at, name, edge, words in parts)


def ways(found: Sequence[Stamp], keys: Iterable[tuple[float, float]]) -> list[list[float]]:
    """Return for each key (pressed, repainted) the moments of its way; none where one lacks."""
    result = []
    for pressed, repainted in keys:
        mine = [one for one in found if pressed <= one.at <= repainted]
        way, at = [pressed], pressed
        for name, edge, words in CHAIN:
            after = (
                one.at
                for one in mine
                if one.at >= at and (one.name, one.edge) == (name, edge) and words in one.words
            )
            at = next(after, float("nan"))
            way.append(at)
        if way[-1] == way[-1]:
            result.append([*way, repainted])
    return result


def report(folder: Path, keys: Sequence[tuple[float, float]]) -> None:
    """Print each hop's median, 95th percentile and share of the slow keys, and what else ran."""
    found = stamps(folder)
    told = ways(found, keys)
    if not told:
        print("no key's way is whole")
        return
    names = ["pressed", *(f"{name}{edge}" for name, edge, _ in CHAIN), "on the screen"]
    slow = sorted(told, key=lambda way: way[-1] - way[0])[-max(len(told) // 10, 1) :]
    print(f"{len(told)} keys of {len(keys)}; ms: median, p95, mean of the slowest tenth")
    for place in range(1, len(names)):
        took = sorted((way[place] - way[place - 1]) * 1e3 for way in told)
        tail = statistics.mean((way[place] - way[place - 1]) * 1e3 for way in slow)
        p95 = took[min(int(0.95 * len(took)), len(took) - 1)]
        step = f"{names[place - 1]:>14} -> {names[place]:<14}"
        print(f"{step}{statistics.median(took):>8.1f}{p95:>8.1f}{tail:>8.1f}")
    within = [one for one in found if any(way[0] <= one.at <= way[-1] for way in told)]
    print(f"sent while a key is under way, a key: {_bursts(within, len(told))}")
    others = [one.words for one in within if one.name == "quant" and one.edge == ">"]
    for words in sorted(set(others)):
        print(f"  quant {words}: {others.count(words) / len(told):.2f} a key")
    for one in within:
        if one.name == "collector":
            print(f"  collector {one.words}")


def _bursts(within: Sequence[Stamp], keys: int) -> str:
    bursts = [one.words for one in within if one.name == "views sent" and one.edge == "<"]
    sizes: dict[str, int] = {}
    for burst in bursts:
        for part in filter(None, burst.split(", ")):
            panel, _, size = part.partition(" ")
            sizes[panel] = sizes.get(panel, 0) + int(size or 0)
    each = ", ".join(f"{panel} {size / keys / 1e3:.1f}" for panel, size in sorted(sizes.items()))
    return f"{len(bursts) / keys:.1f} bursts, kB: {each}"
