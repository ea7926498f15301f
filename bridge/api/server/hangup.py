"""The field `after` of all operations that end a call or remove a bot, in addition to what their vendors document."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from bridge.api.server.fields import field
from bridge.call.events import HangupRequested

After: TypeAlias = (
    Annotated[
        Literal["speech"],
        field(
            "`speech`: once the far party has received what bots and playbacks have queued for it, "
            "after 60 s at the latest. Omitted: at once"
        ),
    ]
    | UnsetType
)
AfterStop: TypeAlias = (
    Annotated[
        Literal["speech"],
        field("`speech`: once what it has queued has been played. Omitted: at once"),
    ]
    | UnsetType
)


class HangupQuery(Struct):
    """When the call ends."""

    after: After = UNSET


class StopQuery(Struct):
    """When the bot leaves."""

    after: AfterStop = UNSET


def hangup_request(after: After) -> HangupRequested:
    """Return the request to end a call, now or then."""
    return HangupRequested(after_speech=after == "speech")
