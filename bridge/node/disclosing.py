"""What a call asks of the service that tells its persons that they hear a machine (`node.disclosure`)."""

from typing import Final, Protocol, TypeVar

from bridge.call.model import LineName
from bridge.call.routing import LegRole
from bridge.legs.base import Leg

Call = TypeVar("Call", contravariant=True)


class Disclosing(Protocol[Call]):
    """Tells the persons of calls, or does not."""

    def cover(self, line: LineName, leg: Leg, role: LegRole) -> LegRole:
        """Return the role of a leg that is about to join, with whether it is heard only after a disclosure."""

    def follow(self, runner: Call) -> None:
        """Do what is due in a call; called after each of its events, and never waits."""


class _Nothing:
    def cover(self, _line: LineName, _leg: Leg, role: LegRole) -> LegRole:
        return role

    def follow(self, runner: object) -> None:
        """Do nothing."""


NOTHING_TO_DISCLOSE: Final[Disclosing[object]] = _Nothing()
"""That of a bridge whose lines disclose nothing."""
