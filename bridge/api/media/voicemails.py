"""Voicemails: the native routes."""

from typing import Annotated, Final

import msgspec
from msgspec import Struct

from bridge.api.media.recording_files import LINK_SECONDS, link, wav_of
from bridge.api.server.fields import CallBody, Count, PaginationQuery, field
from bridge.api.server.operation import CALL, Context, Done, Group
from bridge.api.server.services import CONTROL, RECORDS
from bridge.media.voicemails import Voicemail as Stored
from bridge.wire.call_id import native

GROUP: Final = Group(name="Voicemail")
VOICEMAILS: Final = "/voicemails"
VOICEMAIL: Final = VOICEMAILS + "/{voicemailId}"


class Voicemail(Struct, rename="camel"):
    """A caller's message."""

    voicemail_id: Annotated[str, field("the same as `callId`")]
    call_id: str
    from_: Annotated[str, field("the caller")] = msgspec.field(name="from")
    to: str
    channel: Annotated[str, field("`whatsapp`, `pstn` or `webrtc`")]
    duration_ms: Count
    is_read: bool
    transcription: str | None
    recording_id: str | None
    url: Annotated[str, field("the message as WAV, with a key")]
    file_url: Annotated[str, field("the same, good for an hour without a key")] | None
    created_at: str
    expires_at: str | None


class VoicemailPage(Struct, rename="camel"):
    """A page of voicemails, newest first."""

    voicemails: list[Voicemail]
    total_count: Count


class VoicemailsQuery(PaginationQuery):
    """Which voicemails to list."""

    unread: Annotated[bool, field("only those that are not read")] = False


class ReadMark(Struct, rename="camel"):
    """Whether a voicemail has been read."""

    is_read: bool


@GROUP.post("/call/voicemail", errors=(*CALL, 503))
async def send(context: Context, body: CallBody) -> Done:
    """Send the caller of an inbound call that rings to voicemail.

    The call is answered once the line's greeting is ready, and rings until then.
    """
    context[CONTROL].voicemail_calls.send(context.live_call(body.call_id))
    return Done()


@GROUP.get(VOICEMAILS, errors=(503,))
async def list_voicemails(context: Context, query: VoicemailsQuery) -> VoicemailPage:
    """List the line's voicemails, newest first."""
    found, count = await context[RECORDS].voicemails.store.page(
        context.line, unread=query.unread, limit=query.limit, offset=query.offset
    )
    return VoicemailPage([await voicemail_of(context, one) for one in found], count)


@GROUP.get(VOICEMAIL, errors=(404, 503))
async def show(context: Context) -> Voicemail:
    """Return a voicemail, with a link to its message."""
    found = await context[RECORDS].voicemails.store.find(context.line, voicemail_id(context))
    return await voicemail_of(context, found)


@GROUP.patch(VOICEMAIL, errors=(404, 503))
async def mark(context: Context, body: ReadMark) -> Voicemail:
    """Mark a voicemail as read or unread."""
    store, identity = context[RECORDS].voicemails.store, voicemail_id(context)
    found = await store.mark(context.line, identity, is_read=body.is_read)
    return await voicemail_of(context, found)


@GROUP.delete(VOICEMAIL, errors=(404, 503))
async def delete(context: Context) -> Done:
    """Delete a voicemail and its recording for good; the record of its call stays."""
    await context[RECORDS].voicemails.delete(context.line, voicemail_id(context))
    return Done()


def voicemail_id(context: Context) -> str:
    """Return the id in the path, native whatever form it came in."""
    text = context.path("voicemailId")
    return native(text) or text


async def file_url_of(context: Context, found: Stored) -> str | None:
    """Return a link to a message that is good for an hour; None if its recording was deleted."""
    if not found.recording_id:
        return None
    wav = await wav_of(context, found.recording_id, found.seconds)
    return link(context.http, wav, LINK_SECONDS) if wav else None


async def voicemail_of(context: Context, found: Stored) -> Voicemail:
    """Return a voicemail as the API shows it."""
    return Voicemail(
        voicemail_id=found.call_id,
        call_id=found.call_id,
        from_=found.from_,
        to=found.to,
        channel=found.channel,
        duration_ms=round(found.seconds * 1000),
        is_read=found.is_read,
        transcription=found.transcription,
        recording_id=found.recording_id,
        url=f"/recordings/{found.recording_id}",
        file_url=await file_url_of(context, found),
        created_at=found.created_at,
        expires_at=found.expires_at,
    )
