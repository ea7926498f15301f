"""ZuckZapGo's older call signalling: `call_id` with `call_from`, and bare answers.

It controls calls but carries no audio; its newer routes are the native ones (`api.calls.calls`). `/call/accept`
and `/call/reject` are in `api.calls.ringing`.
"""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Struct

from bridge.api.calls.ringing import Signal, Signalled, ringing_call, signalled
from bridge.api.server.fields import field
from bridge.api.server.hangup import After, hangup_request
from bridge.api.server.operation import BARE, CALL, Context, Group
from bridge.api.server.services import CONTROL, LINES
from bridge.errors import BridgeError
from bridge.legs.gateway import GatewayLeg
from bridge.node.runner import CallRunner

NOT_MADE_HERE: Final = "make_call_not_implemented"
REASON: Final = "this signalling carries no audio; POST /call/dial makes calls"
NOT_SENT: Final = "the provider of this line sends no messages"
MAX_MESSAGE: Final = 4096
"""Characters: Meta's limit."""

ZUCKZAPGO: Final = Group(name="ZuckZapGo", envelope=BARE, is_vendors=True)


class Termination(Signal):
    """Which call to end, and when."""

    after: After = UNSET


class Decline(Signal):
    """A call to decline, with a message for its caller."""

    message: Annotated[str, field("what the caller is sent", max_length=MAX_MESSAGE)] = ""


class NotImplementedHere(Struct):
    """Why no call is made."""

    error: str
    reason: str
    code: Literal[501] = 501
    success: Literal[False] = False


@ZUCKZAPGO.post("/call/preaccept", needs_enabled_line=True, errors=(*CALL, 503))
async def preaccept(context: Context, body: Signal) -> Signalled:
    """Acknowledge an inbound call, which keeps ringing."""
    ringing_call(context, body.call_id)
    return signalled(body, "preaccepted")


@ZUCKZAPGO.post("/call/reject/send", needs_enabled_line=True, errors=(*CALL, 503))
async def reject_and_send(context: Context, body: Decline) -> Signalled:
    """Decline an inbound call, and send its caller a message.

    Meta's lines send it as a text message, ZuckZapGo's gateways with their own call; elsewhere
    `message_sent` is false and `message_error` says why. The call is declined in any case.
    """
    runner = ringing_call(context, body.call_id)
    sent, problem = await _send(context, runner, body.message) if body.message else (False, "")
    # A gateway may have ended the call, which it declined with the message.
    if runner.live:
        context[CONTROL].voicemail_calls.reject(ringing_call(context, body.call_id))
    done = signalled(body, "rejected")
    done.message_sent = sent
    done.message_error = problem or UNSET
    return done


@ZUCKZAPGO.post("/call/terminate", needs_enabled_line=True, errors=(*CALL, 503))
async def terminate(context: Context, body: Termination) -> Signalled:
    """End a call in any state."""
    context[CONTROL].manager.request(context.line, body.call_id, hangup_request(body.after))
    return signalled(body, "terminated")


@ZUCKZAPGO.post("/call/initiate", status=501)
async def initiate(_context: Context) -> NotImplementedHere:
    """Refuse to make a call, as the vendor does."""
    return NotImplementedHere(NOT_MADE_HERE, REASON)


async def _send(context: Context, runner: CallRunner, message: str) -> tuple[bool, str]:
    """Send a caller a message; return whether it was sent, and why not."""
    facts, far = runner.facts, runner.machine.legs.far
    leg = runner.leg(far.leg_id) if far is not None else None
    cloud = context[LINES].cloud
    try:
        if cloud.has(facts.line):
            await cloud.graph(facts.line).send_text(facts.peer, message)
            return True, ""
        if isinstance(leg, GatewayLeg) and await leg.decline(facts.peer, message):
            return True, ""
    except BridgeError as error:
        return False, str(error)
    return False, NOT_SENT
