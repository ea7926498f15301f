"""Agents in calls, the native verbs."""

from aiohttp import web

from bridge.agent.talk_settings import AgentMode
from bridge.api import render
from bridge.api.body import read_body
from bridge.api.services import SERVICES
from bridge.errors import InvalidRequest


async def start(request: web.Request) -> web.Response:
    """Put an agent into a call that has been answered."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    call_id, mode = body.call_id(), _mode(body.optional_text("mode"))
    leg = request.app[SERVICES].agents.start(line, call_id, mode)
    return render.success({"agentId": leg.leg_id, "mode": leg.script.mode.value})


async def stop(request: web.Request) -> web.Response:
    """Take the agent out of a call, which goes on."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    return render.success({"stopped": request.app[SERVICES].agents.stop(line, body.call_id())})


ROUTES = (
    web.post("/call/agent/start", start),
    web.post("/call/agent/stop", stop),
)


def _mode(text: str | None) -> AgentMode | None:
    try:
        return AgentMode(text) if text else None
    except ValueError:
        expected = ", ".join(AgentMode)
        raise InvalidRequest(f"mode: expected one of {expected}", field="mode") from None
