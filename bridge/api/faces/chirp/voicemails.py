"""Chirp's voicemails: https://docs.buildwithchirp.com/calling/voicemails."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from bridge.api.faces.chirp.words import CHIRP
from bridge.api.media.voicemails import ReadMark, file_url_of, voicemail_id
from bridge.api.server.fields import Count, PaginationQuery
from bridge.api.server.operation import Context
from bridge.api.server.services import RECORDS
from bridge.media.voicemails import Voicemail
from bridge.wire import call_id

VOICEMAILS: Final = "/v1/calls/voicemails"
VOICEMAIL: Final = VOICEMAILS + "/{voicemailId}"
DELETED: Final = "Voicemail deleted"


class ChirpVoicemail(Struct, rename="camel"):
    """A voicemail; `fileUrl` is our addition."""

    id: Annotated[str, Meta(description="`call_vm_…`; `call_vm_test_…` for test keys")]
    call_id: str
    caller_number: str
    caller_channel: str
    duration: Annotated[Count, Meta(description="seconds")]
    is_read: bool
    transcription: str | None
    recording_id: str | None
    created_at: str
    file_url: Annotated[str, Meta(description="good for an hour, without a key")] | None


class ChirpVoicemails(Struct, rename="camel"):
    """A page of voicemails."""

    data: list[ChirpVoicemail]
    total_count: Count


class Deleted(Struct):
    """What was done."""

    message: str


@CHIRP.get(VOICEMAILS, errors=(503,))
async def list_voicemails(context: Context, query: PaginationQuery) -> ChirpVoicemails:
    """List the line's voicemails, newest first."""
    found, count = await context[RECORDS].voicemails.store.page(
        context.line, limit=query.limit, offset=query.offset
    )
    return ChirpVoicemails([await _shown(context, one) for one in found], count)


@CHIRP.get(VOICEMAIL, errors=(404, 503))
async def voicemail(context: Context) -> ChirpVoicemail:
    """Return one voicemail."""
    store = context[RECORDS].voicemails.store
    return await _shown(context, await store.find(context.line, voicemail_id(context)))


@CHIRP.patch(VOICEMAIL, errors=(404, 503))
async def mark(context: Context, body: ReadMark) -> ChirpVoicemail:
    """Mark a voicemail as read or unread."""
    store, identity = context[RECORDS].voicemails.store, voicemail_id(context)
    return await _shown(context, await store.mark(context.line, identity, is_read=body.is_read))


@CHIRP.delete(VOICEMAIL, errors=(404, 503))
async def delete(context: Context) -> Deleted:
    """Delete a voicemail and its recording for good."""
    await context[RECORDS].voicemails.delete(context.line, voicemail_id(context))
    return Deleted(DELETED)


async def _shown(context: Context, found: Voicemail) -> ChirpVoicemail:
    test = context.is_test_key
    return ChirpVoicemail(
        id=call_id.chirp_voicemail(found.call_id, test=test),
        call_id=call_id.chirp(found.call_id, test=test),
        caller_number=found.from_,
        caller_channel=found.channel,
        duration=round(found.seconds),
        is_read=found.is_read,
        transcription=found.transcription,
        recording_id=found.recording_id,
        created_at=found.created_at,
        file_url=await file_url_of(context, found),
    )
