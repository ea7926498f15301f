"""Whole calls that ring a line whose mode is bot, ivr or ai."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from bridge.agent.session import AgentLeg
from bridge.api.keys import EVENTS
from bridge.settings import Net
from tests.support.inprocess import KEY, running, settings
from tests.support.provider_double import providing
from tests.support.waiting import until

TALKS, SILENT = "15550100002", "15550100008"


@asynccontextmanager
async def line(mode, **more):
    chosen = msgspec.structs.replace(settings(), net=Net(allow=["127.0.0.0/8"]))
    async with providing() as double, running(chosen) as client:
        heard = []
        publish = client.bridge.application[EVENTS].publish
        manager = client.bridge.manager
        told = manager._publish

        def listen(event):
            heard.append(event)
            told(event)

        manager._publish = listen
        assert publish is not None
        body = double.config(mode, **more)
        response = await client.http.put("/call/config", json=body, headers=KEY)
        assert response.status == 200, await response.text()
        await client.data("/session/connect", {})
        client.heard = heard
        yield client, double


def types(client):
    return [event.type for event in client.heard]


def texts(client):
    return [
        (event.data["role"], event.data["text"])
        for event in client.heard
        if event.type == "transcript"
    ]


async def ring(client, number):
    return (await client.data("/simulator/incoming", {"from": number}))["callId"]


async def ended(client):
    await until(lambda: "call.ended" in types(client), timeout=15)


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


@pytest.mark.call
async def test_an_ai_answers_what_the_caller_says():
    async with line("ai") as (client, double):
        call_id = await ring(client, TALKS)
        await until(lambda: double.count("llm") >= 1, timeout=15)
        asked = next(body for step, body in double.asked if step == "llm")
        assert asked["system"] == "Be brief."
        assert asked["messages"][-1] == {"role": "user", "content": "I would like a table."}
        await until(lambda: "agent.replied" in types(client), timeout=10)
        await client.data("/call/hangup", {"callId": call_id})
        await ended(client)
        assert not any(isinstance(leg, AgentLeg) for leg in asyncio.all_tasks())
