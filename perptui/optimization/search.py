"""A search that may be interrupted between two of its solves: a generator that pauses there."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Found = TypeVar("Found")
Search = Generator[None, None, Found]
"""Pauses by yielding; what it returns is the answer."""


def run(search: Search[Found]) -> Found:
    """Return the answer of a search that is not interrupted."""
    while True:
        try:
            next(search)
        except StopIteration as end:
            answer: Found = end.value
            return answer
