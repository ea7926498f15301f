"""Which of a call's events the holder of a ticket is told, and what of them.

A ticket is in the hands of one party's page or app. The line's key is told everything.
"""

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
"""How the call stands: each of its parties may know."""
OF_A_LEG: Final = frozenset(
    {
        EventType.LEG_JOINED,
        EventType.LEG_CONNECTED,
        EventType.LEG_SILENT,
        EventType.LEG_RESUMED,
        EventType.LEG_LEFT,
        EventType.DIGIT_RECEIVED,
    }
)
"""Told to the side of the call that the leg is on."""
FOR_NEAR: Final = frozenset(
    {
        EventType.CALL_MUTED,
        EventType.PARTY_MUTED,
        EventType.TRANSCRIPT,
        EventType.AGENT_INTERRUPTED,
        EventType.AGENT_REPLIED,
        EventType.AGENT_FAILED,
    }
)
"""What the bridge does for the near side: what was said, and how an agent does."""


def as_seen_by(party: str, event: CallEvent) -> CallEvent | None:
    """Return an event as a ticket's holder is told it; None for what is not told.

    Events that nobody thought of here are not told. Of the call itself, `metadata` and `tag` are left
    out: they are between the customer's server and the bridge.

    Args:
        party: of the ticket: `near`, `far` or `transfer`, which is a near one.
        event: the event.
    """
    side = FAR if party == FAR else "near"
    told = (
        event.type in FOR_ALL
        or (event.type in OF_A_LEG and event.data.get("party") == side)
        or (event.type in FOR_NEAR and side != FAR)
    )
    if not told:
        return None
    call = event.call and msgspec.structs.replace(event.call, metadata=NOTHING, tag="")
    return msgspec.structs.replace(event, call=call)
