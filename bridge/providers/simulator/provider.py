"""Reaching numbers through the simulated contacts."""

from collections.abc import Set
from pathlib import Path

from bridge.call.model import LegId, LineName
from bridge.errors import Unreachable
from bridge.legs.base import DialledLeg
from bridge.legs.dial import DialOrder
from bridge.legs.simulator import CONTACTS, SimulatedContact, refuse

SPEECH = Path(__file__).parents[2] / "legs" / "simulator_speech.wav"


class SimulatorProvider:
    """Reaches numbers through the simulated contacts."""

    def __init__(self, lines: Set[LineName], *, speech: bytes, ring_seconds: float) -> None:
        self._lines = lines
        self._speech = speech
        self._ring_seconds = ring_seconds

    def has(self, line: LineName) -> bool:
        """Whether the line's provider is the simulator."""
        return line in self._lines

    async def dial(
        self, line: LineName, number: str, leg_id: LegId, order: DialOrder
    ) -> DialledLeg:
        """Give a leg that rings the number (`node.manager.Dialer`).

        Raises:
            Unreachable: the number is no contact that can be reached.
        """
        if refuse(number) is not None:
            known = "" if number in CONTACTS else "; the simulator knows 15550100001 to 15550100009"
            raise Unreachable(f"the number cannot be reached{known}")
        return self._contact(number, leg_id, inbound=False)

    def ring(self, number: str, leg_id: LegId) -> DialledLeg:
        """Give the leg of a contact that rings us."""
        return self._contact(number, leg_id, inbound=True)

    def _contact(self, number: str, leg_id: LegId, *, inbound: bool) -> DialledLeg:
        return SimulatedContact(
            leg_id,
            number,
            inbound=inbound,
            ring_seconds=self._ring_seconds,
            speech=self._speech,
        )
