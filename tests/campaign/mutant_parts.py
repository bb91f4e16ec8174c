"""What broken order paths are made with: a list that they are put into, and inner parts by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tests.campaign.mutants import Mutant, Patch

Made = Callable[[], tuple[Patch, ...]]


class Adding(Protocol):
    """A decorator that takes a broken path's name, and the theme that it is hunted in."""

    def __call__(self, name: str, theme: str = "") -> Callable[[Made], Made]:
        """Return what puts a path's patches into the list."""


def adding_to(mutants: list[Mutant]) -> Adding:
    """Return a decorator that puts what it decorates into a list, by name."""

    def named(name: str, theme: str = "") -> Callable[[Made], Made]:
        def add(made: Made) -> Made:
            mutants.append(Mutant(name, made, theme))
            return made

        return add

    return named


def part(owner: Any, name: str) -> Any:
    """Return an inner part of the desk by name: a mutant stands inside it."""
    return getattr(owner, name)


def venue_of(sender: Any, leg: Any) -> Any:
    """Return the venue that a leg goes to."""
    return part(sender, "_venues")[leg.intent.id.partition(":")[0]]


def doing(owner: Any, name: str, result: Any) -> Made:
    """Return patches by which a method does nothing and returns `result`."""

    def made() -> tuple[Patch, ...]:
        def nothing(*_: Any, **__: Any) -> Any:
            return result

        return ((owner, name, nothing),)

    return made


def doing_later(owner: Any, name: str, result: Any = None) -> Made:
    """Return patches by which an asynchronous method does nothing and returns `result`."""

    def made() -> tuple[Patch, ...]:
        async def nothing(*_: Any, **__: Any) -> Any:
            return result

        return ((owner, name, nothing),)

    return made
