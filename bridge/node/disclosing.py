"""The interface between a call and the service that speaks disclosures (`node.disclosure`)."""

from typing import Final, Protocol, TypeVar

from bridge.call.model import LineName
from bridge.call.routing import LegRole
from bridge.legs.base import Leg

Call = TypeVar("Call", contravariant=True)


class Disclosing(Protocol[Call]):
    """Speaks the disclosures in calls."""

    def cover(self, line: LineName, leg: Leg, role: LegRole) -> LegRole:
        """Return the role of a leg that is about to join, completed with whether it is heard only after the disclosure."""

    def follow(self, runner: Call) -> None:
        """Hold machines and start disclosures as needed; called after each event of a call, never blocks."""


class _Nothing:
    def cover(self, _line: LineName, _leg: Leg, role: LegRole) -> LegRole:
        return role

    def follow(self, runner: object) -> None:
        """Do nothing."""


NOTHING_TO_DISCLOSE: Final[Disclosing[object]] = _Nothing()
"""For a bridge without disclosures."""
