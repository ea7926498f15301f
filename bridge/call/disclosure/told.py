"""Who in a call has heard the line's disclosure; pure.

The rule, which `call.routing` applies: no person hears a leg that discloses (`LegRole.discloses`) before they have heard the
line's disclosure to its end. The disclosure is spoken by a leg of its own (`LegRole.only_to`). Whoever stops hearing it before
its end, for example because they are put on hold, has to hear it again.
"""

from collections.abc import Mapping

from bridge.call.disclosure_wording import Wording
from bridge.call.model import LegId


class Disclosure:
    """The persons of one call who have heard the disclosure, and those who are listening to it."""

    def __init__(self) -> None:
        self.told: frozenset[LegId] = frozenset()
        """Who has heard it, including those who left and may return (`call.leg_record.DepartedLegs`)."""
        self.first: tuple[float, Wording] | None = None
        """When it had first been heard completely, and its wording."""
        self._hearing: dict[LegId, frozenset[LegId]] = {}
        """Who has heard all of it so far, by the leg that speaks it."""

    def listeners(self, speaking: LegId) -> frozenset[LegId]:
        """Return who has heard all of the disclosure that a leg has spoken so far."""
        return self._hearing.get(speaking, frozenset())

    def begin(self, speaking: LegId, listeners: frozenset[LegId]) -> None:
        """Record that a leg begins to speak to these listeners; `note` removes those who do not hear it."""
        self._hearing[speaking] = listeners

    def note(self, rows: Mapping[LegId, frozenset[LegId]]) -> None:
        """Record a new routing table."""
        for speaking, listeners in self._hearing.items():
            self._hearing[speaking] = frozenset(
                one for one in listeners if speaking in rows.get(one, ())
            )

    def spoken(self, speaking: LegId, wording: Wording, now: float) -> None:
        """Record that a leg has spoken it completely."""
        told = self._hearing.pop(speaking, frozenset())
        if told and self.first is None:
            self.first = now, wording
        self.told |= told

    def left(self, leg_id: LegId, *, returns: bool) -> None:
        """Record that a leg has left; one that `returns` need not hear it again."""
        self._hearing.pop(leg_id, None)
        if not returns:
            self.told -= {leg_id}
