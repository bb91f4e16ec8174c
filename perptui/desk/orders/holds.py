"""Venues that orders are held back from: the key was refused, or the address is shut out.

What a venue said of one order may concern all of them. A refused key (-2015) halts the venue until
a person has looked after the key and says so; a firewall's 403 lets it rest for a while, since who
goes on knocking is shut out for longer. Both stand in the journal, so that a restart knows.
"""

from __future__ import annotations

from perptui.desk.orders.notes import Notes
from perptui.journal.events import Actor, VenueHeld
from perptui.journal.journal import Journal
from perptui.model.clock import MINUTE_MS, Clock, iso
from perptui.model.order import Consequence, Outcome
from perptui.model.text import safe_text

HALTED, RESTING, FREE = "HALTED", "RESTING", "FREE"
REST_MS = MINUTE_MS
"""How long a venue rests whose firewall refused a request: it names no time itself."""
LEAVE = "correct the key at the venue or in the configuration, then: perptui kill --release"
TEXT_LENGTH = 200


class Holds:
    """The venues of one desk that orders are held back from.

    Cancels and questions go on: they make nothing larger, and are tried ever more seldom.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._notes = Notes(journal)

    def asked_by(self, venue: str, outcome: Outcome) -> tuple[VenueHeld, ...]:
        """Return what the answer to an order asks for beyond it.

        Committed with the answer: a desk that ends between the two must not forget it.
        """
        said = safe_text(" ".join(filter(None, (outcome.code, outcome.text))), TEXT_LENGTH)
        before = self._standing(venue)
        halted = before is not None and before.state == HALTED
        if outcome.consequence is Consequence.HALT and not halted:
            return (VenueHeld(venue, HALTED, said),)
        if outcome.consequence is Consequence.BREAK and not halted:
            until_ms = self._clock.utc_ms() + REST_MS
            return (VenueHeld(venue, RESTING, said, until_ms),)
        return ()

    def lift(self, reason: str, actor: Actor) -> None:
        """Let orders go to every venue again; whoever asks answers for it in the journal.

        Raises
        ------
        JournalError
            When it cannot be journalled.
        """
        for venue in list(self._notes.holds):
            if self._standing(venue) is not None:
                said = safe_text(reason, TEXT_LENGTH)
                self._journal.append(VenueHeld(venue, FREE, said), actor=actor)

    @property
    def halted(self) -> dict[str, str]:
        """By venue, why no order goes there until a person lets it, with the cure."""
        return {
            venue: f"{venue} refused our key ({held.text}): {LEAVE}"
            for venue, held in self._held(HALTED).items()
        }

    @property
    def resting(self) -> dict[str, str]:
        """By venue, why no order goes there for a while, and until when."""
        return {
            venue: f"{venue} shut its door to this address ({held.text}): no order goes there "
            f"until {iso(held.until_ms or 0)[11:19]} UTC"
            for venue, held in self._held(RESTING).items()
        }

    @property
    def words(self) -> str:
        """All of it in one line; "" while no venue is held."""
        return "; ".join((*self.halted.values(), *self.resting.values()))

    def _held(self, state: str) -> dict[str, VenueHeld]:
        standing = {venue: self._standing(venue) for venue in self._notes.holds}
        return {
            venue: held
            for venue, held in standing.items()
            if held is not None and held.state == state
        }

    def _standing(self, venue: str) -> VenueHeld | None:
        held = self._notes.holds.get(venue)
        if held is None or held.state == FREE:
            return None
        over = held.until_ms is not None and self._clock.utc_ms() >= held.until_ms
        return None if over else held
