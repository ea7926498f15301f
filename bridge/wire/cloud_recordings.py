"""What Meta has recorded and transcribed of a call: the webhooks about it, and its form of transcripts.

Source: WhatsApp Business Platform, Calling API, "Call recording" and "Call transcription".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import msgspec

from bridge.errors import RemoteProtocolError
from bridge.wire.cloud_fields import number_in, object_in, objects_in, text_in

CUSTOMER_CHANNEL: Final = 1
MAX_SEGMENTS: Final = 20_000
"""Of a transcript; what comes after them is left out."""
_FILE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SHA256: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_MAX_URL: Final = 2048


class MediaKind(StrEnum):
    """What a file of Meta's is."""

    RECORDING = "recording"
    TRANSCRIPT = "transcript"


_EVENTS: Final = {
    "call_recording_available": (MediaKind.RECORDING, "call_recording", "audio"),
    "call_transcription_available": (MediaKind.TRANSCRIPT, "call_transcript", "document"),
}


@dataclass(frozen=True, slots=True)
class MediaAvailable:
    """A recording or transcript of a call that has ended can be downloaded."""

    wacid: str
    phone_number_id: str
    kind: MediaKind
    media_id: str
    sha256: str
    """Of the file, in base64."""
    url: str
    """Valid for five minutes; later ones are had by the id."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word, and when it was said."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Something that one side said, in seconds since the call's audio began."""

    customer: bool
    """Whether the person said it, not the business."""
    start: float
    end: float
    text: str
    language: str
    words: tuple[SpokenWord, ...]


def read_media(call: Mapping[str, Any], number_id: str) -> MediaAvailable | None:
    """Parse a call of a webhook; None if it is about something else, or lacks what a download needs."""
    known = _EVENTS.get(text_in(call, "event").lower())
    if known is None:
        return None
    kind, outer, inner = known
    file = object_in(object_in(call, outer), inner)
    media_id, sha256, url = (text_in(file, name) for name in ("id", "sha256", "url"))
    if not _FILE.fullmatch(media_id) or not _SHA256.fullmatch(sha256):
        return None
    url = url if len(url) <= _MAX_URL else ""
    return MediaAvailable(text_in(call, "id"), number_id, kind, media_id, sha256, url)


def read_transcript(document: bytes) -> tuple[Segment, ...]:
    """Parse a transcript; one in a language that Meta does not know has no segments.

    Raises:
        RemoteProtocolError: it is not a JSON object.
    """
    try:
        whole = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RemoteProtocolError("the transcript is not valid JSON") from None
    if not isinstance(whole, dict):
        raise RemoteProtocolError("the transcript is not a JSON object")
    transcript = object_in(whole, "transcript")
    return tuple(islice(_segments(transcript, text_in(transcript, "language")), MAX_SEGMENTS))


def _segments(transcript: Mapping[str, Any], language: str) -> Iterator[Segment]:
    for segment in objects_in(transcript, "segments"):
        speaker = text_in(segment, "speaker").lower()
        customer = (
            segment.get("channel") == CUSTOMER_CHANNEL if not speaker else speaker != "business"
        )
        words = tuple(_word(word) for word in objects_in(segment, "words"))
        yield Segment(
            customer=customer,
            start=max(0.0, number_in(segment, "start")),
            end=max(0.0, number_in(segment, "end")),
            text=text_in(segment, "text").strip(),
            language=text_in(segment, "lang") or language,
            words=words,
        )


def _word(word: Mapping[str, Any]) -> SpokenWord:
    start, end = max(0.0, number_in(word, "start")), max(0.0, number_in(word, "end"))
    return SpokenWord(text_in(word, "word"), start, end)
