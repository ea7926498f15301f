"""Who hears whom: the default rows of the routing table.

Each leg declares what it hears and who hears it. The far party hears every leg meant for it that is
not muted; while the call is held, only what is meant for that. Mute and hold are nothing but sources
missing from rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bridge.call.model import LegId, Party


class Hears(StrEnum):
    """What a leg hears; the far party's row follows from `Heard` of the others."""

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
    """A leg as far as routing is concerned."""

    leg_id: LegId
    party: Party
    muted: bool = False
    hears: Hears = Hears.OTHERS
    heard: Heard = Heard.ALL


def routing_table(
    legs: Iterable[RoutedLeg], *, held: bool = False
) -> dict[LegId, frozenset[LegId]]:
    """Return the sources that each sink hears."""
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
