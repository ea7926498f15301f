"""WaGo's call control: `callID` for ids, and the payload both in `data` and beside it.

Its documents name no fields for these routes and few paths; `Phone`, `callID`, `details`, `call` and
`calls` are its usual spellings, the rest is our definition. WebRTC is in `api.media.webrtc`. `/call/accept`
and `/call/reject` are in `api.calls.ringing`: ZuckZapGo's clients use them too.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Struct

from bridge.api.calls import render
from bridge.api.calls.ringing import WagoBody, WagoDone
from bridge.api.server.fields import Peer, field
from bridge.api.server.hangup import After, hangup_request
from bridge.api.server.listing import recorded_calls
from bridge.api.server.operation import CALL, Context, Envelope, Group, Schema
from bridge.api.server.services import CONTROL
from bridge.call.model import CallDetails, CallRecord


def _wrap(payload: Struct) -> dict[str, Any]:
    """Put the payload into the envelope and beside it: clients read either."""
    return {"code": 200, "data": payload, "success": True, **msgspec.to_builtins(payload)}


def _describe(schema: Schema) -> Schema:
    envelope = {"code": {"const": 200}, "data": schema, "success": {"const": True}}
    return {
        "type": "object",
        "properties": envelope | schema["properties"],
        "required": [*envelope, *schema["required"]],
    }


WAGO: Final = Group(name="WaGo", envelope=Envelope(_wrap, _describe), is_vendors=True)


class Make(Struct):
    """Whom to call."""

    phone: Annotated[Peer, field(spellings=("phone",))] = msgspec.field(name="Phone")


class WagoCall(render.Call, rename=render.camel):
    """A call with its id in both spellings."""

    wago_id: str = msgspec.field(default="", name="callID")


class EndCall(WagoBody, rename={"call_id": "callID"}):
    """Which call to end, and when."""

    after: After = UNSET


class WagoCallMade(Struct):
    """The call that has been made."""

    call: WagoCall


class WagoCalls(Struct):
    """Live calls."""

    calls: list[WagoCall]


@WAGO.post("/call/make", starts_call=True, errors=(404, 409, 501, 502, 503))
async def make(context: Context, body: Make) -> WagoCallMade:
    """Call a number."""
    details = CallDetails(trace=context.trace)
    runner = await context[CONTROL].manager.dial(context.line, body.phone, details)
    return WagoCallMade(_call(runner.record()))


@WAGO.post("/call/end", needs_enabled_line=True, errors=(*CALL, 503))
async def end(context: Context, body: EndCall) -> WagoDone:
    """End a call in any state."""
    context[CONTROL].manager.request(context.line, body.call_id, hangup_request(body.after))
    return WagoDone("Call ended", body.call_id)


@WAGO.get("/call/list", needs_enabled_line=True)
async def list_calls(context: Context) -> WagoCalls:
    """List the line's live calls."""
    live = await recorded_calls(context)
    return WagoCalls([_call(record, recording=recording) for record, recording in live])


def _call(record: CallRecord, *, recording: bool = False) -> WagoCall:
    shown = render.call(record, recording=recording)
    return WagoCall(**msgspec.structs.asdict(shown), wago_id=shown.call_id)
