"""Wavix's transcriptions of calls, `/v1/cdrs/{call_id}/transcription`.

https://docs.wavix.com/api-reference/cdrs/retrieve-a-transcription
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from bridge.api.events.webhook_endpoints import checked
from bridge.api.faces.wavix.words import WAVIX, Success
from bridge.api.server.fields import Count, Timestamp, Url, field
from bridge.api.server.listing import find_call
from bridge.api.server.operation import BARE, CALL, Context
from bridge.api.server.services import RECORDS
from bridge.call.model import CallRecord, Direction
from bridge.call.parties import parties_of
from bridge.call.transcript import UNFINISHED, Transcript, TranscriptStatus
from bridge.call.view import snapshot_of
from bridge.errors import NotFound
from bridge.wire import call_id as forms
from bridge.wire.iso8601 import iso8601

OLDER: Final = "/v1/cdr/{call_id}"
NEWER: Final = "/v1/cdrs/{call_id}"
PATHS: Final = tuple(
    f"{path}/{word}" for path in (NEWER, OLDER) for word in ("transcription", "transcriptions")
)


class WavixTurn(Struct):
    """Something that one party said."""

    type: Annotated[str, Meta(description="the party's number")]
    s: Annotated[Count, Meta(description="milliseconds since the call was answered")]
    e: Count
    text: str


class WavixTranscription(Struct):
    """What was said in a call."""

    transcript: Annotated[dict[str, str], Meta(description="by the party's number")]
    turns: list[WavixTurn]
    uuid: str
    language: str | None
    duration: Count
    charge: str
    status: Literal["completed", "failed"]
    transcription_date: Timestamp
    call_date: Timestamp
    call_uuid: str
    call_score: Annotated[str | None, Meta(description="always null")] = None
    call_summary: Annotated[str | None, Meta(description="always null")] = None


class Retranscription(Struct):
    """Who is told when a call has been transcribed."""

    webhook_url: Annotated[Url, field("receives `{uuid, status}`")] | None = None
    language: Annotated[str, field("read and not used: the provider finds it out")] | None = None


@WAVIX.get(*PATHS, envelope=BARE, errors=(404, 502))
async def transcription(context: Context) -> WavixTranscription:
    """Return the transcription of a call, once it is finished."""
    found = await context[RECORDS].transcripts.find(context.line, context.call_id)
    if found is None or found.status in UNFINISHED:
        raise NotFound("the call has no transcription, or it is not finished yet")
    return _shown(found, (await find_call(context)).record)


@WAVIX.put(NEWER + "/retranscribe", OLDER + "/retranscribe", errors=(*CALL, 422, 501, 503))
async def transcribe(context: Context, body: Retranscription) -> Success:
    """Transcribe a recorded call, again if it was before."""
    url = body.webhook_url
    callback = await checked(context, url, "webhook_url") if url else ""
    await context[RECORDS].transcripts.order(context.line, context.call_id, callback_url=callback)
    return Success()


def _shown(found: Transcript, record: CallRecord) -> WavixTranscription:
    numbers = _numbers(record)
    texts = {numbers[track]: "" for track in ("inbound", "outbound")}
    turns = []
    for phrase in found.phrases:
        number = numbers.get(phrase.track, phrase.track)
        texts[number] = f"{texts.get(number, '')} {phrase.text}".strip()
        start, end = round(phrase.start * 1000), round(phrase.end * 1000)
        turns.append(WavixTurn(number, start, end, phrase.text))
    identity = forms.wavix(found.call_id)
    return WavixTranscription(
        transcript=texts,
        turns=turns,
        uuid=identity,
        language=found.language or None,
        duration=snapshot_of(record).talk_seconds or 0,
        charge="0.0",
        status="failed" if found.status is TranscriptStatus.FAILED else "completed",
        transcription_date=iso8601(found.finished_at or found.requested_at),
        call_date=iso8601(record.facts.started_at),
        call_uuid=identity,
    )


def _numbers(record: CallRecord) -> Mapping[str, str]:
    """Return the number of the party that speaks on each track."""
    parties = parties_of(record)
    ours, theirs = parties.from_, parties.to
    if record.direction is Direction.INBOUND:
        ours, theirs = theirs, ours
    return {"inbound": theirs.removeprefix("+"), "outbound": ours.removeprefix("+")}
