"""Messages of callers, transcribed."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from bridge.call.model import LineName
from bridge.settings.model import Line, Net, Voicemail
from tests.support.clients.caller import call_in
from tests.support.inprocess import running, settings
from tests.support.published import Published
from tests.support.servers.provider_double import providing
from tests.support.sound.transcribing import finished, set_provider
from tests.support.sound.transcribing import wall_clock as wall_clock
from tests.support.waiting import until, until_answer

pytestmark = [pytest.mark.usefixtures("wall_clock"), pytest.mark.virtual_time]

LINE = LineName("demo")


@asynccontextmanager
async def bridged(*, transcribe: bool, provider: bool = True):
    """Run a bridge and its provider; give the bridge, and what it publishes."""
    line = Line(keys=["demo"], voicemail=Voicemail(transcribe=transcribe))
    chosen = settings(lines={"demo": line}, net=Net(allow=["127.0.0.0/8"]))
    async with providing() as double, running(msgspec.structs.replace(chosen)) as client:
        if provider:
            await set_provider(client, double.root)
        published = Published()
        client.bridge.manager.publisher.subscribe(published.events.append)
        yield client, published


async def left(client) -> str:
    """Let a caller leave a message."""
    caller, runner = await call_in(client.bridge.manager)
    client.bridge.control.voicemail_calls.send(runner)
    await until(lambda: client.bridge.records.recordings.active(runner.facts.call_id))
    await caller.say(2.0)
    caller.hang_up()
    store = client.bridge.records.voicemails.store
    await until_answer(lambda: store.of_call(LINE, runner.facts.call_id))
    return str(runner.facts.call_id)


async def test_a_message_is_transcribed_and_that_is_published():
    async with bridged(transcribe=True) as (client, published):
        call_id = await left(client)
        await until(lambda: published.of("voicemail.transcribed"), timeout=60.0)
        [data] = published.of("voicemail.transcribed")
        assert data["transcription"]
        found = await (await client.get(f"/voicemails/{call_id}")).json()
        assert found["data"]["transcription"] == data["transcription"]


async def test_with_a_message_what_was_said_in_it_is_deleted():
    async with bridged(transcribe=True) as (client, published):
        call_id = await left(client)
        await until(lambda: published.of("voicemail.transcribed"), timeout=60.0)
        await client.bridge.records.voicemails.delete(LINE, call_id)
        assert (await client.get(f"/call/{call_id}/transcript")).status == 404


@pytest.mark.parametrize(("transcribe", "provider"), [(False, True), (True, False)])
async def test_a_message_is_not_transcribed_without_a_provider_or_unless_asked_for(
    transcribe, provider
):
    async with bridged(transcribe=transcribe, provider=provider) as (client, published):
        call_id = await left(client)
        await asyncio.sleep(30.0)
        assert published.of("voicemail.transcribed") == []
        assert (await client.get(f"/call/{call_id}/transcript")).status == 404


async def test_the_transcript_of_a_message_may_be_asked_for_later():
    async with bridged(transcribe=False) as (client, published):
        call_id = await left(client)
        await client.data("/call/transcribe", {"callId": call_id})
        await finished(client, call_id)
        await until(lambda: published.of("voicemail.transcribed"))
