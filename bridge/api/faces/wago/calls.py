"""WaGo's call control: `callID` for ids, and what an answer holds both beside `data` and in it.

Its pages name no fields for these routes and few paths; `Phone`, `callID`, `details`, `call` and
`calls` are its house style, the rest is our definition. WebRTC is in `api.webrtc`.
"""

from typing import Any, Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import Body, read_body
from bridge.api.listing import recorded_calls
from bridge.api.services import SERVICES
from bridge.call import events
from bridge.call.model import CallRecord, Direction, EndReason, LineName, State
from bridge.errors import InvalidState


async def make(request: web.Request) -> web.Response:
    """Ring a number."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    runner = await request.app[SERVICES].manager.dial(line, body.peer("Phone", "phone"))
    return _success(call=_call(runner.record()))


def accept(request: web.Request, line: LineName, body: Body) -> web.Response:
    """Accept a call that rings us; `faces.zuckzapgo` has the route."""
    call_id = _call_id(body)
    request.app[SERVICES].manager.request(line, call_id, events.AnswerRequested())
    return _success(details="Call accepted", callID=call_id)


def reject(request: web.Request, line: LineName, body: Body) -> web.Response:
    """Decline a call that rings us; `faces.zuckzapgo` has the route."""
    call_id = _call_id(body)
    check_rings(request, line, call_id)
    request.app[SERVICES].manager.request(line, call_id, events.HangupRequested(EndReason.REJECTED))
    return _success(details="Call rejected", callID=call_id)


async def end(request: web.Request) -> web.Response:
    """End a call in any state."""
    line = line_on(request)
    call_id = _call_id(await read_body(request))
    request.app[SERVICES].manager.request(line, call_id, events.HangupRequested())
    return _success(details="Call ended", callID=call_id)


async def list_calls(request: web.Request) -> web.Response:
    """List the line's live calls."""
    line = line_on(request)
    live = await recorded_calls(
        request.app[SERVICES].manager, request.app[SERVICES].recordings, line
    )
    return _success(calls=[_call(record, recording=recording) for record, recording in live])


def line_on(request: web.Request) -> LineName:
    """Find the line of a request that needs its engine.

    Raises:
        BridgeError: as `Keys.line` and `Lines.check_on`.
    """
    line = request.app[SERVICES].keys.line(request)
    request.app[SERVICES].lines.check_on(line)
    return line


def check_rings(request: web.Request, line: LineName, call_id: str) -> None:
    """See whether a call rings us.

    Raises:
        CallNotFound: this line never had such a call.
        InvalidState: it is not ringing, or rings somebody else.
    """
    machine = request.app[SERVICES].manager.live(line, call_id).machine
    if machine.direction is not Direction.INBOUND or machine.state is not State.RINGING:
        raise InvalidState(f"the {machine.direction} call is {machine.state}: it does not ring us")


ROUTES: Final = (
    web.post("/call/make", make),
    web.post("/call/end", end),
    web.get("/call/list", list_calls),
)


def _call_id(body: Body) -> str:
    return body.call_id("callID")


def _call(record: CallRecord, *, recording: bool = False) -> dict[str, Any]:
    return {"callID": record.facts.call_id, **render.call(record, recording=recording)}


def _success(**said: object) -> web.Response:
    """Its clients read some answers with the envelope and some without; both find what they want."""
    return render.success(said, **said)
