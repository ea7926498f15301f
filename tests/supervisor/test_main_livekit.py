"""A node that is upgraded or killed beneath a call that LiveKit's Python SDK has joined: the SDK hears on, or is back at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from tests.stacks.caller import Caller
from tests.stacks.livekit_sdks.party import heard_tone, party, silence, told
from tests.supervisor.test_main_crash import kill_node, lines, state, succeeded
from tests.supervisor.test_main_upgrade import ECHO, order, supervised
from tests.support.server import Server

MAX_SILENCE = 1.0
"""Seconds; what is usual is a twentieth at an upgrade and a fifth at a death."""
PIECE_SECONDS = 2.0

pytestmark = [pytest.mark.livekit, pytest.mark.real_time]


@asynccontextmanager
async def talking(server: Server, folder) -> AsyncIterator[Caller]:
    """Let the SDK talk to the echo."""
    call_id = server.post("/call/dial", {"phone": ECHO})["callId"]
    answer = server.post(f"/call/{call_id}/livekit", {"party": "near", "identity": "alice"})
    async with party("python", folder) as sdk:
        await sdk.ask("join", url=answer["url"], token=answer["token"])
        await sdk.ask("publish", hertz=440.0)
        await heard_tone(sdk, 440.0)
        yield sdk
        await told(sdk, "reconnected")
        await heard_tone(sdk, 440.0)
        await sdk.ask("leave")
    for unwanted in ("Traceback", "node_lost", "call.not_recovered"):
        assert unwanted not in server.log()
    server.end_calls()


async def longest_silence(sdk: Caller, work: Awaitable[object]) -> float:
    """Return the longest silence that the SDK has heard while something was done, and for a moment after, in seconds."""
    doing = asyncio.ensure_future(work)
    longest, last = 0.0, False
    while not last:
        last = doing.done()
        longest = max(longest, silence(await sdk.hear(PIECE_SECONDS), PIECE_SECONDS))
    await doing
    return longest


async def test_it_hears_on_through_an_upgrade(tmp_path):
    with supervised() as server:
        async with talking(server, tmp_path) as sdk:
            upgrade = asyncio.to_thread(order, server, "upgrade", "--wait")
            assert await longest_silence(sdk, upgrade) < MAX_SILENCE
        assert len(lines(server, "call.recovered")) == 1


async def test_it_hears_on_when_its_node_is_killed(tmp_path):
    with supervised() as server:
        async with talking(server, tmp_path) as sdk:
            await state(server, lambda: lines(server, "spare.ready"), "there is a spare")
            await asyncio.sleep(3)  # what is known of the leg is copied
            assert await longest_silence(sdk, kill(server)) < MAX_SILENCE


async def kill(server: Server) -> None:
    killed = await kill_node(server)
    await state(server, lambda: lines(server, "call.recovered"), "the call goes on")
    await succeeded(server, killed)
