"""The operations of WaGo and of ZuckZapGo's older signalling."""

from functools import partial
from typing import Final

from bridge.api.openapi_words import (
    CALL,
    CALL_ID,
    FLAG,
    PHONE,
    TRUE,
    Described,
    Operation,
    Schema,
    many,
    named,
    native,
    shape,
    text,
)

WAGO: Final = partial(Operation, face="WaGo")
ZUCKZAPGO: Final = partial(Operation, face="ZuckZapGo")

SCHEMAS: Final[dict[str, Schema]] = {
    "WagoCall": {"allOf": [named("Call"), shape({"callID": text()})]},
    "Signalled": shape(
        {
            "success": TRUE,
            "call_id": text(),
            "call_from": text(),
            "action": text(),
            "reject_type?": text(),
            "message_sent?": FLAG,
            "message_error?": text("why no message was sent"),
        }
    ),
}

_DONE: Final = {"details": text(), "callID": text()}
_SIGNAL: Final = shape({"call_id": CALL_ID, "call_from": text("only repeated")})
_DECLINE: Final = shape({"call_id": CALL_ID, "call_from": text(), "reject_type?": text()})
_DECLINE_SAYING: Final = shape(
    {
        "call_id": CALL_ID,
        "call_from": text(),
        "reject_type?": text(),
        "message?": text("what the caller is sent", maxLength=4096),
    }
)
_BOTH: Final = shape(
    {"call_id?": CALL_ID, "call_from?": text(), "callID?": CALL_ID, "reject_type?": text()}
)
_EITHER: Final[Schema] = {"anyOf": [native(_DONE, beside=_DONE), named("Signalled")]}
_EITHER_WORDS: Final = (
    "With `callID` in WaGo's words, with `call_id` and `call_from` in ZuckZapGo's."
)
_ERRORS: Final = (*CALL, 503)

OPERATIONS: Final[Described] = {
    ("POST", "/call/make"): WAGO(
        does="Ring a number.",
        takes=shape({"Phone": PHONE}),
        gives=native({"call": named("WagoCall")}, beside={"call": named("WagoCall")}),
        errors=(404, 409, 501, 502, 503),
    ),
    ("GET", "/call/list"): WAGO(
        does="List the line's live calls.",
        gives=native({"calls": many(named("WagoCall"))}, beside={"calls": many(named("WagoCall"))}),
        errors=(409,),
    ),
    ("POST", "/call/end"): WAGO(
        does="End a call in any state.",
        takes=shape({"callID": CALL_ID}),
        gives=native(_DONE, beside=_DONE),
        errors=_ERRORS,
    ),
    ("POST", "/call/accept"): WAGO(
        does="Accept a call that rings us.",
        about=_EITHER_WORDS,
        takes=_BOTH,
        gives=_EITHER,
        errors=_ERRORS,
    ),
    ("POST", "/call/reject"): WAGO(
        does="Decline a call that rings us.",
        about=_EITHER_WORDS,
        takes=_BOTH,
        gives=_EITHER,
        errors=_ERRORS,
    ),
    ("POST", "/call/preaccept"): ZUCKZAPGO(
        does="Say that a call that rings us has been noticed; it goes on ringing.",
        takes=_SIGNAL,
        gives=named("Signalled"),
        errors=_ERRORS,
    ),
    ("POST", "/call/reject/send"): ZUCKZAPGO(
        does="Decline a call that rings us, and send its caller a message.",
        about="Meta's lines send it as a text message, ZuckZapGo's engines with their own call; elsewhere "
        "`message_sent` is false and `message_error` says why.",
        takes=_DECLINE_SAYING,
        gives=named("Signalled"),
        errors=_ERRORS,
    ),
    ("POST", "/call/terminate"): ZUCKZAPGO(
        does="End a call in any state.", takes=_SIGNAL, gives=named("Signalled"), errors=_ERRORS
    ),
    ("POST", "/call/initiate"): ZUCKZAPGO(
        does="Refuse to make a call, as the vendor does.",
        gives=shape(
            {"code": {"const": 501}, "error": text(), "reason": text(), "success": {"const": False}}
        ),
        status=501,
    ),
}
