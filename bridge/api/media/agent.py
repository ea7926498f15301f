"""Agents in calls: the native routes."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Struct

from bridge.agent.script import AgentMode
from bridge.api.server.fields import CallBody, CallId, field
from bridge.api.server.hangup import AfterStop
from bridge.api.server.operation import CALL, Context, Group
from bridge.api.server.services import CONTROL

GROUP: Final = Group(name="Agents")


class StartAgent(Struct, rename="camel"):
    """The call that an agent joins, and how it talks."""

    call_id: CallId
    mode: Annotated[
        AgentMode | None,
        field("the line's own by default", read=lambda sent, _: None if sent == "" else sent),
    ] = None


class StartedAgent(Struct, rename="camel"):
    """An agent in a call."""

    agent_id: str
    mode: AgentMode


class StopAgent(CallBody, rename="camel"):
    """Which agent leaves, and when."""

    after: AfterStop = UNSET


class Stopped(Struct):
    """What was stopped."""

    stopped: Any


@GROUP.post("/call/agent/start", errors=(*CALL, 422, 503))
async def start(context: Context, body: StartAgent) -> StartedAgent:
    """Add an agent to a call that has been answered.

    Its services (speech to text, language model, text to speech) are the line's, of
    PUT /call/config.
    """
    leg = context[CONTROL].agents.start(context.live_call(body.call_id), body.mode)
    return StartedAgent(leg.leg_id, leg.script.mode)


@GROUP.post("/call/agent/stop", errors=CALL)
async def stop(context: Context, body: StopAgent) -> Stopped:
    """Remove the agent from a call, which continues."""
    runner, last = context.live_call(body.call_id), body.after == "speech"
    return Stopped(context[CONTROL].agents.stop(runner, after_speech=last))
