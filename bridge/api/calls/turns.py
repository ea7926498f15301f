"""What a call's caller waited for its bots, turn by turn: `GET /calls/{callId}/turns`."""

from typing import Annotated, Final

import msgspec
from msgspec import Struct

from bridge.api.calls.history import CALL_PATH
from bridge.api.calls.render import camel
from bridge.api.server.fields import Timestamp, field
from bridge.api.server.listing import find_call
from bridge.api.server.operation import Context, Group
from bridge.api.server.services import EVENTS
from bridge.call.bots.turns import MAX_TURNS
from bridge.wire.call_event import EventType

GROUP: Final = Group(name="Native")
MAX_PAGES: Final = 50
"""Of a call's events that are searched for turns."""


class WaitParts(Struct, rename="camel"):
    """What a wait consists of, in milliseconds."""

    end_of_speech: (
        Annotated[
            int,
            field(
                "until the bridge's own agent had found that the caller had finished; part of `bot` for all others"
            ),
        ]
        | None
    )
    to_bot: Annotated[
        int, field("for which the caller's last words waited in the bridge's buffers")
    ]
    bot: Annotated[int, field("the bot's own time, and the network's to it and back")]
    queue: Annotated[int, field("for which the beginning of the answer waited to be played")]
    to_caller: Annotated[int, field("half the round trip, and the caller's jitter buffer")]


class CallTurn(Struct, rename=camel):
    """What the caller said, and the bot's answer."""

    turn: Annotated[int, field("from 1 on")]
    leg_id: Annotated[str, field("the bot's")]
    bot: Annotated[
        str, field("`agent`, `socket`, `webrtc`, `livekit`, or the protocol of a stream")
    ]
    started_at: Annotated[Timestamp, field("when the caller began to speak")]
    speech_ms: Annotated[int, field("from the caller's first word to the last")]
    wait_ms: Annotated[int, field("from then until the caller heard the answer")]
    answer_ms: int
    estimated: Annotated[bool, field("whether `parts.toCaller` is")]
    parts: WaitParts
    filler: (
        Annotated[int, field("after how many milliseconds a filler was heard; null for none")]
        | None
    )
    tool: (
        Annotated[
            int,
            field(
                "for how many milliseconds of the wait functions ran that a realtime model called, part of `parts.bot`; null for none"
            ),
        ]
        | None
    )
    interrupted: Annotated[bool, field("whether the caller interrupted the answer")]
    overlap_ms: Annotated[int, field("for which both spoke during the answer")]


class CallTurns(Struct, rename=camel):
    """The turns of a call, at most 1,000."""

    call_id: str
    turns: list[CallTurn]


@GROUP.get(CALL_PATH + "/turns", errors=(404, 502))
async def turns(context: Context) -> CallTurns:
    """Return how long the caller waited for each answer of a bot, live or after the end, as far as events are kept.

    Each is also the event `turn`. Empty with `turns.enabled` off.
    """
    facts = (await find_call(context)).record.facts
    found: list[CallTurn] = []
    after = 0
    for _ in range(MAX_PAGES):
        page = await context[EVENTS].log.read(after, facts.line, facts.call_id)
        if not page or len(found) >= MAX_TURNS:
            break
        after = page[-1][0]
        found += [
            msgspec.convert(event.data, CallTurn)
            for _, event in page
            if event.type == EventType.TURN
        ]
    return CallTurns(facts.call_id, found)
