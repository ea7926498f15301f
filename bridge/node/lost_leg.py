"""A leg of a call whose process has died, with which no other process can go on."""

from bridge.call.events import LegEnded
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.legs.base import Emit


class LostLeg:
    """Stands in the call for what is lost, and ends as `node_lost` once it is run."""

    source = None
    sink = None
    lost = True

    def __init__(self, leg_id: LegId, kind: LegKind) -> None:
        self.leg_id = leg_id
        self.kind = kind

    async def run(self, emit: Emit) -> None:
        """End; see `legs.base.Leg`."""
        emit(LegEnded(self.leg_id, EndReason.NODE_LOST))

    def statistics(self) -> LegStatistics:
        """Return nothing: its figures are lost too."""
        return LegStatistics()
