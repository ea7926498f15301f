"""The WADial face, `/api/v1`: sessions, which are our lines, and their calls."""

from aiohttp import web

from bridge.api.body import call_in_path, read_body
from bridge.api.faces.wadial.words import snapshot, success
from bridge.api.listing import known_calls
from bridge.api.services import SERVICES
from bridge.call import events
from bridge.call.model import Direction, LineName, State
from bridge.errors import InvalidState, NotFound

SESSIONS = "/api/v1/sessions"
SESSION = SESSIONS + "/{sessionId}"
CALLS = SESSION + "/calls"
CALL = CALLS + "/{callId}"


async def create_session(request: web.Request) -> web.Response:
    """Give the key's own session: a line is one session, there are no others to make."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    name = body.optional_text("displayName")
    body.optional_text("deviceBrowser")
    return success(_session_of(request, line, name))


async def list_sessions(request: web.Request) -> web.Response:
    """List the key's only session."""
    return success([_session_of(request, request.app[SERVICES].keys.line(request))])


async def session(request: web.Request) -> web.Response:
    """Say how a session stands."""
    return success(_session_of(request, line_of(request)))


async def connect(request: web.Request) -> web.Response:
    """Connect a session; one that is connected takes its settings anew."""
    line = line_of(request)
    await request.app[SERVICES].lines.connect(line)
    return success(_session_of(request, line))


async def start(request: web.Request) -> web.Response:
    """Ring a number, given as a JID or as digits, or a party that hides its number (`…@lid`)."""
    line = line_of(request)
    body = await read_body(request)
    runner = await request.app[SERVICES].manager.dial(line, body.peer("to"))
    request.app[SERVICES].recordings.automatic.capture(line, runner.facts.call_id)
    return success(snapshot(runner.record()))


async def list_calls(request: web.Request) -> web.Response:
    """List the session's calls, live ones and those that ended lately, oldest first."""
    known = await known_calls(request.app[SERVICES].manager, line_of(request))
    return success([snapshot(record) for record in known])


async def call(request: web.Request) -> web.Response:
    """Give one call, live or ended."""
    line = line_of(request)
    return success(snapshot(request.app[SERVICES].manager.record(line, call_in_path(request))))


async def accept(request: web.Request) -> web.Response:
    """Accept a call that rings us."""
    accepted = _ask(request, events.AnswerRequested())
    request.app[SERVICES].recordings.automatic.capture(line_of(request), call_in_path(request))
    return accepted


async def reject(request: web.Request) -> web.Response:
    """Decline a call that rings us."""
    record = request.app[SERVICES].manager.record(line_of(request), call_in_path(request))
    if record.direction is not Direction.INBOUND or record.state is not State.RINGING:
        raise InvalidState(f"nothing to reject: the {record.direction} call is {record.state}")
    return _ask(request, events.HangupRequested())


async def end(request: web.Request) -> web.Response:
    """End a call in any state."""
    return _ask(request, events.HangupRequested())


async def mute(request: web.Request) -> web.Response:
    """Take our side from what the peer hears, or give it back."""
    line_of(request)
    body = await read_body(request)
    return _ask(request, events.MuteRequested(muted=body.flag("muted")))


ROUTES = (
    web.post(SESSIONS, create_session),
    web.get(SESSIONS, list_sessions),
    web.get(SESSION, session),
    web.get(SESSION + "/status", session),
    web.post(SESSION + "/connect", connect),
    web.post(CALLS, start),
    web.get(CALLS, list_calls),
    web.get(CALL, call),
    web.post(CALL + "/accept", accept),
    web.post(CALL + "/reject", reject),
    web.post(CALL + "/end", end),
    web.post(CALL + "/mute", mute),
)


def line_of(request: web.Request) -> LineName:
    """Find the line whose session the path names.

    Raises:
        NotFound: the key's line is another one.
    """
    line = request.app[SERVICES].keys.line(request)
    if request.match_info["sessionId"] != line:
        raise NotFound("there is no such session")
    return line


def _ask(request: web.Request, wanted: events.Request) -> web.Response:
    line, call_id = line_of(request), call_in_path(request)
    manager = request.app[SERVICES].manager
    manager.request(line, call_id, wanted)
    return success(snapshot(manager.record(line, call_id)))


def _session_of(
    request: web.Request, line: LineName, display_name: str | None = None
) -> dict[str, object]:
    connected = request.app[SERVICES].lines.session(line).connected
    word = "connected" if connected else "disconnected"
    return {
        "sessionId": line,
        "displayName": display_name or line,
        "status": word,
        "paired": True,
        "connected": connected,
        "connectionState": word,
    }
