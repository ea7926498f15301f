"""The native operations: call control, WebRTC, lines, figures, and what operators ask."""

from functools import partial
from typing import Final

from bridge.api.openapi_words import (
    ANYTHING,
    CALL,
    CALL_ID,
    FLAG,
    MOMENT,
    NUMBER,
    OK,
    PHONE,
    TRUE,
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

CONTROL: Final = partial(Operation, face="Native")
MEDIA: Final = partial(Operation, face="WebRTC")
SITE: Final = partial(Operation, face="Service", auth=Auth.NOBODY)
PROVIDER: Final = partial(Operation, face="WhatsApp and gateways")

SCHEMAS: Final[dict[str, Schema]] = {
    "NativeError": shape(
        {
            "code": {"type": "integer"},
            "error": text(),
            "success": {"const": False},
            "field?": text("the part of the request that is wrong"),
            "data?": ANYTHING,
            "callId?": text("of a refused dial: the call, which has ended"),
        }
    ),
    "Call": shape(
        {
            "callId": text(pattern="^[0-9A-F]{32}$"),
            "peer": text("a JID, or an identifier"),
            "from": text("a number with `+`, or an identifier; empty where nobody said"),
            "to": text("likewise: of an inbound call, the line's number that was rung"),
            "state": words("calling", "ringing", "connecting", "active", "ended"),
            "direction": words("inbound", "outbound"),
            "video": FLAG,
            "recording": FLAG,
            "startedAt": MOMENT,
        }
    ),
    "Turn": shape({"enabled": FLAG, "status": words("configured", "coming_soon")}),
    "IceServer": shape({"urls": many(text()), "username?": text(), "credential?": text()}),
    "LegFigures": shape(
        {
            "legID": text(),
            "kind": text(),
            "party": words("near", "far", "service"),
            "road": maybe(text()),
            "roundTripMs": maybe(NUMBER),
            "mos": maybe(NUMBER),
            "received": ANYTHING,
            "sent": ANYTHING,
            "discarded": ANYTHING,
        },
        about="packets, loss, jitter, levels of one leg; `received` is heard from it",
    ),
    "Timeline": shape(
        {
            "legID": text(),
            "kind": text(),
            "party": text(),
            "at": many(NUMBER),
            "seconds": many(NUMBER),
            "roundTripMs": many(maybe(NUMBER)),
            "received": ANYTHING,
            "sent": ANYTHING,
            "replies?": many(
                shape(
                    {
                        "at": NUMBER,
                        "sttMs?": NUMBER,
                        "llmMs?": NUMBER,
                        "ttsMs?": NUMBER,
                        "firstAudioMs": NUMBER,
                        "overheadMs": NUMBER,
                    },
                    about="of an agent: how soon it was heard after its caller had spoken",
                )
            ),
        },
        about="columns: row n is about `seconds[n]` from second `at[n]` on",
    ),
}

_CALL_BODY: Final = shape({"callId": CALL_ID})
_FILE: Final[Schema] = {"type": "string"}
_STATUS: Final = shape({"status": text()})

CONTROLLED: Final[Described] = {
    ("POST", "/call/dial"): CONTROL(
        does="Ring a number, or open a call for a far party in a browser.",
        takes=shape(
            {
                "phone?": PHONE,
                "channel?": words(
                    "whatsapp",
                    "webrtc",
                    "pstn",
                    about="`webrtc` rings nobody: no `phone`; `pstn` answers 501, and 403 where "
                    "the line is Meta's",
                ),
                "video?": FLAG,
            }
        ),
        gives=native({"callId": text(), "video": FLAG}),
        errors=(404, 409, 501, 502, 503),
    ),
    ("GET", "/call/status"): CONTROL(
        does="List the line's live calls.",
        gives=native({"calls": many(named("Call"))}),
        errors=(409,),
    ),
    ("POST", "/call/answer"): CONTROL(
        does="Accept a call that rings us.", takes=_CALL_BODY, gives=OK, errors=(*CALL, 503)
    ),
    ("POST", "/call/hangup"): CONTROL(
        does="End a call in any state; a ringing one is declined or cancelled.",
        takes=_CALL_BODY,
        gives=OK,
        errors=(*CALL, 503),
    ),
    ("POST", "/call/mute"): CONTROL(
        does="Take a near leg, or all of them, from what the far party hears; or give it back.",
        takes=shape({"callId": CALL_ID, "muted": FLAG, "legID?": text("one leg; else all")}),
        gives=native({"ok": TRUE, "muted": FLAG}),
        errors=CALL,
    ),
    ("POST", "/call/dtmf"): CONTROL(
        does="Send digits to the far party.",
        takes=shape({"callId": CALL_ID, "digits": text(pattern="^[0-9*#A-Da-d]{1,64}$")}),
        gives=OK,
        errors=(*CALL, 501),
    ),
    ("GET", "/call/{callId}/quality"): CONTROL(
        does="Give a call's figures, live or for a while after its end.",
        query={"since?": {**NUMBER, "minimum": 0, "description": "cuts the timeline; seconds"}},
        gives=native(
            {
                "callId": text(),
                "state": text(),
                "endReason": maybe(text()),
                "seconds": NUMBER,
                "legs": many(named("LegFigures")),
                "timeline": many(named("Timeline")),
            }
        ),
        errors=(400, 404, 502),
        auth=Auth.TICKET,
    ),
    ("POST", "/call/{callId}/ticket"): CONTROL(
        does="Give a ticket for one party of a live call: its media, events and figures.",
        about="It steers only legs that its party and identity made, and dies with the call.",
        takes=shape(
            {
                "ttl?": whole(60, 86_400, 600, about="seconds"),
                "party?": words(
                    "near",
                    "far",
                    "transfer",
                    about="whose side its holder is on; `near` unless said",
                ),
                "identity?": text("who its holder is; a ticket that replaces another has the same"),
            }
        ),
        optional_body=True,
        gives=native({"ticket": text(), "expiresAt": MOMENT}),
        errors=CALL,
    ),
}

WEBRTC: Final[Described] = {
    ("GET", "/call/webrtc/config"): MEDIA(
        does="Tell a browser which STUN and TURN servers to use.",
        gives=shape({"iceServers": many(named("IceServer")), "turn": named("Turn")}),
        auth=Auth.TICKET,
    ),
    ("POST", "/call/webrtc/offer"): MEDIA(
        does="Answer a browser's offer: a new leg, or with `legID` a change to the one it has.",
        about="The answer is complete: no candidates follow. A new ICE user fragment under a known "
        "`legID` is an ICE restart, the same one a renegotiation, a new fingerprint a reload; a near "
        "leg that has gone comes back so for `limits.alone_seconds`. With a ticket, `party` is its own "
        "unless said, and `legID` one that it made.",
        takes=shape(
            {
                "callID": CALL_ID,
                "sdp": text("the offer; candidates need not be in it"),
                "type?": words("offer"),
                "legID?": text("of the last answer, to change that leg"),
                "party?": words(
                    "near",
                    "far",
                    "transfer",
                    about="whose side; `near` unless said; `transfer` is whom the call is given to",
                ),
            }
        ),
        gives=shape(
            {
                "callID": text(),
                "legID": text(),
                "type": words("answer"),
                "sdp": text(),
                "turn": named("Turn"),
            }
        ),
        errors=(*CALL, 503),
        auth=Auth.TICKET,
    ),
    ("POST", "/call/webrtc/close"): MEDIA(
        does="End the call's WebRTC legs, or one, never the call; can be repeated.",
        takes=shape({"callID": CALL_ID, "legID?": text()}),
        gives=shape({"callID": text(), "closed": TRUE}),
        about="With a ticket, only legs that its party and identity made.",
        errors=(404, 502),
        auth=Auth.TICKET,
    ),
}

SERVICE: Final[Described] = {
    ("GET", "/"): SITE(does="Serve the demo page.", gives=_FILE, content="text/html"),
    ("GET", "/docs"): SITE(does="Serve these pages.", gives=_FILE, content="text/html"),
    ("GET", "/docs/guide/"): SITE(
        does="Serve the guide's first page.", gives=_FILE, content="text/html"
    ),
    ("GET", "/docs/guide/{name}"): SITE(
        does="Serve a page or file of the guide.", gives=_FILE, content="text/html", errors=(404,)
    ),
    ("GET", "/llms.txt"): SITE(
        does="Give the guide for language models.", gives=_FILE, content="text/plain"
    ),
    ("GET", "/README.md"): SITE(
        does="Give the README.", gives=_FILE, content="text/plain", errors=(404,)
    ),
    ("GET", "/web/{name}"): SITE(
        does="Give a file of the page or the client library.",
        gives=_FILE,
        content="text/javascript",
        errors=(404,),
    ),
    ("GET", "/healthz"): SITE(does="Say that the process is alive.", gives=_STATUS),
    ("GET", "/readyz"): SITE(
        does="Say whether new calls are taken.",
        gives=_STATUS,
        about="503 with the same body while shutting down, or while a node is missing.",
        also={503: _STATUS},
    ),
    ("GET", "/metrics"): SITE(
        does="Give the metrics for Prometheus; without a key to programs on the same machine only.",
        gives=_FILE,
        content="text/plain",
        auth=Auth.KEY,
    ),
    ("GET", "/simulator/contacts"): SITE(
        does="List the simulated contacts.",
        gives=native(
            {"contacts": many(shape({"number": text(), "name": text(), "description": text()}))}
        ),
        auth=Auth.KEY,
    ),
    ("POST", "/simulator/incoming"): SITE(
        does="Make a simulated contact ring the line.",
        about="`to` chooses one of the line's numbers; the first is rung without it.",
        takes=shape({"from": PHONE, "to?": PHONE}),
        gives=native({"callId": text()}),
        errors=(404, 409, 502, 503),
        auth=Auth.KEY,
    ),
}

PROVIDERS: Final[Described] = {
    ("GET", "/whatsapp/webhook"): PROVIDER(
        does="Prove to Meta that this address is ours.",
        query={
            "hub.mode?": text(),
            "hub.verify_token?": text(),
            "hub.challenge?": text(),
        },
        gives=_FILE,
        content="text/plain",
        auth=Auth.NOBODY,
    ),
    ("POST", "/whatsapp/webhook"): PROVIDER(
        does="Take what Meta tells, signed in `X-Hub-Signature-256`.",
        takes=ANYTHING,
        gives=_FILE,
        content="text/plain",
        errors=(401, 404),
        auth=Auth.NOBODY,
    ),
    ("GET", "/call/permission"): PROVIDER(
        does="Say whether Meta lets the line call somebody.",
        query={"phone": PHONE},
        gives=native({"permission": ANYTHING}),
        errors=(400, 409, 502, 503),
    ),
    ("POST", "/call/permission"): PROVIDER(
        does="Ask somebody to permit calls.",
        takes=shape({"phone": PHONE, "text?": text(maxLength=1024), "template?": ANYTHING}),
        gives=native({"messageId": text()}),
        errors=(409, 502, 503),
    ),
    ("POST", "/gateway/webhook"): PROVIDER(
        does="Take an event of a line's engine: its calls are looked at, at once.",
        takes=ANYTHING,
        gives=OK,
        auth=Auth.QUERY,
        errors=(409,),
    ),
}

OPERATIONS: Final[Described] = {**CONTROLLED, **WEBRTC, **SERVICE, **PROVIDERS}
