"""Parser fuzz: real payloads mutated; each parser returns sound records or a `VenueError`."""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

from perptui.model.errors import VenueError
from perptui.model.text import safe_text
from tests.campaign.coverage import Coverage, TierResult
from tests.campaign.invariants import faults_of
from tests.campaign.payload_parsers import Parser, documented, encoded, parsed, simulated
from tests.campaign.shell import main, replay
from tests.canary import CANARY

NAME = "fuzz"
STRUCTURED = 0.7
"""Share of payloads whose fields are changed; of the others, bytes are."""
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, -(2**70), 1e308, float("nan"), float("inf"), 5e-324),
    *("", "0", "-0", "-1", "1e999", "-1e-999", "NaN", "Infinity", "1_000", " 1", "\u0661", "0x10"),
    *("+1", "1.", ".5", "9" * 60, "[@click=app.x]SAFE[/]", "[/]", "\x1b[2J", "\x9b31m", "BOTH"),
    *("\u202eBTC", "\u200bBTC", "\ud800", "A" * 4000, "BTCUSDT", "SELL", "FILLED", "USDT", CANARY),
    *([], {}, [[]], {"code": -1}, [1, "2"]),
)
FRAGMENTS = (b'"', b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"1e999", b"null", b"\xff", b"\x00")


def run(count: int, seed: int, _coverage: Coverage | None = None) -> TierResult:
    """Feed `count` mutated payloads to the parsers; case n is drawn from `seed` + n alone."""
    began = time.monotonic()
    parsers = sorted({**documented(), **simulated()}.items())
    violations: list[str] = []
    for case in range(seed, seed + count):
        name, parser, body = drawn(parsers, case)
        found = broken(parser, body)
        if found:
            again = replay(NAME, case)
            violations.append(f"{name}: expected {found[0]}; {again}")
    return TierResult(NAME, count, count, violations, time.monotonic() - began)


def drawn(parsers: list[tuple[str, Parser]], case: int) -> tuple[str, Parser, bytes]:
    """Return the parser and the body of one case."""
    draw = random.Random(case)
    name, parser = draw.choice(parsers)
    if draw.random() < STRUCTURED:
        payload = parser.payload
        for _ in range(draw.randint(1, 3)):
            payload = _mutated(payload, draw)
        text = json.dumps(payload, ensure_ascii=draw.random() < 0.5)
        return name, parser, text.encode("utf-8", "surrogatepass")
    return name, parser, _torn(encoded(parser.payload), draw)


def broken(parser: Parser, body: bytes) -> list[str]:
    """Return what a parser made of a body that it must not; [] when it did right."""
    try:
        found = parsed(parser, body)
    except VenueError as error:
        text = str(error)
        if CANARY in text:
            return ["no canary in an error's text"]
        return [] if safe_text(text, len(text) + 1) == text else [f"a printable error: {text!r}"]
    return faults_of(found)


def _mutated(value: Any, draw: random.Random) -> Any:
    """Return `value` with one place in it deleted, doubled, retyped or replaced."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        change = draw.random()
        if change < 0.1:
            return {name: item for name, item in value.items() if name != key}
        if change < 0.15:
            return {**value, f"{key}\u200b": value[key]}
        return {**value, key: _mutated(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        change = draw.random()
        if change < 0.1:
            return [*value[:place], *value[place + 1 :]]
        if change < 0.25:
            return [*value, value[place]]
        return [*value[:place], _mutated(value[place], draw), *value[place + 1 :]]
    return _replaced(value, draw)


def _replaced(value: Any, draw: random.Random) -> Any:
    change = draw.random()
    if change < 0.05:
        return _nested(draw)
    if change < 0.3 and isinstance(value, str):
        return draw.choice((f"-{value}", f"{value}0", value[:-1], f" {value}", f"{value}e5"))
    if change < 0.3 and isinstance(value, int):
        return draw.choice((-value, str(value), value + 1, value * 1000, float(value)))
    return draw.choice(HOSTILE)


def _nested(draw: random.Random) -> Any:
    deep: Any = []
    for _ in range(draw.choice((3, 60, 400))):
        deep = [deep] if draw.random() < 0.5 else {"a": deep}
    return deep


def _torn(body: bytes, draw: random.Random) -> bytes:
    """Return bytes cut, doubled, changed, or opened so deep that a reader could lose its stack."""
    change = draw.random()
    if change < 0.05:
        return draw.choice((b"[", b'{"a":', b"[[{")) * draw.choice((10, 1000, 20_000))
    for _ in range(draw.randint(1, 4)):
        begin = draw.randrange(len(body) + 1)
        end = min(len(body), begin + draw.randint(0, 40))
        kind = draw.randrange(4)
        if kind == 0:
            body = body[:begin]
        elif kind == 1:
            body = body[:end] + body[begin:]
        elif kind == 2:
            body = body[:begin] + draw.choice(FRAGMENTS) + body[end:]
        else:
            body = body[:begin] + draw.randbytes(1) + body[begin + 1 :]
    return body


if __name__ == "__main__":
    sys.exit(main(NAME, 100000, run))
