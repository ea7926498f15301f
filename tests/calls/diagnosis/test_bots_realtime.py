"""Faults of speech-to-speech models in whole calls: what their server refuses, and functions that hang."""

import asyncio
from typing import Any

import pytest

from bridge.settings.realtime import RealtimeTool
from tests.calls.streams.test_realtime import Talk, talking
from tests.support.servers.realtime_double import Call, Say, Script
from tests.support.servers.receiver import receiving
from tests.support.virtual_time import monotonic

LOOK_UP = RealtimeTool("look_up", "Finds an order.")
pytestmark = [pytest.mark.call, pytest.mark.full]


def problems(talk: Talk) -> list[dict[str, Any]]:
    """The problems that were published."""
    return [*talk.line.published.of("call.problem")]


async def first(talk: Talk, within: float) -> dict[str, Any]:
    due = monotonic() + within
    while not (found := problems(talk)):
        assert monotonic() < due
        await asyncio.sleep(0.2)
    return found[0]


async def test_a_model_whose_quota_is_used_up_is_named():
    async with talking(Script([[Say(1.0)]]), greeting="Hello.") as talk:
        error = {"type": "tokens", "code": "insufficient_quota", "message": "No more."}
        await talk.session.send("error", error=error)
        problem = await first(talk, 5.0)
        assert (problem["code"], problem["severity"]) == ("bot_provider_refused", "broken")
        assert "limits" in problem["fix"]


async def test_a_function_that_hangs_is_named_while_the_caller_hears_nothing():
    script = Script([[Call("look_up")], [Say(0.5)]])
    async with receiving() as hook:
        more = {"tools_url": hook.url, "tools": [LOOK_UP]}
        async with talking(script, **more) as talk:
            hook.delay = 9.0
            await talk.caller.say(0.6)
            problem = await first(talk, 8.0)
            assert problem["code"] == "bot_function_hangs"
            assert "look_up" in problem["summary"]
            await talk.hears(0.5)


async def test_a_function_that_fails_is_named():
    script = Script([[Call("look_up")], [Say(0.5)]])
    more = {"tools_url": "http://127.0.0.1:9/", "tools": [LOOK_UP], "greeting": "Hello."}
    async with talking(script, **more) as talk:
        problem = await first(talk, 5.0)
        assert problem["code"] == "bot_function_failed"
        assert "tools_url" in problem["fix"]
