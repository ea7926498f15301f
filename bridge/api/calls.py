"""Call control, the native API: dial, answer, hang up, mute, digits, status, quality."""

import math
from dataclasses import replace

from aiohttp import web

from bridge.api import render
from bridge.api.body import PHONE, call_in_path, read_body
from bridge.api.listing import recorded_calls
from bridge.api.services import SERVICES
from bridge.api.webrtc import PARTIES
from bridge.call import events
from bridge.call.model import LegId, LineName
from bridge.call.parties import PSTN, WHATSAPP
from bridge.errors import InvalidRequest


async def dial(request: web.Request) -> web.Response:
    """Ring a number, or open a call for a far party in a browser (`"channel": "webrtc"`)."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    body.optional_flag("video")
    channel = body.optional_text("channel")
    if channel == "webrtc":
        runner = await request.app[SERVICES].manager.open(line)
    elif channel in (None, "whatsapp"):
        runner = await request.app[SERVICES].manager.dial(line, body.peer(*PHONE))
    else:
        if channel == PSTN:
            request.app[SERVICES].policies[line].check_route(WHATSAPP, PSTN)
        raise InvalidRequest('channel: expected "whatsapp" or "webrtc"', field="channel")
    return render.success({"callId": runner.facts.call_id, "video": False})


async def status(request: web.Request) -> web.Response:
    """List the line's live calls."""
    line = _on(request)
    live = await recorded_calls(
        request.app[SERVICES].manager, request.app[SERVICES].recordings, line
    )
    calls = [render.call(record, recording=recording) for record, recording in live]
    return render.success({"calls": calls})


async def answer(request: web.Request) -> web.Response:
    """Accept a call that rings us."""
    return await _ask(request, events.AnswerRequested())


async def hangup(request: web.Request) -> web.Response:
    """End a call in any state; a ringing one is declined or cancelled."""
    return await _ask(request, events.HangupRequested())


async def mute(request: web.Request) -> web.Response:
    """Take a near leg, or all of them, from what the far party hears; or give it back."""
    line = _on(request)
    body = await read_body(request)
    call_id, leg_id, muted = body.call_id(), body.leg_id(), body.flag("muted", "Muted")
    wanted = events.MuteRequested(muted=muted, leg_id=LegId(leg_id) if leg_id else None)
    request.app[SERVICES].manager.request(line, call_id, wanted)
    return render.success({"ok": True, "muted": muted})


async def dtmf(request: web.Request) -> web.Response:
    """Send digits to the far party."""
    line = _on(request)
    body = await read_body(request)
    call_id, digits = body.call_id(), body.dtmf()
    request.app[SERVICES].manager.request(line, call_id, events.DigitsRequested(digits))
    return render.success({"ok": True})


async def quality(request: web.Request) -> web.Response:
    """Return a call's figures, live or for a while after its end; `?since=` cuts the timeline.

    A ticket sees its own party's legs, and no more once the call has ended.
    """
    call_id = call_in_path(request)
    access = request.app[SERVICES].keys.access(request)
    line = access.to(call_id)
    manager = request.app[SERVICES].manager
    record = manager.record(line, call_id)
    access.check_call_lives(ended=record.reason is not None)
    timelines = manager.quality.legs(record.facts.call_id)
    if access.ticket is not None:
        party = PARTIES[access.ticket.party][0]
        record = replace(record, legs=tuple(leg for leg in record.legs if leg.party is party))
        timelines = tuple(leg for leg in timelines if leg.party is party)
    return render.success(render.quality(record, timelines, since=_since(request)))


def _on(request: web.Request) -> LineName:
    """Find the line of a request that needs its engine."""
    line = request.app[SERVICES].keys.line(request)
    request.app[SERVICES].lines.check_on(line)
    return line


def _since(request: web.Request) -> float:
    text = request.query.get("since", "0")
    try:
        since = float(text)
    except ValueError:
        since = math.nan
    if not 0.0 <= since < math.inf:
        raise InvalidRequest("since: expected a second of the call", field="since")
    return since


async def _ask(request: web.Request, wanted: events.Request) -> web.Response:
    line = _on(request)
    body = await read_body(request)
    request.app[SERVICES].manager.request(line, body.call_id(), wanted)
    return render.success({"ok": True})
