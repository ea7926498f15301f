"""Which of a call's events the holder of a ticket is told, and what of them.

A ticket is in the hands of one party's page or app. The line's key is told everything.
"""

from typing import Final

import msgspec

from bridge.wire.metadata import NOTHING
from bridge.wire.notice import Notice

FAR: Final = "far"
FOR_ALL: Final = frozenset(
    {
        "call.initiated",
        "call.ringing",
        "call.connecting",
        "call.answered",
        "call.active",
        "call.held",
        "call.resumed",
        "call.ended",
    }
)
"""How the call stands: each of its parties may know."""
OF_A_LEG: Final = frozenset(
    {
        "leg.joined",
        "leg.connected",
        "leg.silent",
        "leg.resumed",
        "leg.left",
        "digit.received",
    }
)
"""Told to the side of the call that the leg is on."""
FOR_NEAR: Final = frozenset(
    {
        "call.muted",
        "party.muted",
        "transcript",
        "agent.interrupted",
        "agent.replied",
        "agent.failed",
    }
)
"""What the bridge does for the near side: what was said, and how an agent does."""


def as_seen_by(party: str, notice: Notice) -> Notice | None:
    """Return an event as a ticket's holder is told it; None for what is not told.

    Events that nobody thought of here are not told. Of the call itself, `metadata` and `tag` are left
    out: they are between the customer's server and the bridge.

    Args:
        party: of the ticket: `near`, `far` or `transfer`, which is a near one.
        notice: the event.
    """
    side = FAR if party == FAR else "near"
    told = (
        notice.type in FOR_ALL
        or (notice.type in OF_A_LEG and notice.data.get("party") == side)
        or (notice.type in FOR_NEAR and side != FAR)
    )
    if not told:
        return None
    call = notice.call and msgspec.structs.replace(notice.call, metadata=NOTHING, tag="")
    return msgspec.structs.replace(notice, call=call)
