"""Who hears whom: the default rows of the routing table.

The far party hears all near legs that are not muted; every near leg hears every other leg. Mute is
a source missing from the far party's row, nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.call.model import LegId, Party


@dataclass(frozen=True, slots=True)
class RoutedLeg:
    """A leg as the table sees it."""

    leg_id: LegId
    party: Party
    muted: bool = False


def routing_table(legs: Iterable[RoutedLeg]) -> dict[LegId, frozenset[LegId]]:
    """Give for each sink the sources that it hears."""
    present = list(legs)
    return {sink.leg_id: frozenset(_heard_by(sink, present)) for sink in present}


def _heard_by(sink: RoutedLeg, legs: list[RoutedLeg]) -> list[LegId]:
    others = [leg for leg in legs if leg.leg_id != sink.leg_id]
    if sink.party is Party.FAR:
        others = [leg for leg in others if not leg.muted]
    return [leg.leg_id for leg in others]
