"""ZuckZapGo's older call signalling: `call_id` with `call_from`, and bare answers.

It controls calls but carries no audio; its newer routes are the native ones (`api.calls`). Two of its
paths are WaGo's too: a body with `call_id` and `call_from` is ZuckZapGo's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from bridge.api.faces.wago import calls
from bridge.api.faces.wago.calls import WagoBody, check_rings
from bridge.api.fields import CallId, field
from bridge.api.operation import BARE, CALL, Context, Group
from bridge.call import events
from bridge.call.model import EndReason
from bridge.errors import BridgeError
from bridge.legs.gateway import GatewayLeg
from bridge.node.runner import CallRunner

NOT_MADE_HERE: Final = "make_call_not_implemented"
REASON: Final = "this signalling carries no audio; POST /call/dial makes calls"
NOT_SENT: Final = "the provider of this line sends no messages"
MAX_MESSAGE: Final = 4096
"""Characters: Meta's limit."""
REJECT: Final = events.HangupRequested(EndReason.REJECTED)

ZUCKZAPGO: Final = Group(name="ZuckZapGo", envelope=BARE)


class Signal(Struct):
    """A call, and who called."""

    call_id: CallId
    call_from: Annotated[str, field("only repeated")]
    reject_type: str | None = None

    @staticmethod
    def is_meant(given: Mapping[str, Any]) -> bool:
        """Whether a request has ZuckZapGo's fields."""
        return given.get("call_id") is not None and given.get("call_from") is not None


class Decline(Signal):
    """A call to decline, with a message for its caller."""

    message: Annotated[str, field("what the caller is sent", max_length=MAX_MESSAGE)] = ""


class Signalled(Struct):
    """What was done to a call."""

    call_id: str
    call_from: str
    action: str
    reject_type: str | UnsetType = UNSET
    message_sent: bool | UnsetType = UNSET
    message_error: Annotated[str, field("why no message was sent")] | UnsetType = UNSET
    success: Literal[True] = True


class SignalledWago(Struct, rename={"call_id": "callID"}):
    """What was done to a call, for WaGo: in the envelope and beside it."""

    data: calls.WagoDone
    details: str
    call_id: str
    code: Literal[200] = 200
    success: Literal[True] = True


class NotImplementedHere(Struct):
    """Why no call is made."""

    error: str
    reason: str
    code: Literal[501] = 501
    success: Literal[False] = False


@calls.WAGO.post("/call/accept", envelope=BARE, needs_engine=True, errors=(*CALL, 503))
async def accept(context: Context, body: Signal | WagoBody) -> Signalled | SignalledWago:
    """Answer an inbound call.

    The answer is WaGo's for `callID`, ZuckZapGo's for `call_id` and `call_from`.
    """
    if isinstance(body, WagoBody):
        return _wago(calls.accept(context, body))
    return _perform(context, body, "accepted", events.AnswerRequested())


@ZUCKZAPGO.post("/call/preaccept", needs_engine=True, errors=(*CALL, 503))
async def preaccept(context: Context, body: Signal) -> Signalled:
    """Acknowledge an inbound call, which keeps ringing."""
    return _perform(context, body, "preaccepted")


@calls.WAGO.post("/call/reject", envelope=BARE, needs_engine=True, errors=(*CALL, 503))
async def reject(context: Context, body: Signal | WagoBody) -> Signalled | SignalledWago:
    """Decline an inbound call.

    The answer is WaGo's for `callID`, ZuckZapGo's for `call_id` and `call_from`.
    """
    if isinstance(body, WagoBody):
        return _wago(calls.reject(context, body))
    return _perform(context, body, "rejected", REJECT)


@ZUCKZAPGO.post("/call/reject/send", needs_engine=True, errors=(*CALL, 503))
async def reject_and_send(context: Context, body: Decline) -> Signalled:
    """Decline an inbound call, and send its caller a message.

    Meta's lines send it as a text message, ZuckZapGo's engines with their own call; elsewhere
    `message_sent` is false and `message_error` says why. The call is declined in any case.
    """
    check_rings(context, body.call_id)
    runner = context.services.manager.live(context.line, body.call_id)
    sent, problem = await _send(context, runner, body.message) if body.message else (False, "")
    # A gateway engine may have ended the call, which it declined with the message.
    done = (
        _perform(context, body, "rejected", REJECT) if runner.live else _signalled(body, "rejected")
    )
    done.message_sent = sent
    done.message_error = problem or UNSET
    return done


@ZUCKZAPGO.post("/call/terminate", needs_engine=True, errors=(*CALL, 503))
async def terminate(context: Context, body: Signal) -> Signalled:
    """End a call in any state."""
    return _perform(context, body, "terminated", events.HangupRequested())


@ZUCKZAPGO.post("/call/initiate", status=501)
async def initiate(_context: Context) -> NotImplementedHere:
    """Refuse to make a call, as the vendor does."""
    return NotImplementedHere(NOT_MADE_HERE, REASON)


OPERATIONS: Final = (accept, preaccept, reject, reject_and_send, terminate, initiate)


def _wago(done: calls.WagoDone) -> SignalledWago:
    return SignalledWago(done, done.details, done.call_id)


def _perform(
    context: Context, body: Signal, action: str, wanted: events.Request | None = None
) -> Signalled:
    if action != "terminated":
        check_rings(context, body.call_id)
    if wanted is not None:
        context.services.manager.request(context.line, body.call_id, wanted)
    return _signalled(body, action)


def _signalled(body: Signal, action: str) -> Signalled:
    kind = body.reject_type if action == "rejected" else None
    return Signalled(body.call_id, body.call_from, action, reject_type=kind or UNSET)


async def _send(context: Context, runner: CallRunner, message: str) -> tuple[bool, str]:
    """Send a caller a message; return whether it was sent, and why not."""
    facts, far = runner.facts, runner.machine.far
    leg = runner.leg(far.leg_id) if far is not None else None
    cloud = context.services.cloud
    try:
        if cloud.has(facts.line):
            await cloud.send_text(facts.line, facts.peer, message)
            return True, ""
        if isinstance(leg, GatewayLeg) and await leg.decline(facts.peer, message):
            return True, ""
    except BridgeError as error:
        return False, str(error)
    return False, NOT_SENT
