"""What is done in calls and told of them: playback, recording, agents, events, the PCM socket."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from bridge.api.openapi_words import (
    ANYTHING,
    CALL,
    CALL_ID,
    COUNT,
    EVENTS,
    FLAG,
    KEPT,
    MOMENT,
    OK,
    TRUE,
    URL,
    Auth,
    Described,
    Operation,
    Schema,
    many,
    maybe,
    named,
    native,
    shape,
    text,
    whole,
    words,
)
from bridge.media.files import CONTENT_TYPES

PLAY: Final = partial(Operation, face="Playback")
RECORD: Final = partial(Operation, face="Recording")
AGENT: Final = partial(Operation, face="Agents")
TELL: Final = partial(Operation, face="Events and webhooks")

STREAM: Final[Schema] = text("server-sent events; one line `data:` of JSON each")
SOCKET: Final[Schema] = text("no body: the connection becomes a WebSocket")
FORM: Final = {
    "encoding?": words("s16le", "f32le", "mulaw"),
    "sampleRate?": {"enum": [8000, 16000, 24000, 48000]},
    "frameMs?": whole(10, 200),
    "bufferMs?": whole(40, 60_000, 60_000),
}

_SLOT_FIELDS: Final[dict[str, Schema]] = {
    "webhook": text(),
    "webhookurl": text(),
    "style": words("wago", "zuckzapgo", "native"),
    "format": words("json", "form"),
    "events": EVENTS,
    "subscribe": EVENTS,
    "active": FLAG,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Recording": shape(
        {
            "recordingId": text(),
            "callId": text(),
            "kind": words("inbound", "outbound", "mixed"),
            "status": text(),
            "mediaKey": text("where the file lies; empty when it failed"),
            "contentType": text(),
            "durationMs": COUNT,
            "sizeBytes": COUNT,
            "startedAt": maybe(text()),
            "endedAt": maybe(text()),
            "expiresAt": maybe(text()),
            "url": text(),
            "files": many(
                shape(
                    {
                        "format": words(*CONTENT_TYPES),
                        "contentType": text(),
                        "sizeBytes": COUNT,
                        "mediaKey": text(),
                        "url": text(),
                    }
                )
            ),
        }
    ),
    "WebhookSlot": shape(_SLOT_FIELDS),
}

_CALL_BODY: Final = shape({"callId": CALL_ID})
_PLAYBACK_BODY: Final = shape({"callId": CALL_ID, "playbackId?": text("one; else all")})
_PARTS: Final[Mapping[int, Schema | None]] = {206: None, 416: None}
_RECORDINGS: Final = many(named("Recording"))
_LAST_EVENT: Final = {"lastEventId?": text("as the header `Last-Event-ID`", pattern="^[0-9]+$")}

PLAYBACK: Final[Described] = {
    ("POST", "/call/play"): PLAY(
        does="Play WAV, MP3, Ogg, FLAC, AAC, AIFF, AMR, MP4 or WebM sound into a call.",
        about="Exactly one of `audioUrl`, `audioBase64`, `assetId`, `AudioFile` is named. "
        "Bodies up to 16 MB.",
        takes=shape(
            {
                "callId": CALL_ID,
                "audioUrl?": URL,
                "audioBase64?": text("data URLs are taken too"),
                "assetId?": text("of POST /api/v1/call-audio-assets"),
                "AudioFile?": text(
                    "a path in the line's own or the shared media folder; `files/` may stand before it"
                ),
                "delayMs?": whole(0, 10_000, 0),
                "repeat?": {"type": "integer", "minimum": 1, "default": 1},
                "duck?": whole(
                    0,
                    60,
                    0,
                    about="dB by which it lowers what else the far party is told meanwhile",
                ),
                "hear?": words("far", "all", about="who hears it; `far` unless said"),
            }
        ),
        gives=native({"ok": TRUE, "status": words("queued"), "playbackId": text()}),
        errors=(*CALL, 422, 503),
    ),
    ("POST", "/call/play/stop"): PLAY(
        does="Stop a playback, or all of a call.",
        takes=_PLAYBACK_BODY,
        gives=native({"stopped": {}}),
        errors=CALL,
    ),
    ("POST", "/call/play/pause"): PLAY(
        does="Let a playback, or all of a call, stand still.",
        takes=_PLAYBACK_BODY,
        gives=native({"paused": {}}),
        errors=CALL,
    ),
    ("POST", "/call/play/resume"): PLAY(
        does="Let a playback, or all of a call, go on.",
        takes=_PLAYBACK_BODY,
        gives=native({"resumed": {}}),
        errors=CALL,
    ),
}

RECORDING: Final[Described] = {
    ("POST", "/call/record"): RECORD(
        does="Record what the far party says into a file of the line's media folder.",
        about=(
            "`AudioFile` plays it by the same path. A number is added to a path that is taken. Of a call "
            "that is recorded already the answer shows where; another `Path` is refused (409)."
        ),
        takes=shape({"CallID": CALL_ID, "Path?": text("files/calls/<id>.wav unless said")}),
        gives=native(
            {"ok": TRUE, "path": text(), "recordingId": text()},
            beside={"details": text(), "callID": text(), "path": text()},
        ),
        errors=(*CALL, 503),
    ),
    ("POST", "/call/record/start"): RECORD(
        does="Record a call: what each side says, and both mixed.",
        takes=_CALL_BODY,
        gives=native({"ok": TRUE, "recordings": _RECORDINGS}),
        errors=(*CALL, 503),
    ),
    ("POST", "/call/record/stop"): RECORD(
        does="End a recording.",
        takes=_CALL_BODY,
        gives=native(
            {
                "ok": TRUE,
                "mediaKey": text("the inbound track; empty when it could not be kept"),
                "status": text(),
                "recordings": _RECORDINGS,
            }
        ),
        errors=(*CALL, 503),
    ),
    ("POST", "/call/record/pause"): RECORD(
        does="Write silence for a while.",
        takes=_CALL_BODY,
        gives=native({"ok": TRUE, "paused": FLAG}),
        errors=CALL,
    ),
    ("POST", "/call/record/resume"): RECORD(
        does="Write what is heard again.",
        takes=_CALL_BODY,
        gives=native({"ok": TRUE, "paused": FLAG}),
        errors=CALL,
    ),
    ("GET", "/call/{callId}/recordings"): RECORD(
        does="List a call's recordings.",
        gives=native({"recordings": _RECORDINGS}),
        errors=(404, 502, 503),
    ),
    ("GET", "/recordings/{recordingId}"): RECORD(
        does="Give a recording's file, as WAV or, where there is one, as Ogg/Opus.",
        query={"format?": words(*CONTENT_TYPES)},
        gives={},
        content="audio/wav",
        errors=(400, 404, 502, 503),
        also=_PARTS,
    ),
    ("GET", "/files/recordings/{recordingId}"): RECORD(
        does="Give a recording's file to whoever has a signed link to it.",
        about="The link comes from the faces, query and all; it needs no key and runs out. "
        "Where `recording.s3.redirect` is set it leads on to the store.",
        gives={},
        content="audio/wav",
        errors=(404, 502, 503),
        also={**_PARTS, 302: None},
        auth=Auth.NOBODY,
    ),
    ("DELETE", "/recordings/{recordingId}"): RECORD(
        does="Delete a recording for good.", gives=OK, errors=(400, 404, 503)
    ),
}

AGENTS: Final[Described] = {
    ("POST", "/call/agent/start"): AGENT(
        does="Put an agent into a call that has been answered.",
        about="Its services (speech to text, language model, text to speech) are the line's, of "
        "PUT /call/config.",
        takes=shape({"callId": CALL_ID, "mode?": text("the line's own unless said")}),
        gives=native({"agentId": text(), "mode": text()}),
        errors=(*CALL, 422, 503),
    ),
    ("POST", "/call/agent/stop"): AGENT(
        does="Take the agent out of a call, which goes on.",
        takes=_CALL_BODY,
        gives=native({"stopped": {}}),
        errors=CALL,
    ),
}

_SLOT: Final = TELL(
    does="Register the URL of one style, in place of the one there was.",
    about="The field that holds the URL says in whose words it is told: `WebhookURL` WaGo's form, "
    "`webhookurl` ZuckZapGo's, `url` the native one. Its `secret` is in this answer only.",
    takes=shape(
        {
            "WebhookURL?": URL,
            "webhookurl?": URL,
            "url?": URL,
            "events?": EVENTS,
            "Subscribe?": EVENTS,
            "headers?": ANYTHING,
            "format?": words("json", "form"),
            "Active?": FLAG,
        }
    ),
    gives=native(_SLOT_FIELDS | {"secret": text()}),
    errors=(422, 503),
)

EVENT: Final[Described] = {
    ("GET", "/events"): TELL(
        does="Stream what happens on the line.",
        query=_LAST_EVENT,
        gives=STREAM,
        content="text/event-stream",
        auth=Auth.QUERY,
        errors=(400, 503),
    ),
    ("GET", "/call/{callId}/events"): TELL(
        does="Stream what happens to one call, from its beginning until a while after its end.",
        about="204 when the call has ended and nothing is left to tell.",
        query=_LAST_EVENT,
        gives=STREAM,
        content="text/event-stream",
        auth=Auth.QUERY_TICKET,
        errors=(400, 404, 502, 503),
        also={204: None},
    ),
    ("POST", "/webhook"): _SLOT,
    ("PUT", "/webhook"): _SLOT,
    ("GET", "/webhook"): TELL(
        does="Give the URLs that are registered.",
        about="The first of them also beside the list, as both vendors' clients look for it.",
        gives=native(
            {
                "webhook": text("empty when there is none"),
                "subscribe": EVENTS,
                "active": FLAG,
                "webhookurl?": text(),
                "style?": text(),
                "format?": text(),
                "events?": EVENTS,
                "webhooks": many(named("WebhookSlot")),
            }
        ),
        errors=KEPT,
    ),
    ("DELETE", "/webhook"): TELL(
        does="Forget the URLs, and what was still to be delivered to them.",
        gives=native({"details": text(), "webhook": text()}),
        errors=KEPT,
    ),
    ("GET", "/events/dead"): TELL(
        does="List webhook deliveries that were given up, oldest first.",
        query={"after?": COUNT, "limit?": whole(1, 100, 20)},
        gives=native(
            {
                "dead": many(
                    shape(
                        {
                            "id": COUNT,
                            "endpoint": text(),
                            "attempts": COUNT,
                            "error": text(),
                            "diedAt": MOMENT,
                            "event": ANYTHING,
                        }
                    )
                )
            }
        ),
        errors=(400, 503),
    ),
    ("POST", "/events/replay"): TELL(
        does="Deliver what was given up once more: `ids` of the list, or all of it.",
        takes=shape({"ids?": many({"type": "integer"})}),
        optional_body=True,
        gives=native({"replayed": COUNT}),
        errors=KEPT,
    ),
}

SOCKETS: Final[Described] = {
    ("GET", "/call/{callId}/stream"): Operation(
        face="ZuckZapGo",
        does="Open the PCM socket: a call's sound over a WebSocket, s16le at 16 kHz unless asked.",
        query=FORM,
        gives=SOCKET,
        status=101,
        auth=Auth.QUERY_TICKET,
        errors=(400, 404, 409, 502),
    )
}

OPERATIONS: Final[Described] = {**PLAYBACK, **RECORDING, **AGENTS, **EVENT, **SOCKETS}
