"""The operations of the WADial face, `/api/v1`."""

from functools import partial
from typing import Final

from bridge.api.faces.wadial.calls import CALL, CALLS, SESSION, SESSIONS
from bridge.api.openapi_services import FORM, SOCKET, STREAM
from bridge.api.openapi_words import CALL as OF_CALL
from bridge.api.openapi_words import (
    COUNT,
    EVENTS,
    FLAG,
    KEPT,
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
    words,
)

WADIAL: Final = partial(Operation, face="WADial")
ASSETS: Final = "/api/v1/call-audio-assets"
HOOKS: Final = "/api/v1/webhooks"

SCHEMAS: Final[dict[str, Schema]] = {
    "WadialError": shape(
        {"error": shape({"code": text(), "message": text(), "field?": text(), "callId?": text()})},
        about="WADial documents no form; this one is ours.",
    ),
    "WadialCall": shape(
        {
            "callId": text(),
            "sessionId": text(),
            "peerJid": text(),
            "direction": words("incoming", "outgoing"),
            "mediaType": words("audio"),
            "state": words("initiating", "ringing", "connecting", "active", "ended"),
            "transport": words("websocket", "webrtc"),
            "audioMuted": FLAG,
            "createdAt": MOMENT,
            "startedAt": MOMENT,
            "answeredAt": maybe(MOMENT),
            "endedAt": maybe(MOMENT),
        }
    ),
    "WadialSession": shape(
        {
            "sessionId": text("the line's name"),
            "displayName": text(),
            "status": words("connected", "disconnected"),
            "paired": FLAG,
            "connected": FLAG,
            "connectionState": words("connected", "disconnected"),
        }
    ),
    "WadialAsset": shape(
        {
            "id": text(),
            "filename": text(),
            "contentType": text(),
            "sizeBytes": COUNT,
            "durationMs": maybe(COUNT),
            "status": words("ready"),
            "createdAt": text(),
        }
    ),
    "WadialRecording": shape(
        {
            "recordingId": text(),
            "callId": text(),
            "kind": text(),
            "status": text(),
            "contentType": text(),
            "durationMs": COUNT,
            "sizeBytes": COUNT,
            "createdAt": maybe(text()),
            "expiresAt": maybe(text()),
        }
    ),
    "WadialWebhook": shape(
        {
            "id": text(),
            "url": text(),
            "events": EVENTS,
            "active": FLAG,
            "createdAt": MOMENT,
            "secret?": text("shown once, when it is made"),
        }
    ),
}


def _data(schema: Schema) -> Schema:
    return shape({"data": schema})


_SESSION: Final = _data(named("WadialSession"))
_ONE: Final = _data(named("WadialCall"))
_HOOK: Final = _data(named("WadialWebhook"))
_DELETED: Final = _data(shape({"id": text(), "deleted": TRUE}))

OPERATIONS: Final[Described] = {
    ("POST", SESSIONS): WADIAL(
        does="Give the key's own session; a line is one session.",
        takes=shape({"displayName?": text(), "deviceBrowser?": text()}),
        optional_body=True,
        gives=_SESSION,
    ),
    ("GET", SESSIONS): WADIAL(
        does="List the key's only session.", gives=_data(many(named("WadialSession")))
    ),
    ("GET", SESSION): WADIAL(does="Say how a session stands.", gives=_SESSION, errors=(404,)),
    ("GET", SESSION + "/status"): WADIAL(
        does="Say how a session stands.", gives=_SESSION, errors=(404,)
    ),
    ("POST", SESSION + "/connect"): WADIAL(
        does="Connect a session; one that is connected takes its settings anew.",
        gives=_SESSION,
        errors=(404, 503),
    ),
    ("GET", SESSION + "/events"): WADIAL(
        does="Stream what happens on a session.",
        query={"lastEventId?": text(pattern="^[0-9]+$")},
        gives=STREAM,
        content="text/event-stream",
        auth=Auth.QUERY,
        errors=(400, 404, 503),
    ),
    ("POST", CALLS): WADIAL(
        does="Ring a number.",
        takes=shape({"to": PHONE}),
        gives=_ONE,
        errors=(404, 409, 501, 502, 503),
    ),
    ("GET", CALLS): WADIAL(
        does="List the session's calls, those too that ended lately, oldest first.",
        gives=_data(many(named("WadialCall"))),
        errors=(404,),
    ),
    ("GET", CALL): WADIAL(does="Give one call.", gives=_ONE, errors=(404, 502)),
    ("POST", CALL + "/accept"): WADIAL(
        does="Accept a call that rings us.", gives=_ONE, errors=(*OF_CALL, 503)
    ),
    ("POST", CALL + "/reject"): WADIAL(
        does="Decline a call that rings us.", gives=_ONE, errors=(*OF_CALL, 503)
    ),
    ("POST", CALL + "/end"): WADIAL(
        does="End a call in any state.", gives=_ONE, errors=(*OF_CALL, 503)
    ),
    ("POST", CALL + "/mute"): WADIAL(
        does="Take our side from what the peer hears, or give it back.",
        takes=shape({"muted": FLAG}),
        gives=_ONE,
        errors=OF_CALL,
    ),
    ("GET", CALL + "/media"): WADIAL(
        does="Open the media socket: f32le at 16 kHz unless asked, JSON text beside it.",
        query=FORM,
        gives=SOCKET,
        status=101,
        auth=Auth.QUERY_TICKET,
        errors=(400, 404, 409, 502),
    ),
    ("POST", CALL + "/audio/play"): WADIAL(
        does="Play a kept sound into a call.",
        takes=shape({"assetId": text()}),
        gives=_data(shape({"playbackId": text(), "assetId": text(), "status": words("queued")})),
        errors=(*OF_CALL, 503),
    ),
    ("POST", CALL + "/audio/stop"): WADIAL(
        does="Stop all that is played into a call.",
        gives=_data(shape({"stopped": {}})),
        errors=OF_CALL,
    ),
    ("GET", CALL + "/recordings"): WADIAL(
        does="List a call's recordings, also of a call that ended long ago.",
        gives=_data(many(named("WadialRecording"))),
        errors=(404, 502, 503),
    ),
    ("GET", CALL + "/recordings/{recordingId}"): WADIAL(
        does="Give a recording's file.",
        gives={},
        content="audio/wav",
        errors=(404, 502, 503),
        also={206: None, 416: None},
    ),
    ("POST", ASSETS): WADIAL(
        does="Keep a sound of up to 32 MB.",
        takes=shape({"audio": text("the file")}),
        takes_content="multipart/form-data",
        gives=_data(named("WadialAsset")),
        errors=(503,),
    ),
    ("GET", ASSETS): WADIAL(
        does="List the kept sounds, the oldest first.",
        gives=_data(many(named("WadialAsset"))),
        errors=KEPT,
    ),
    ("DELETE", ASSETS + "/{assetId}"): WADIAL(
        does="Forget a sound.", gives=_DELETED, errors=(404, 503)
    ),
    ("POST", HOOKS): WADIAL(
        does="Register a webhook endpoint; the secret is shown this once.",
        takes=shape({"url": URL, "events?": EVENTS, "active?": FLAG}),
        gives=_HOOK,
        status=201,
        errors=(422, 503),
    ),
    ("GET", HOOKS): WADIAL(
        does="List the line's endpoints of this face.",
        gives=_data(many(named("WadialWebhook"))),
        errors=KEPT,
    ),
    ("GET", HOOKS + "/{id}"): WADIAL(does="Give one endpoint.", gives=_HOOK, errors=(404, 503)),
    ("PUT", HOOKS + "/{id}"): WADIAL(
        does="Change what is named of an endpoint.",
        takes=shape({"url?": URL, "events?": EVENTS, "active?": FLAG}),
        optional_body=True,
        gives=_HOOK,
        errors=(404, 422, 503),
    ),
    ("DELETE", HOOKS + "/{id}"): WADIAL(
        does="Remove an endpoint.", gives=_DELETED, errors=(404, 503)
    ),
}
