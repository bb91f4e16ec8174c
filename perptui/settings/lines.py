"""In which line of a TOML file a key stands, as far as a scan can tell."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<table>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*(?P<key>[A-Za-z0-9_.\"' -]+?)\s*=")


def _dotted(text: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in text.split("."))


def lines_of(text: str) -> dict[str, int]:
    """Return the line of each table and key of `text` by dotted path, counted from 1.

    A path that the scan meets twice (a multi-line string can hold what looks like a key) is left
    out: a wrong line is worse than none.
    """
    found: dict[str, int] = {}
    doubtful: set[str] = set()
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _dotted(header["table"])
            path = table
        elif key := _KEY.match(line):
            path = ".".join(filter(None, (table, _dotted(key["key"]))))
        else:
            continue
        if path in found:
            doubtful.add(path)
        found[path] = number
    return {path: number for path, number in found.items() if path not in doubtful}
