"""ZuckZapGo's older call signalling: `call_id` with `call_from`, and bare answers.

It moves calls but carries no sound; its newer routes are the native ones (`api.calls`). Two of its
paths are WaGo's too: who sends `call_from` beside `call_id` speaks as ZuckZapGo's clients do. What is
said of `call_from` is only repeated: a call's id names it well enough.
"""

from typing import Final

from aiohttp import web

from bridge.api.body import Body, read_body
from bridge.api.faces.wago import calls
from bridge.api.services import SERVICES
from bridge.call import events
from bridge.call.model import EndReason, LineName
from bridge.errors import BridgeError, InvalidRequest, Unsupported
from bridge.legs.gateway import GatewayLeg
from bridge.node.runner import CallRunner
from bridge.wire.call_id import native

NOT_MADE_HERE: Final = "make_call_not_implemented"
REASON: Final = "this signalling carries no sound; POST /call/dial makes calls"
NOT_SENT: Final = "the provider of this line sends no messages"
MAX_MESSAGE: Final = 4096
"""Characters; Meta takes no more."""
REJECT: Final = events.HangupRequested(EndReason.REJECTED)


async def accept(request: web.Request) -> web.Response:
    """Accept a call that rings us, in either vendor's words."""
    line, body = await _asked(request)
    if not _speaks_here(body):
        return calls.accept(request, line, body)
    return _perform(request, line, body, "accepted", events.AnswerRequested())


async def preaccept(request: web.Request) -> web.Response:
    """Say that a call that rings us has been noticed; it goes on ringing."""
    line, body = await _asked(request)
    return _perform(request, line, body, "preaccepted")


async def reject(request: web.Request) -> web.Response:
    """Decline a call that rings us, in either vendor's words."""
    line, body = await _asked(request)
    if not _speaks_here(body):
        return calls.reject(request, line, body)
    return _perform(request, line, body, "rejected", REJECT)


async def reject_and_send(request: web.Request) -> web.Response:
    """Decline a call that rings us, and send its caller the text in `message`.

    `message_sent` says whether that was done, `message_error` why not: the line's provider sends no
    messages, or refused this one. The call is declined all the same.
    """
    line, body = await _asked(request)
    call_id, message = _call_id(body), body.optional_text("message") or ""
    if len(message) > MAX_MESSAGE:
        most = f"at most {MAX_MESSAGE} characters"
        raise InvalidRequest(f"message: expected {most}", field="message")
    _check_words(body)
    calls.check_rings(request, line, call_id)
    runner = request.app[SERVICES].manager.live(line, call_id)
    sent, problem = await _send(request, runner, message) if message else (False, "")
    said = {"message_sent": sent} | ({"message_error": problem} if problem else {})
    if runner.live:
        return _perform(request, line, body, "rejected", REJECT, **said)
    # The gateway engine, which declined the call along with the message, was quicker to tell us.
    return _answer(body, "rejected", **said)


async def terminate(request: web.Request) -> web.Response:
    """End a call in any state."""
    line, body = await _asked(request)
    return _perform(request, line, body, "terminated", events.HangupRequested())


async def initiate(request: web.Request) -> web.Response:
    """Refuse to make a call, as the vendor does."""
    request.app[SERVICES].keys.line(request)
    status = Unsupported.status
    said = {"code": status, "error": NOT_MADE_HERE, "reason": REASON, "success": False}
    return web.json_response(said, status=status)


ROUTES: Final = (
    web.post("/call/accept", accept),
    web.post("/call/preaccept", preaccept),
    web.post("/call/reject", reject),
    web.post("/call/reject/send", reject_and_send),
    web.post("/call/terminate", terminate),
    web.post("/call/initiate", initiate),
)


async def _asked(request: web.Request) -> tuple[LineName, Body]:
    return calls.line_on(request), await read_body(request)


def _speaks_here(body: Body) -> bool:
    return body.has("call_id") and body.has("call_from")


def _perform(
    request: web.Request,
    line: LineName,
    body: Body,
    action: str,
    wanted: events.Request | None = None,
    **said: object,
) -> web.Response:
    call_id = _call_id(body)
    _check_words(body)
    if action != "terminated":
        calls.check_rings(request, line, call_id)
    if wanted is not None:
        request.app[SERVICES].manager.request(line, call_id, wanted)
    return _answer(body, action, **said)


def _answer(body: Body, action: str, **said: object) -> web.Response:
    kind = body.optional_text("reject_type")
    if kind and action == "rejected":
        said["reject_type"] = kind
    call_id, call_from = _call_id(body), body.text("call_from")
    answer = {"success": True, "call_id": call_id, "call_from": call_from, "action": action}
    return web.json_response(answer | said)


def _check_words(body: Body) -> None:
    """See that the words that are only repeated are words, before anything is done.

    Raises:
        InvalidRequest: naming the field.
    """
    body.text("call_from")
    body.optional_text("reject_type")


async def _send(request: web.Request, runner: CallRunner, message: str) -> tuple[bool, str]:
    """Send a caller a message; returns whether that was done, and why not."""
    facts, far = runner.facts, runner.machine.far
    leg = runner.leg(far.leg_id) if far is not None else None
    cloud = request.app[SERVICES].cloud
    try:
        if cloud.has(facts.line):
            await cloud.send_text(facts.line, facts.peer, message)
            return True, ""
        if isinstance(leg, GatewayLeg) and await leg.decline(facts.peer, message):
            return True, ""
    except BridgeError as error:
        return False, str(error)
    return False, NOT_SENT


def _call_id(body: Body) -> str:
    text = body.text("call_id")
    return native(text) or text
