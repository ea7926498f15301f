"""The operations of the Chirp face, `/v1/calls` and `/v1/webhooks`."""

from functools import partial
from typing import Final

from bridge.api.faces.chirp.calls import CALL, CALLS
from bridge.api.faces.chirp.commands import COMMANDS, FORMATS
from bridge.api.openapi_words import (
    ANYTHING,
    COUNT,
    FLAG,
    MOMENT,
    URL,
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
from bridge.api.openapi_words import CALL as OF_CALL

CHIRP: Final = partial(Operation, face="Chirp")
CHANNEL: Final = words("pstn", "webrtc", "whatsapp", about="`pstn`, also when missing, answers 501")

SCHEMAS: Final[dict[str, Schema]] = {
    "ChirpError": shape({"error": text(), "field?": text(), "callId?": text()}),
    "ChirpCall": shape(
        {
            "id": text("`call_…`; `call_test_…` for keys that begin with `sk_test_`"),
            "appId": text("the line"),
            "direction": words("inbound", "outbound"),
            "status": words(
                "initiated",
                "ringing",
                "in_progress",
                "completed",
                "failed",
                "busy",
                "no_answer",
                "canceled",
            ),
            "fromAddress": text(),
            "toAddress": text(),
            "fromChannel": text(),
            "toChannel": text(),
            "duration": maybe(COUNT),
            "endReason": maybe(text()),
            "metadata": maybe(ANYTHING),
            "held": FLAG,
            "livekitRoomName": maybe(text()),
            "startedAt": maybe(MOMENT),
            "answeredAt": maybe(MOMENT),
            "endedAt": maybe(MOMENT),
            "createdAt": MOMENT,
        }
    ),
    "ChirpRecording": shape(
        {
            "id": text(),
            "callId": text(),
            "status": words("recording", "processing", "completed", "failed"),
            "format": words(*FORMATS, about="as it was asked for; `fileUrl` is of this one"),
            "kind": text(),
            "duration": maybe(COUNT),
            "fileUrl": maybe(text("good for an hour, without a key")),
            "fileSize": maybe(COUNT),
            "files": many(
                shape(
                    {
                        "format": words(*FORMATS),
                        "contentType": text(),
                        "fileUrl": text("good for an hour, without a key"),
                        "fileSize": COUNT,
                    }
                )
            ),
            "startedAt": maybe(text()),
            "endedAt": maybe(text()),
            "createdAt": maybe(text()),
        }
    ),
}

VOICEMAILS: Final = CALLS + "/voicemails"
_VOICEMAIL: Final = CHIRP(
    does="Refuse: there are no voicemails here.", gives=named("ChirpError"), status=501
)
_PAGE: Final = {"limit?": whole(1, 100, 20), "offset?": COUNT}

OPERATIONS: Final[Described] = {
    ("POST", CALLS): CHIRP(
        does="Call somebody: over WhatsApp at once, in a browser as soon as that one comes.",
        takes=shape(
            {
                "from": text("one of the line's numbers in E.164, or an identifier (webrtc)"),
                "to": text("E.164 with `+` and digits only, or an identifier (webrtc)"),
                "fromChannel?": CHANNEL,
                "toChannel?": CHANNEL,
                "metadata?": {**ANYTHING, "description": "up to 16 kB, found again at the call"},
            }
        ),
        gives=named("ChirpCall"),
        errors=(404, 409, 501, 502, 503),
    ),
    ("GET", CALLS): CHIRP(
        does="List the line's calls, those too that ended lately, newest first.",
        query=_PAGE,
        gives=shape({"data": many(named("ChirpCall")), "totalCount": COUNT}),
        errors=(400,),
    ),
    ("GET", VOICEMAILS): _VOICEMAIL,
    ("GET", VOICEMAILS + "/{voicemailId}"): _VOICEMAIL,
    ("DELETE", VOICEMAILS + "/{voicemailId}"): _VOICEMAIL,
    ("GET", CALL): CHIRP(does="Give one call.", gives=named("ChirpCall"), errors=(404, 502)),
    ("POST", CALL + "/commands"): CHIRP(
        does="Perform a command of a live call.",
        takes=shape(
            {
                "type": text(f"one of {', '.join(COMMANDS)}; `send_to_voicemail` answers 501"),
                "reason?": text("of `reject`", maxLength=500),
                "musicUrl?": {**URL, "description": "of `hold`"},
                "participantId?": text(
                    "a legID; of `mute` and `unmute`, which else mean all near legs, and of "
                    "`remove_participant`"
                ),
                "digits?": text("of `send_dtmf`"),
                "format?": words(*FORMATS, about="what is delivered; `mp4` where nothing is said"),
                "to?": text("of `transfer` and `add_participant`"),
                "audioUrl?": {**URL, "description": "of `play_audio`"},
                "toChannel?": CHANNEL,
            }
        ),
        gives=shape(
            {
                "callId": text(),
                "command": text(),
                "status": words("accepted", "queued"),
                "playbackId?": text("of `play_audio`"),
                "participantId?": text("of `add_participant`"),
            }
        ),
        errors=(*OF_CALL, 422, 501, 503),
    ),
    ("POST", CALLS + "/token"): CHIRP(
        does="Give a ticket with which a browser joins a call by the name of its room.",
        about="The browser sends `callId` and `party` of the answer to /call/webrtc/offer, with "
        "`token` as its key. The bridge is no LiveKit server: LiveKit's clients can use neither the "
        "token nor the room's name. What works instead is `/web/bridge.js`, or any WebRTC client "
        "that posts one SDP offer after its ICE gathering.",
        takes=shape(
            {
                "roomName": text("`livekitRoomName` of the call"),
                "participantIdentity": text(),
                "participantName?": text(),
                "ttl?": whole(60, 86_400, 3600, about="seconds"),
            }
        ),
        gives=shape(
            {
                "token": text(),
                "expiresAt": {"type": "integer", "description": "seconds since 1970"},
                "callId": text(),
                "party": words("near", "far", "transfer"),
            }
        ),
        errors=OF_CALL,
    ),
    ("GET", CALL + "/recordings"): CHIRP(
        does="List a call's recordings, also of a call that ended long ago.",
        gives=shape({"data": many(named("ChirpRecording")), "totalCount": COUNT}),
        errors=(404, 502, 503),
    ),
    ("GET", CALLS + "/recordings/{recordingId}"): CHIRP(
        does="Give one recording.", gives=named("ChirpRecording"), errors=(404, 503)
    ),
}
