"""Tickets: credentials for browsers, so that keys stay on servers."""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from bridge.api.media.media_socket import StreamUrl
from bridge.api.media.webrtc import NEAR, PartyName
from bridge.api.server.fields import Json, Timestamp, field, wrong_field
from bridge.api.server.operation import CALL, Context, Group
from bridge.api.server.services import ACCESS, SITE
from bridge.wire.iso8601 import iso8601

MIN_TTL: Final = 60
MAX_TTL: Final = 86_400
MAX_IDENTITY: Final = 128

GROUP: Final = Group(name="Native")


def _read_identity(value: Json, name: str) -> Json:
    if isinstance(value, str) and (len(value) > MAX_IDENTITY or not value.isprintable()):
        raise wrong_field(name, f"expected at most {MAX_IDENTITY} printable characters")
    return value


Identity: TypeAlias = Annotated[
    str,
    field(
        "names the holder; a ticket that replaces another has the same identity",
        read=_read_identity,
    ),
]


class NewTicket(Struct):
    """What a ticket opens, and for how long."""

    ttl: Annotated[int, field("seconds", ge=MIN_TTL, le=MAX_TTL)] = 600
    party: PartyName = NEAR
    identity: Identity = ""


class Ticket(Struct, rename="camel"):
    """A ticket, and when it expires."""

    ticket: str
    expires_at: Timestamp
    stream_url: StreamUrl | UnsetType = UNSET


@GROUP.post("/call/{callId}/ticket", errors=CALL)
async def ticket(context: Context, body: NewTicket) -> Ticket:
    """Return a ticket for one party of a live call: its media, events and statistics.

    It controls only legs that its party and identity made, and ends with the call.
    """
    runner = context.live_call()
    text, expires = context[ACCESS].tickets.issue(
        context.line, runner.facts.call_id, body.ttl, party=body.party, identity=body.identity
    )
    return Ticket(
        text,
        iso8601(expires),
        stream_url=context[SITE].stream_url(runner.facts.call_id),
    )
