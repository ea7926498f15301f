"""Who hears whom: the default rows of the routing table.

Each leg says whom it wants to hear and by whom it is heard. The far party hears all that is meant
for it and is not muted; while the call is held it hears nothing but what is kept for that. Mute and
hold are sources missing from rows, nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bridge.call.model import LegId, Party


class Hears(StrEnum):
    """What a leg hears; the far party's row follows from what the others are heard by."""

    NOBODY = "nobody"
    OTHERS = "others"
    """Every other party's voice; no playback."""
    INBOUND = "inbound"
    """The far party."""
    OUTBOUND = "outbound"
    """Exactly what the far party is sent."""
    BOTH = "both"
    """The far party, and what it is sent."""


class Heard(StrEnum):
    """Who hears a leg."""

    NOBODY = "nobody"
    FAR = "far"
    """The far party alone."""
    ALL = "all"
    """The far party, and all who hear `Hears.OTHERS`."""
    HELD = "held"
    """The far party, and only while the call is held."""


@dataclass(frozen=True, slots=True)
class RoutedLeg:
    """A leg as the table sees it."""

    leg_id: LegId
    party: Party
    muted: bool = False
    hears: Hears = Hears.OTHERS
    heard: Heard = Heard.ALL


def routing_table(
    legs: Iterable[RoutedLeg], *, held: bool = False
) -> dict[LegId, frozenset[LegId]]:
    """Give for each sink the sources that it hears."""
    present = list(legs)
    far = frozenset(leg.leg_id for leg in present if leg.party is Party.FAR)
    outbound = frozenset(leg.leg_id for leg in present if _reaches_far(leg, held=held))
    others = frozenset(leg.leg_id for leg in present if leg.heard is Heard.ALL)
    rows = {
        Hears.NOBODY: frozenset[LegId](),
        Hears.OTHERS: others - far if held else others,
        Hears.INBOUND: far,
        Hears.OUTBOUND: outbound,
        Hears.BOTH: far | outbound,
    }
    return {
        sink.leg_id: (outbound if sink.party is Party.FAR else rows[sink.hears]) - {sink.leg_id}
        for sink in present
    }


def _reaches_far(leg: RoutedLeg, *, held: bool) -> bool:
    if leg.party is Party.FAR or leg.muted:
        return False
    return leg.heard is Heard.HELD if held else leg.heard in (Heard.FAR, Heard.ALL)
