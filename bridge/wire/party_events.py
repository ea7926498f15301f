"""The events of a call that the holder of a ticket may see: one party's page or app. The line's key sees all."""

from typing import Final

import msgspec

from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.metadata import NOTHING

FAR: Final = "far"
FOR_ALL: Final = frozenset(
    {
        EventType.CALL_INITIATED,
        EventType.CALL_RINGING,
        EventType.CALL_CONNECTING,
        EventType.CALL_ANSWERED,
        EventType.CALL_ACTIVE,
        EventType.CALL_HELD,
        EventType.CALL_RESUMED,
        EventType.CALL_ENDED,
    }
)
"""The state of the call: for both sides."""
OF_A_LEG: Final = frozenset(
    {
        EventType.LEG_JOINED,
        EventType.LEG_CONNECTED,
        EventType.LEG_SILENT,
        EventType.LEG_RESUMED,
        EventType.LEG_RESTARTED,
        EventType.LEG_LEFT,
        EventType.DIGIT_RECEIVED,
    }
)
"""For the side of the call that the leg is on."""
FOR_NEAR: Final = frozenset(
    {
        EventType.CALL_MACHINE_DETECTED,
        EventType.CALL_MUTED,
        EventType.CALL_PROBLEM,
        EventType.CALL_PROBLEM_CLEARED,
        EventType.PARTY_MUTED,
        EventType.PARTY_HELD,
        EventType.TRANSFER_STARTED,
        EventType.TRANSFER_COMPLETED,
        EventType.TRANSFER_FAILED,
        EventType.LEG_HELD,
        EventType.LEG_UNHELD,
        EventType.TRANSCRIPT,
        EventType.TRANSCRIPT_READY,
        EventType.TRANSCRIPT_FAILED,
        EventType.AGENT_INTERRUPTED,
        EventType.AGENT_REPLIED,
        EventType.AGENT_FAILED,
        EventType.TURN,
        EventType.OVERLAP_STARTED,
        EventType.OVERLAP_ENDED,
    }
)
"""For the near side: transcripts, mutes, holds, transfers, problems, agents, turns and overlaps."""
SERVER_HOPS: Final = frozenset({"stream", "recording"})
"""Hops whose problems are between the customer's server and the bridge."""


def as_seen_by(party: str, event: CallEvent) -> CallEvent | None:
    """Return an event as a ticket's holder may see it; None for one that it may not.

    `party` is the ticket's: `near`, `far` or `transfer`, which is a near one. Types that are not listed here
    are not shown. The call is without `metadata` and `tag`, which are between the customer's server and the bridge.
    """
    side = FAR if party == FAR else "near"
    shown = (
        event.type in FOR_ALL
        or (event.type in OF_A_LEG and event.data.get("party") == side)
        or (event.type in FOR_NEAR and side != FAR and event.data.get("hop") not in SERVER_HOPS)
    )
    if not shown:
        return None
    call = event.call and msgspec.structs.replace(
        event.call, metadata=NOTHING, tag="", callback_url=""
    )
    return msgspec.structs.replace(event, call=call)
