"""What a publisher delivered, for tests of what publishes."""

from datetime import UTC, datetime

from bridge.call.model import CallDetails, CallFacts, CallId, CallRecord, Direction, LineName, State
from bridge.node.publisher import Publisher
from bridge.wire.call_event import CallEvent, CallSnapshot

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Published:
    """A publisher with a subscriber that remembers everything."""

    def __init__(self) -> None:
        self.events: list[CallEvent] = []
        self.publisher = Publisher()
        self.publisher.subscribe(self.events.append)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def of(self, kind: str) -> list[dict[str, object]]:
        """The data of all events of a type."""
        return [event.data for event in self.events if event.type == kind]


def call_event(
    kind: str, /, call_id: str = "00AB", line: str = "sales", **data: object
) -> CallEvent:
    """An event of an active call."""
    call = CallSnapshot(
        id=call_id, direction="outbound", state="active", peer="15550100001", started_at=AT
    )
    return CallEvent(id="evt_1", type=kind, line=line, at=AT, call=call, data=data)


def call_facts(line: str = "one", call_id: str = "00AB") -> CallFacts:
    """What stays true of a call."""
    return CallFacts(CallId(call_id), LineName(line), "15550100001", AT, CallDetails())


def call_record(call_id: str = "00AB", line: str = "one") -> CallRecord:
    """An active call."""
    return CallRecord(call_facts(line, call_id), Direction.OUTBOUND, State.ACTIVE, None, 3.0, ())
