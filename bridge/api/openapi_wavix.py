"""The operations of the Wavix face, `/v1/call`."""

from functools import partial
from typing import Final

from bridge.api.faces.wavix.numbers import NUMBER, NUMBERS
from bridge.api.faces.wavix.recordings import RECORDING, RECORDINGS_PATH
from bridge.api.openapi_words import (
    ANYTHING,
    CALL,
    COUNT,
    FLAG,
    MOMENT,
    PHONE,
    TRUE,
    URL,
    Auth,
    Described,
    Operation,
    Schema,
    many,
    maybe,
    named,
    shape,
    text,
    whole,
    words,
)

PAGES: Final = {"page?": whole(1, 1_000_000, 1), "per_page?": whole(1, 100, 25)}
WAVIX: Final = partial(Operation, face="Wavix", auth=Auth.APPID)
CALLS: Final = "/v1/call"
ONE: Final = CALLS + "/{call_id}"
NEWER: Final = "/v1/calls/{call_id}"

_FIELDS: Final = {
    "uuid": text(),
    "id": text(),
    "direction": words("inbound", "outbound"),
    "event_type": maybe(text()),
    "event_time": MOMENT,
    "event_payload": maybe(ANYTHING),
    "from": text(),
    "to": text(),
    "call_started": MOMENT,
    "call_answered": maybe(MOMENT),
    "call_completed": maybe(MOMENT),
    "machine_detected": FLAG,
    "tag": maybe(text()),
}


def pages(item: Schema) -> Schema:
    """Describe a page of a list."""
    names = ("current_page", "per_page", "total", "total_pages")
    return shape({"items": many(item), "pagination": shape(dict.fromkeys(names, COUNT))})


SCHEMAS: Final[dict[str, Schema]] = {
    "WavixError": shape(
        {
            "success": {"const": False},
            "message": text(),
            "errors?": {"type": "object", "additionalProperties": text()},
            "error?": TRUE,
            "callId?": text("of a refused dial"),
        },
        about="`errors` tells of each wrong field; `error` is there with 401, 403 and 404.",
    ),
    "WavixCall": shape(_FIELDS),
}

_SUCCESS: Final = shape({"success": TRUE})
_STREAM: Final = {
    "stream_url": text("ws:// or wss://, dialled by the bridge"),
    "stream_type": words("oneway", "twoway"),
    "stream_channel": words("inbound", "outbound", "both"),
    "stream_encoding?": {"enum": ["s16le", "f32le", "mulaw"], "default": "s16le"},
    "stream_sample_rate?": {"enum": [8000, 16000, 24000, 48000], "default": 24000},
    "stream_frame_ms?": whole(10, 200, 20),
}
_UNUSED: Final[Schema] = {
    "type": "boolean",
    "description": "read and not performed: `machine_detected` is always false",
}
_DELAYS: Final = {
    "delay_before_playing?": whole(0, 10_000, 0, about="milliseconds"),
    "timeout_before_playing?": whole(0, 10_000, 0, about="the same"),
}
_PLAYED: Final = shape({"success": TRUE, "playback_id": text()})
_ANSWER: Final = WAVIX(
    does="Accept a call that rings us; with a stream's fields its streaming begins too.",
    takes=shape(
        {f"{name.removesuffix('?')}?": schema for name, schema in _STREAM.items()}
        | {
            "call_recording?": FLAG,
            "recording?": FLAG,
            "call_transcription?": {"type": "boolean", "description": "true answers 501"},
        }
    ),
    optional_body=True,
    gives=shape({"success": TRUE, "stream_id?": text()}),
    errors=(*CALL, 422, 501, 503),
)
_START: Final = WAVIX(
    does="Begin to stream an answered call: one two-way and five one-way streams at most.",
    takes=shape(_STREAM),
    gives=shape({"success": TRUE, "stream_id": text()}),
    errors=(*CALL, 422, 503),
)
_PLAY: Final = WAVIX(
    does="Play a URL into a call; answers once its first frame is decoded.",
    takes=shape({"audio_file": URL, **_DELAYS}),
    gives=_PLAYED,
    errors=(*CALL, 422, 503),
)
_SILENCE: Final = WAVIX(does="Stop all that is played into a call.", gives=_SUCCESS, errors=CALL)
_COLLECT: Final = WAVIX(
    does="Collect digits of an answered call.",
    about="What came of it is told as an `on_call_event` with `type` `collect`, to the line's "
    "webhooks and to `callback_url`, else to the call's own callback. `say` needs a provider of "
    "speech (PUT /call/config); its voice is the provider's.",
    takes=shape(
        {
            "min_digits?": whole(1, 20, 1),
            "max_digits?": whole(1, 20, 20),
            "timeout?": whole(1, 60, 5, about="seconds that the next digit may take"),
            "termination_character?": text("one of 0-9, *, #, A-D"),
            "max_attempts?": whole(1, 10, 1),
            "callback_url?": URL,
            "audio?": shape({"url?": URL, "stop_on_keypress?": FLAG}),
            "prompt?": shape(
                {
                    "play?": URL,
                    "say?": shape({"text": text(), "voice?": text(), "language?": text()}),
                    "stop_on_keypress?": FLAG,
                }
            ),
        }
    ),
    optional_body=True,
    gives=_SUCCESS,
    errors=(*CALL, 422, 501, 503),
)
_TYPE: Final = words("on-call", "post-call")
_HOOK: Final = WAVIX(
    does="Register a URL for events during calls, or for what is told after them.",
    about="One of each type. `secret`, which signs deliveries, is our addition and shown once.",
    takes=shape({"url": URL, "event_type": _TYPE}),
    gives=shape({"success": TRUE, "event_type": _TYPE, "url": text(), "secret": text()}),
    status=201,
    errors=(422, 503),
)
_HOOKS: Final = WAVIX(
    does="List the URLs that are registered.",
    gives=shape({"success": TRUE, "webhooks": many(shape({"event_type": _TYPE, "url": text()}))}),
    errors=(503,),
)
_UNHOOK: Final = WAVIX(
    does="Forget the URL of a type.",
    query={"event_type": _TYPE},
    gives=_SUCCESS,
    errors=(400, 404, 503),
)
_NUMBER_FIELDS: Final = {
    "id": COUNT,
    "number": text("digits; the `id` is the same"),
    "call_status_url": maybe(URL),
}
_RECORDING: Final = shape(
    {
        "id": COUNT,
        "created_at": MOMENT,
        "duration": COUNT,
        "from": text(),
        "to": text(),
        "call_uuid": text(),
        "url": text("the WAV, good for an hour, without a key"),
    }
)
_STOP: Final = WAVIX(does="Stop a stream of a call.", gives=_SUCCESS, errors=CALL)

OPERATIONS: Final[Described] = {
    ("POST", CALLS): WAVIX(
        does="Ring a number.",
        takes=shape(
            {
                "from": PHONE,
                "to": PHONE,
                "status_callback?": URL,
                "callback_url?": URL,
                "tag?": text(maxLength=1024),
                "timeout?": whole(1, 86_400, about="seconds that it may ring"),
                "max_duration?": whole(1, 86_400, about="seconds from the answer on"),
                "call_recording?": FLAG,
                "recording?": FLAG,
                "machine_detection?": _UNUSED,
                "voicemail_detection?": _UNUSED,
            }
        ),
        gives=shape({"success": TRUE, **_FIELDS}),
        errors=(404, 409, 422, 501, 502, 503),
    ),
    ("GET", CALLS): WAVIX(
        does="List the calls that have not ended, oldest first.",
        gives=shape({"success": TRUE, "calls": many(named("WavixCall"))}),
    ),
    ("GET", ONE): WAVIX(
        does="Give one call.",
        gives=shape({"success": TRUE, "call": named("WavixCall")}),
        errors=(404, 502),
    ),
    ("DELETE", ONE): WAVIX(does="End a call in any state.", gives=_SUCCESS, errors=(*CALL, 503)),
    ("PATCH", ONE): WAVIX(
        does="Give a live call another tag.",
        takes=shape({"tag": text(maxLength=1024)}),
        gives=_SUCCESS,
        errors=CALL,
    ),
    ("POST", ONE + "/transfer"): WAVIX(
        does="Ring a number; once it is connected it takes the place of our side.",
        about="`a_playback_audio` and `b_playback_audio` answer 501.",
        takes=shape(
            {
                "to": PHONE,
                "from?": PHONE,
                "call_recording?": FLAG,
                "dual_channel_recording?": FLAG,
                "machine_detection?": _UNUSED,
            }
        ),
        gives=_SUCCESS,
        errors=(*CALL, 501, 503),
    ),
    ("POST", ONE + "/tts"): WAVIX(
        does="Speak a text into a call, in the voice of the line's provider.",
        takes=shape(
            {
                "text": text(maxLength=4096),
                "voice?": text("read, and not chosen"),
                "max_repeat_count?": whole(1, 1000, 1),
                **_DELAYS,
            }
        ),
        gives=_PLAYED,
        errors=(*CALL, 422, 501, 503),
    ),
    ("GET", NUMBERS): WAVIX(
        does="List the line's numbers.",
        query={**PAGES, "search?": text("digits in the number")},
        gives=pages(shape(_NUMBER_FIELDS)),
        errors=(400, 503),
    ),
    ("GET", NUMBER): WAVIX(
        does="Return one of the line's numbers.", gives=shape(_NUMBER_FIELDS), errors=(404, 503)
    ),
    ("PUT", NUMBER): WAVIX(
        does="Set where events of a number's inbound calls are sent, or remove it with null.",
        about="These are told besides the line's `on-call` webhook. `secret`, which signs "
        "deliveries, is our addition and shown once. The vendor's other settings answer 501.",
        takes=shape({"call_status_url": maybe(URL)}),
        gives=shape({**_NUMBER_FIELDS, "secret?": text()}),
        errors=(400, 404, 422, 501, 503),
    ),
    ("GET", RECORDINGS_PATH): WAVIX(
        does="List the recordings, one for each call, newest first.",
        query={
            **PAGES,
            "from_date?": text("a day, YYYY-MM-DD"),
            "to_date?": text("likewise"),
            "from?": PHONE,
            "to?": PHONE,
            "call_uuid?": text(),
            "dids[]?": PHONE,
            "sip_trunks[]?": text("there are none: nothing is found"),
        },
        gives=pages(_RECORDING),
        errors=(400, 404, 503),
    ),
    ("GET", RECORDING): WAVIX(
        does="Return a recording by its id; by its call's id, lead to its file (302).",
        gives=_RECORDING,
        errors=(404, 503),
        also={302: None},
    ),
    ("DELETE", RECORDING): WAVIX(
        does="Delete a recording for good.", gives=_SUCCESS, errors=(404, 503)
    ),
    ("POST", ONE + "/answer"): _ANSWER,
    ("POST", NEWER + "/answer"): _ANSWER,
    ("POST", ONE + "/streams"): _START,
    ("POST", NEWER + "/streams"): _START,
    ("POST", ONE + "/play"): _PLAY,
    ("POST", NEWER + "/play"): _PLAY,
    ("DELETE", ONE + "/audio"): _SILENCE,
    ("DELETE", NEWER + "/audio"): _SILENCE,
    ("POST", ONE + "/collect"): _COLLECT,
    ("POST", NEWER + "/collect"): _COLLECT,
    ("POST", CALLS + "/webhooks"): _HOOK,
    ("GET", CALLS + "/webhooks"): _HOOKS,
    ("DELETE", CALLS + "/webhooks"): _UNHOOK,
    ("POST", "/v1/calls/webhooks"): _HOOK,
    ("GET", "/v1/calls/webhooks"): _HOOKS,
    ("DELETE", "/v1/calls/webhooks"): _UNHOOK,
    ("DELETE", ONE + "/streams/{stream_id}"): _STOP,
    ("DELETE", CALLS + "/answer/{call_id}/streams/{stream_id}"): _STOP,
    ("DELETE", NEWER + "/streams/{stream_id}"): _STOP,
}
