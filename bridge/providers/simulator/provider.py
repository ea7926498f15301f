"""Reaching numbers through the simulated contacts."""

from collections.abc import Set
from pathlib import Path

from bridge.call.model import CallFacts, LineName
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, PassedLeg, new_leg_id
from bridge.legs.simulator import ContactSnapshot, SimulatedContact

SPEECH = Path(__file__).parents[2] / "legs" / "simulator_speech.wav"


class SimulatorProvider:
    """Reaches numbers through the simulated contacts."""

    name = "simulator"

    def __init__(self, lines: Set[LineName], *, speech: bytes, ring_seconds: float) -> None:
        self._lines = lines
        self._speech = speech
        self._ring_seconds = ring_seconds

    def has(self, line: LineName) -> bool:
        """Whether the line's provider is the simulator."""
        return line in self._lines

    def health(self, line: LineName) -> ServiceHealth:
        """Return that of no server."""
        return ServiceHealth()

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that rings the number (`legs.base.Dialer`)."""
        return self.leg(number, inbound=False)

    def leg(self, number: str, *, inbound: bool) -> DialledLeg:
        """Return the leg of a contact that we call, or that calls us."""
        return SimulatedContact(
            new_leg_id(),
            number,
            inbound=inbound,
            ring_seconds=self._ring_seconds,
            speech=self._speech,
        )

    def restore(self, passed: PassedLeg) -> SimulatedContact:
        """Return the leg of a contact that another process has passed to this one."""
        snapshot = passed.read(ContactSnapshot)
        contact = SimulatedContact(
            passed.leg_id,
            snapshot.number,
            inbound=snapshot.inbound,
            ring_seconds=self._ring_seconds,
            speech=self._speech,
        )
        contact.restore(snapshot)
        return contact
