"""The operations of the Wavix face, `/v1/call`."""

from functools import partial
from typing import Final

from bridge.api.openapi_words import (
    ANYTHING,
    CALL,
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

WAVIX: Final = partial(Operation, face="Wavix", auth=Auth.APPID)
CALLS: Final = "/v1/call"
ONE: Final = CALLS + "/{call_id}"

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

SCHEMAS: Final[dict[str, Schema]] = {
    "WavixError": shape(
        {
            "success": {"const": False},
            "message": text(),
            "errors?": {"type": "object", "additionalProperties": text()},
            "error?": TRUE,
        },
        about="`errors` tells of each wrong field; `error` is there when the key is missing.",
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
    ("POST", ONE + "/answer"): WAVIX(
        does="Accept a call that rings us; with a stream's fields its streaming begins too.",
        takes=shape({f"{name.removesuffix('?')}?": schema for name, schema in _STREAM.items()}),
        optional_body=True,
        gives=shape({"success": TRUE, "stream_id?": text()}),
        errors=(*CALL, 422, 503),
    ),
    ("POST", ONE + "/streams"): WAVIX(
        does="Begin to stream an answered call: one two-way and five one-way streams at most.",
        takes=shape(_STREAM),
        gives=shape({"success": TRUE, "stream_id": text()}),
        errors=(*CALL, 422, 503),
    ),
    ("POST", ONE + "/play"): WAVIX(
        does="Play a URL into a call; answers once its first frame is decoded.",
        takes=shape({"audio_file": URL, "delay_before_playing?": whole(0, 10_000, 0)}),
        gives=shape({"success": TRUE, "playback_id": text()}),
        errors=(*CALL, 422, 503),
    ),
    ("DELETE", ONE + "/audio"): WAVIX(
        does="Stop all that is played into a call.", gives=_SUCCESS, errors=CALL
    ),
    ("DELETE", ONE + "/streams/{stream_id}"): _STOP,
    ("DELETE", CALLS + "/answer/{call_id}/streams/{stream_id}"): _STOP,
    ("DELETE", "/v1/calls/{call_id}/streams/{stream_id}"): _STOP,
}
