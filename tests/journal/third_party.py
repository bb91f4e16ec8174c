"""A verifier as an auditor would write it from `perptui.journal.heads`' docstring alone.

Nothing of perptui is imported.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Digits(str):
    """A number's digits as the file has them."""

    __slots__ = ()


def canonical(value: Any) -> str:
    """RFC 8785 of what was read; numbers keep their digits."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def read(line: bytes) -> Any:
    return json.loads(line, parse_int=Digits, parse_float=Digits)


def first_bad(file: Path, heads: Path | None = None, key: str = "") -> int | None:
    """Return the number of the first bad event, None when all stand."""
    hashes = ["0" * 64]
    for line in file.read_bytes().splitlines(keepends=True):
        number = len(hashes)
        try:
            event = read(line)
            own = event.pop("hash")
            text = canonical(event)
        except (ValueError, AttributeError, KeyError):
            return number
        chained = "perptui-audit-v1\n" + event["prev"] + text
        right = hashlib.sha256(chained.encode()).hexdigest()
        whole = canonical({**event, "hash": own}).encode() + b"\n"
        if (own, event["prev"], event["seq"], whole) != (right, hashes[-1], str(number), line):
            return number
        hashes.append(own)
    return _contradicted(hashes, heads, key) if heads is not None else None


def _contradicted(hashes: list[str], heads: Path, key: str) -> int | None:
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    for line in heads.read_bytes().splitlines():
        head = read(line)
        signature = bytes.fromhex(head.pop("sig"))
        try:
            public.verify(signature, b"perptui-head-v1\n" + canonical(head).encode())
        except InvalidSignature:
            continue
        seq = int(head["seq"])
        if seq >= len(hashes):
            return len(hashes)
        if hashes[seq] != head["hash"]:
            return seq
    return None
