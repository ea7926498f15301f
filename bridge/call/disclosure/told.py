"""Who has been told that a machine speaks in the call; pure.

The rule, which `call.routing` applies: no person hears a leg that discloses (`LegRole.discloses`) before the line's disclosure
has been spoken to them to its end. A disclosure is spoken by a leg of its own (`LegRole.only_to`). Who stops hearing it on the
way, because they are held, say, has not been told, and is told anew.
"""

from collections.abc import Mapping

from bridge.call.disclosure_wording import Wording
from bridge.call.model import LegId


class Disclosure:
    """The persons of one call that have been told, and those that are being told."""

    def __init__(self) -> None:
        self.told: frozenset[LegId] = frozenset()
        """Also who may come back (`call.leg_record.DepartedLegs`)."""
        self.first: tuple[float, Wording] | None = None
        """When somebody had first heard all of it, and what that was."""
        self._hearing: dict[LegId, frozenset[LegId]] = {}
        """Who has heard all of it so far, by the leg that speaks."""

    def listeners(self, speaking: LegId) -> frozenset[LegId]:
        """Return who has heard everything that a leg has said of the disclosure so far."""
        return self._hearing.get(speaking, frozenset())

    def begin(self, speaking: LegId, listeners: frozenset[LegId]) -> None:
        """Note that a leg begins to speak to them; those are left out who do not hear it at once."""
        self._hearing[speaking] = listeners

    def note(self, rows: Mapping[LegId, frozenset[LegId]]) -> None:
        """Note who hears whom from now on."""
        for speaking, listeners in self._hearing.items():
            self._hearing[speaking] = frozenset(
                one for one in listeners if speaking in rows.get(one, ())
            )

    def spoken(self, speaking: LegId, wording: Wording, now: float) -> None:
        """Note that a leg has said all of it."""
        told = self._hearing.pop(speaking, frozenset())
        if told and self.first is None:
            self.first = now, wording
        self.told |= told

    def left(self, leg_id: LegId, *, returns: bool) -> None:
        """Note that a leg has left; who `returns` has been told already then."""
        self._hearing.pop(leg_id, None)
        if not returns:
            self.told -= {leg_id}
