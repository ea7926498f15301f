"""Inbound calls that ring: the paths to answer and decline them that WaGo and ZuckZapGo share.

A body with `call_id` and `call_from` is ZuckZapGo's, any other WaGo's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from bridge.api.server.fields import CallId, field
from bridge.api.server.operation import BARE, CALL, Context, Group
from bridge.api.server.services import CONTROL
from bridge.call import events
from bridge.call.model import Direction, State
from bridge.errors import InvalidState
from bridge.node.runner import CallRunner

GROUP: Final = Group(name="WaGo", envelope=BARE, is_vendors=True)


class WagoBody(Struct, rename={"call_id": "callID"}):
    """The call that a request is about."""

    call_id: CallId


class WagoDone(Struct, rename={"call_id": "callID"}):
    """What was done to a call."""

    details: str
    call_id: str


class SignalledWago(Struct, rename={"call_id": "callID"}):
    """What was done to a call, for WaGo: in the envelope and beside it."""

    data: WagoDone
    details: str
    call_id: str
    code: Literal[200] = 200
    success: Literal[True] = True


class Signal(Struct):
    """A call, and who called."""

    call_id: CallId
    call_from: Annotated[str, field("only repeated")]
    reject_type: str | None = None

    @staticmethod
    def is_meant(given: Mapping[str, Any]) -> bool:
        """Whether a request has ZuckZapGo's fields."""
        return given.get("call_id") is not None and given.get("call_from") is not None


class Signalled(Struct):
    """What was done to a call."""

    call_id: str
    call_from: str
    action: str
    reject_type: str | UnsetType = UNSET
    message_sent: bool | UnsetType = UNSET
    message_error: Annotated[str, field("why no message was sent")] | UnsetType = UNSET
    success: Literal[True] = True


@GROUP.post("/call/accept", needs_enabled_line=True, errors=(*CALL, 503))
async def accept(context: Context, body: Signal | WagoBody) -> Signalled | SignalledWago:
    """Answer an inbound call.

    The answer is WaGo's for `callID`, ZuckZapGo's for `call_id` and `call_from`.
    """
    if isinstance(body, Signal):
        ringing_call(context, body.call_id)
    context[CONTROL].manager.request(context.line, body.call_id, events.AnswerRequested())
    return _performed(body, "accepted")


@GROUP.post("/call/reject", needs_enabled_line=True, errors=(*CALL, 503))
async def reject(context: Context, body: Signal | WagoBody) -> Signalled | SignalledWago:
    """Decline an inbound call; with `voicemail.rejected` its caller may leave a message.

    The answer is WaGo's for `callID`, ZuckZapGo's for `call_id` and `call_from`.
    """
    context[CONTROL].voicemail_calls.reject(ringing_call(context, body.call_id))
    return _performed(body, "rejected")


def ringing_call(context: Context, call_id: str) -> CallRunner:
    """Return an inbound call that is ringing.

    Raises:
        CallNotFound: this line never had such a call.
        InvalidState: it is not ringing, or is an outbound one.
    """
    runner = context.live_call(call_id)
    direction, state = runner.machine.direction, runner.machine.state
    if direction is not Direction.INBOUND or state is not State.RINGING:
        raise InvalidState(f"the {direction} call is {state}: it is not ringing here")
    return runner


def signalled(body: Signal, action: str) -> Signalled:
    """Return ZuckZapGo's answer."""
    kind = body.reject_type if action == "rejected" else None
    return Signalled(body.call_id, body.call_from, action, reject_type=kind or UNSET)


def _performed(body: Signal | WagoBody, action: str) -> Signalled | SignalledWago:
    if isinstance(body, Signal):
        return signalled(body, action)
    done = WagoDone(f"Call {action}", body.call_id)
    return SignalledWago(done, done.details, done.call_id)
