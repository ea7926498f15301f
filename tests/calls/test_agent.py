"""Whole calls that ring a line whose mode is bot, ivr or ai."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from bridge.call.model import LineName
from bridge.legs.agent import AgentLeg
from bridge.settings.model import Agent, Net
from bridge.wire.call_event import CallEvent
from tests.support.inprocess import KEY, Client, running, settings
from tests.support.servers.provider_double import providing, tone_wav
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer

DEMO = LineName("demo")
TALKS, SILENT = "15550100002", "15550100008"


class Line(Client):
    """A bridge, and what has happened on it."""

    def __init__(self, client, heard):
        super().__init__(client.bridge, client.http, owner=client.owner, data=client.data_folder)
        self.heard = heard


@asynccontextmanager
async def line(mode, *, agent=None, **more):
    """Yield a bridge whose line is set so; `agent` is how agents talk."""
    chosen = msgspec.structs.replace(
        settings(),
        net=Net(allow=["127.0.0.0/8"]),
        agent=msgspec.structs.replace(Agent(end_seconds=0.2), **(agent or {})),
    )
    async with providing() as double, running(chosen) as client:
        heard: list[CallEvent] = []
        client.bridge.manager.publisher.subscribe(heard.append)
        body = double.config(mode, **more)
        response = await client.http.put("/call/config", json=body, headers=KEY)
        assert response.status == 200, await response.text()
        await client.data("/session/connect", {})
        yield Line(client, heard), double


def types(client):
    return [event.type for event in client.heard]


def texts(client):
    return [
        (event.data["role"], event.data["text"])
        for event in client.heard
        if event.type == "transcript"
    ]


def agent_tasks():
    return [task for task in asyncio.all_tasks() if "agent" in task.get_name()]


async def ring(client, number):
    return (await client.data("/simulator/incoming", {"from": number}))["callId"]


async def ended(client):
    await until(lambda: "call.ended" in types(client), timeout=40)


@pytest.mark.call
async def test_a_bot_greets_and_hangs_up():
    async with line("bot") as (client, double):
        await ring(client, SILENT)
        await ended(client)
        assert texts(client) == [("agent", "Good day.")]
        assert double.asked == [("tts", {"text": "Good day."})]
        assert double.tokens == ["Bearer s3cret"]


@pytest.mark.call
async def test_an_ivr_tells_what_the_caller_says_and_hangs_up():
    async with line("ivr") as (client, double):
        await ring(client, TALKS)
        await ended(client)
        assert ("caller", "I would like a table.") in texts(client)
        assert double.count("llm") == 0
        wav = next(body for step, body in double.asked if step == "stt")
        assert wav[:4] == b"RIFF"


@pytest.mark.real_time
@pytest.mark.call
async def test_an_ai_answers_what_the_caller_says():
    async with line("ai") as (client, double):
        call_id = await ring(client, TALKS)
        await until(lambda: double.count("llm") >= 1, timeout=40)
        asked = next(body for step, body in double.asked if step == "llm")
        assert asked["system"] == "Be brief."
        assert asked["messages"][-1] == {"role": "user", "content": "I would like a table."}
        await until(lambda: "agent.replied" in types(client), timeout=20)
        await client.data("/call/hangup", {"callId": call_id})
        await ended(client)
        await until(lambda: agent_tasks() == [])


@pytest.mark.call
@pytest.mark.parametrize(("step", "answer"), [("stt", {"no": "text"}), ("llm", 500)])
async def test_a_step_that_fails_is_told_and_the_caller_hears_an_apology(step, answer):
    async with line("ai", callGreeting="") as (client, double):
        double.answers[step] = answer
        await ring(client, TALKS)
        await until(lambda: "agent.failed" in types(client), timeout=40)
        await until(lambda: double.count("tts") >= 1, timeout=5)
        failed = next(event.data for event in client.heard if event.type == "agent.failed")
        assert failed["step"] == step


@one_node_only  # the other talks go through the wrong node
@pytest.mark.call
@pytest.mark.parametrize("step", ["stt", "llm", "tts"])
async def test_a_caller_who_hangs_up_during_a_step_leaves_nothing_behind(step):
    # The first speech is the greeting; nothing need be waited for.
    greeting = "Good day." if step == "tts" else ""
    async with line("ai", callGreeting=greeting) as (client, double):
        double.answers[step] = "hang"
        call_id = await ring(client, TALKS)
        await until(double.entered[step].is_set, timeout=40)
        assert agent_tasks() != []
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: agent_tasks() == [])


@pytest.mark.call
async def test_how_soon_an_agent_was_heard_is_told_in_the_calls_timeline():
    async with line("ai", callGreeting="") as (client, _):
        call_id = await ring(client, TALKS)
        await until(lambda: "agent.replied" in types(client), timeout=40)

        async def replies():
            told = await client.get(f"/call/{call_id}/quality")
            timeline = (await told.json())["data"]["timeline"]
            return [leg["replies"] for leg in timeline if leg["kind"] == "agent"]

        async def replied():
            return any(await replies())

        await until_answer(replied, timeout=10)
        [[first, *_]] = await replies()
        assert {"at", "sttMs", "llmMs", "ttsMs", "firstAudioMs", "overheadMs"} == first.keys()
        # Its own part: generous, since the machine may be busy with other tests.
        assert first["overheadMs"] <= 150


@pytest.mark.call
async def test_a_caller_who_speaks_interrupts_the_greeting_and_is_answered():
    async with line("ai", callGreeting="InboundAction. " * 20) as (client, double):
        double.answers["tts"] = tone_wav(3.0)
        await ring(client, TALKS)
        await until(lambda: "agent.interrupted" in types(client), timeout=20)
        interrupted = next(e.data for e in client.heard if e.type == "agent.interrupted")
        assert interrupted["heardSeconds"] < 3.0
        await until(lambda: double.count("llm") >= 1, timeout=20)
        asked = next(body for step, body in double.asked if step == "llm")
        # What was said of the greeting is at most what had been heard of it.
        greeted = [said for said in asked["messages"] if said["role"] == "assistant"]
        words = sum(len(said["content"].split()) for said in greeted)
        assert words <= 1 + interrupted["heardSeconds"]


@pytest.mark.call
async def test_a_provider_that_takes_too_long_is_apologised_for_after_a_filler():
    ways = {"llm_seconds": 0.12, "filler_seconds": 0.04, "filler": "Wait.", "fallback": "Sorry."}
    async with line("ai", agent=ways, callGreeting="") as (client, double):
        double.answers["llm"] = "hang"
        await ring(client, TALKS)
        await until(lambda: ("tts", {"text": "Sorry."}) in double.asked, timeout=40)
        spoken = [body["text"] for step, body in double.asked if step == "tts"]
        assert spoken[0] == "Wait."
        failed = next(event.data for event in client.heard if event.type == "agent.failed")
        assert (failed["step"], failed["reason"]) == ("llm", "timeout")


@pytest.mark.call
async def test_a_caller_who_says_nothing_is_asked_and_then_left():
    ways = {
        "silence_seconds": 0.5,
        "no_input_prompt": "Hello?",
        "no_input_prompts": 2,
        "goodbye": "Bye.",
    }
    async with line("ai", agent=ways, callGreeting="") as (client, _):
        await ring(client, SILENT)
        await ended(client)
        assert texts(client) == [("agent", "Hello?"), ("agent", "Hello?"), ("agent", "Bye.")]


@pytest.mark.call
async def test_a_talk_ends_when_its_time_is_over():
    async with line("ai", agent={"talk_seconds": 1.0}) as (client, _):
        await ring(client, SILENT)
        await ended(client)
        assert "agent.timed_out" in types(client)
        await until(lambda: agent_tasks() == [])


@pytest.mark.call
@pytest.mark.real_time
async def test_the_demo_line_talks_without_any_provider():
    async with running(settings()) as client:
        call_id = (await client.data("/simulator/incoming", {"from": SILENT}))["callId"]
        early = await client.post("/call/agent/start", {"callId": call_id})
        assert early.status == 409
        await until(lambda: client.bridge.manager.live(DEMO, call_id).legs())
        await client.data("/call/answer", {"callId": call_id})
        started = await client.data("/call/agent/start", {"callId": call_id})
        assert started["mode"] == "ai"
        again = await client.post("/call/agent/start", {"callId": call_id, "mode": "bot"})
        assert again.status == 409
        [agent] = [
            leg
            for leg in client.bridge.manager.live(DEMO, call_id).legs()
            if isinstance(leg, AgentLeg)
        ]
        await until(lambda: agent.statistics().received.frames > 10, timeout=20)
        assert await client.data("/call/agent/stop", {"callId": call_id}) == {"stopped": 1}
        await until(lambda: agent_tasks() == [])
        assert await client.data("/call/agent/stop", {"callId": call_id}) == {"stopped": 0}
        assert (await client.calls())[0]["state"] == "active"
        bad = await client.post("/call/agent/start", {"callId": call_id, "mode": "webhook"})
        assert bad.status == 400


@pytest.mark.call
@pytest.mark.real_time
async def test_on_the_line_for_agents_one_answers_whoever_rings():
    async with running(settings()) as client:
        body, key = {"from": SILENT}, {"token": "ai"}
        rung = await client.http.post("/simulator/incoming", json=body, headers=key)
        call_id = (await rung.json())["data"]["callId"]

        def spoken() -> float:
            legs = client.bridge.manager.live(LineName("ai"), call_id).legs()
            return sum(
                leg.statistics().received.frames for leg in legs if isinstance(leg, AgentLeg)
            )

        await until(lambda: spoken() > 10, timeout=20)
