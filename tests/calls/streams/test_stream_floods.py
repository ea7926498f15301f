"""Stream servers that send more than the bridge reads: what it costs the other calls, and how it ends."""

import asyncio
import itertools
from pathlib import Path

import pytest

from bridge.media.read_budget import BURST_SECONDS, FLOOD_SECONDS, UNITS_PER_SECOND
from bridge.node.lines import InboundMode, LineConfig
from tests.calls.streams.flooding_server import MESSAGES, flooding_server
from tests.support.clients.raw_socket import TEXT, frame_of
from tests.support.clients.stream_line import LINE, raw_streamed, stream_line
from tests.support.servers.stream_customer import customer_server
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

# The streams are the same on any node, and those that go through the wrong one are in test_media_streams.py.
pytestmark = [pytest.mark.call, one_node_only]

SECONDS = 5.0
PAGE = 4096


async def flood(ws, frame: bytes) -> None:
    while True:
        await ws.write(frame * 1000)


@pytest.mark.parametrize(
    "kind", ["mark", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("junk", "ping"))]
)
async def test_a_flood_is_held_up_and_then_ended(kind):
    async with raw_streamed() as (line, runner, ws):
        flooding = asyncio.create_task(flood(ws, MESSAGES[kind]))
        began = asyncio.get_running_loop().time()
        ended = await line.ended()
        flooding.cancel()
        assert ended["reason"] == "flood"
        assert FLOOD_SECONDS <= asyncio.get_running_loop().time() - began < 30.0
        most = (FLOOD_SECONDS + 2 * BURST_SECONDS) * UNITS_PER_SECOND
        assert int(str(ended["ignoredMessages"])) < most
        await until(lambda: not runner.live)


async def test_a_server_that_floods_is_let_go_of_at_once_when_its_call_ends():
    async with raw_streamed() as (line, runner, ws):
        flooding = asyncio.create_task(flood(ws, MESSAGES["junk"]))
        await asyncio.sleep(4.0)
        began = asyncio.get_running_loop().time()
        await line.client.data("/call/hangup", {"callId": runner.facts.call_id})
        ended = await line.ended()
        flooding.cancel()
        assert ended["reason"] == "stopped"
        assert asyncio.get_running_loop().time() - began < 1.0


@pytest.mark.full
@pytest.mark.real_time
async def test_fragments_without_end_are_a_flood():
    async with raw_streamed() as (line, runner, ws):
        await ws.write(frame_of(b"x", TEXT, masked=False, first=0))
        flooding = asyncio.create_task(flood(ws, MESSAGES["fragment"] * 100))
        ended = await line.ended()
        flooding.cancel()
        assert (ended["reason"], ended["error"]) == (
            "flood",
            "the server sent fragments without end",
        )
        await until(lambda: not runner.live)


@pytest.mark.full
@pytest.mark.real_time
@pytest.mark.parametrize("kind", sorted(MESSAGES))
async def test_the_audio_of_another_call_goes_on_during_a_flood(kind, record_property):
    async with (
        customer_server() as server,
        flooding_server(kind) as url,
        stream_line(server.url) as line,
    ):
        await line.ring()
        other = await server.customer()
        await until(lambda: other.of("media"))
        lines = line.bridge.lines.lines
        await lines.put(LINE, LineConfig(mode=InboundMode.STREAM, stream_url=url))
        await lines.connect(LINE)
        await line.ring()
        await until(lambda: len(line.published.of("stream.started")) == 2)
        before, memory = len(other.arrived), resident()
        await asyncio.sleep(SECONDS)
        arrived = other.arrived[before:]
        gaps = sorted(b - a for a, b in itertools.pairwise(arrived))
        grown = resident() - memory
        record_property("p99 gap ms", round(gaps[len(gaps) * 99 // 100] * 1000, 1))
        print(
            kind, "p50", gaps[len(gaps) // 2], "p99", gaps[len(gaps) * 99 // 100], "MB", grown >> 20
        )
        assert len(arrived) > 0.9 * 50 * SECONDS
        # Far above what a busy machine does to it, far below what a flood does that is not held up.
        assert gaps[len(gaps) * 95 // 100] < 0.1
        assert grown < 128 << 20


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
