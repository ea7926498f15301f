"""Transcripts of calls: the native routes."""

from typing import Annotated, Final

import msgspec
from msgspec import Struct

from bridge.api.server.fields import CallBody, Count, Timestamp, field
from bridge.api.server.operation import CALL, Context, Group
from bridge.api.server.services import RECORDS
from bridge.call import transcript
from bridge.call.transcript import Transcribe, TranscriptStatus
from bridge.errors import NotFound
from bridge.node.transcripts.events import shown_phrase
from bridge.wire.iso8601 import iso8601

GROUP: Final = Group(name="Recording")


class OrderTranscript(CallBody, rename="camel"):
    """The call to transcribe, and how."""

    live: Annotated[
        bool,
        field(
            "phrase by phrase while the call goes on; else it is recorded, and transcribed after its end"
        ),
    ] = False


class TranscribedWord(Struct, rename="camel"):
    """A word and when it was said."""

    word: str
    start_ms: Count
    end_ms: Count


class TranscribedPhrase(Struct, rename="camel"):
    """Something that one side said without a pause."""

    track: Annotated[
        str, field("`inbound`: the far party; `outbound`: what it was sent; `mixed`: either")
    ]
    start_ms: Annotated[Count, field("since the call was answered")]
    end_ms: Count
    text: str
    words: Annotated[
        list[TranscribedWord], field("empty where the provider returns no times of words")
    ] = []
    language: str = ""


class Transcript(Struct, rename="camel"):
    """What was said in a call."""

    call_id: str
    status: TranscriptStatus
    mode: Transcribe
    failure: Annotated[str, field("why it failed")] | None
    text: Annotated[str, field("one line per phrase")]
    language: Annotated[str, field("as the provider names it")] | None
    phrases: list[TranscribedPhrase]
    missing: Annotated[Count, field("phrases that the provider did not transcribe in time")]
    requested_at: Timestamp
    finished_at: Timestamp | None
    source: Annotated[str, field("`bridge`, or `meta` for Meta's own")] = "bridge"


@GROUP.post("/call/transcribe", errors=(*CALL, 501, 503))
async def order(context: Context, body: OrderTranscript) -> Transcript:
    """Transcribe a call with its line's speech-to-text provider (`callSttUrl`).

    A live call is recorded for that, unless `live`. Of a call that has ended its recordings are transcribed, again
    if they were before. A transcript that is not finished goes on unchanged.
    """
    transcripts = context[RECORDS].transcripts
    return shown(await transcripts.order(context.line, body.call_id, live=body.live))


@GROUP.get("/call/{callId}/transcript", errors=(404, 502, 503))
async def show(context: Context) -> Transcript:
    """Return a call's transcript, as far as it is, also of a call that ended long ago."""
    found = await context[RECORDS].transcripts.find(context.line, context.call_id)
    if found is None:
        raise NotFound("the call has no transcript")
    return shown(found)


def shown(found: transcript.Transcript) -> Transcript:
    """Return a transcript as the API shows it."""
    phrases = [shown_phrase(phrase) for phrase in found.phrases]
    return Transcript(
        call_id=found.call_id,
        status=found.status,
        mode=found.mode,
        failure=found.failure or None,
        text=found.text,
        language=found.language or None,
        phrases=msgspec.convert(phrases, list[TranscribedPhrase]),
        missing=found.missing,
        requested_at=iso8601(found.requested_at),
        finished_at=iso8601(found.finished_at),
        source=found.source or "bridge",
    )
