"""A stream as a leg: what it hears, says, tells and counts."""

import asyncio
from base64 import b64decode
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any, cast

import numpy as np
import pytest

from bridge.audio.frame import FRAME_SAMPLES, SILENCE, Frame
from bridge.call.events import LegConnected, LegEnded, LegReported
from bridge.call.model import EndReason, LegId, LegKind, LineName
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.legs.send_queue import QUEUE_SECONDS
from bridge.legs.stream import StreamLeg
from bridge.legs.stream_track import TrackLeg
from bridge.media.stream_link import StreamTarget
from bridge.metrics.network import SocketMetrics
from bridge.wire.stream.media_format import Encoding, MediaFormat
from bridge.wire.stream.media_stream import WAVIX, Channel, StreamFacts, StreamType
from bridge.wire.stream.protocols import PROTOCOLS
from bridge.wire.stream.realtime_session import RealtimeSession
from tests.support.servers.stream_customer import customer_server
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

STREAM = "5d0c8e2a-0000-4000-8000-000000000001"
LINE = LineName("main")
LOCAL = [ip_network("127.0.0.0/8")]


class Losses:
    def __init__(self) -> None:
        self.seconds = {"in": 0.0, "out": 0.0}
        self.cut_offs = 0

    def dropped(self, direction: str, seconds: float) -> None:
        self.seconds[direction] += seconds

    def cut_off(self) -> None:
        self.cut_offs += 1


class Run:
    """A leg at work."""

    def __init__(
        self, url: str, http: Http, kind: StreamType, channel: Channel, media: MediaFormat
    ) -> None:
        facts = StreamFacts(STREAM, "call", kind, channel, media)
        self.losses = Losses()
        self.leg = StreamLeg(
            LegId(STREAM),
            facts,
            StreamTarget(url, http.of(LINE).streams),
            messages=PROTOCOLS[facts.protocol].messages(facts, RealtimeSession()),
            counters=cast("SocketMetrics", self.losses),
        )
        self.events: list[Any] = []
        self.task = asyncio.get_running_loop().create_task(self.leg.run(self.events.append))

    def told(self, kind: str) -> list[LegReported]:
        return [e for e in self.events if isinstance(e, LegReported) and e.type == kind]

    def hear(self, count: int, *, now: float = 0.0) -> None:
        for number in range(count):
            self.leg.sink.push(Frame(SILENCE, number * FRAME_SAMPLES, "clock"), now)

    def fill_window(self) -> None:
        """Let so much be in flight that nothing more is sent."""
        outbound = self.leg._outbound
        outbound.try_send, outbound.next = lambda: False, lambda: None  # type: ignore[method-assign]

    async def connected(self) -> None:
        await until(lambda: LegConnected(LegId(STREAM)) in self.events)


@asynccontextmanager
async def running(url, kind=StreamType.TWOWAY, channel=Channel.INBOUND, allow=LOCAL, media=WAVIX):
    http = Http(Guard(allow=allow, require_tls=False))
    run = Run(url, http, kind, channel, media)
    try:
        yield run
    finally:
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
        await http.aclose()


async def test_a_connected_stream_tells_that_it_started():
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        assert run.leg.kind is LegKind.STREAM
        [started] = run.told("stream.started")
        assert started.data["streamId"] == STREAM


async def test_a_message_is_sent_within_the_tick_that_completes_it():
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        run.hear(1)
        assert run.leg.statistics().sent.packets == 1


async def test_what_comes_before_the_connection_is_not_kept():
    async with customer_server() as server, running(server.url) as run:
        run.hear(10)
        await run.connected()
        run.hear(3)
        customer = await server.customer()
        await until(lambda: len(customer.of("media")) == 3)
        assert run.leg.statistics().sent.packets == 3


@pytest.mark.parametrize("milliseconds", [10, 30, 60, 200])
async def test_each_message_says_when_its_sound_was_heard(milliseconds):
    media = MediaFormat(Encoding.MULAW, 8_000, milliseconds)
    async with customer_server() as server, running(server.url, media=media) as run:
        await run.connected()
        customer = await server.customer()
        for number in range(31):
            run.leg.sink.push(Frame(SILENCE, number * FRAME_SAMPLES, "clock"), 0.0)
            await asyncio.sleep(0.002)
        await until(lambda: len(customer.of("media")) >= 600 // milliseconds)
        parts = [message["media"] for message in customer.of("media")][: 600 // milliseconds]
        assert [part["timestamp"] for part in parts] == list(range(0, 600, milliseconds))
        assert {len(b64decode(part["payload"])) for part in parts} == {8 * milliseconds}


async def test_what_is_played_in_another_form_is_heard_as_it_was_meant():
    media = MediaFormat(Encoding.F32LE, 16_000, 20)
    async with customer_server() as server, running(server.url, media=media) as run:
        await run.connected()
        customer = await server.customer()
        await customer.play(np.full(320, 0.25, "<f4").tobytes())
        await until(lambda: run.leg.statistics().received.packets)
        assert run.leg.pull() == np.full(320, 8192, "<i2").tobytes()


async def test_a_server_that_is_not_there_ends_the_stream():
    async with running("ws://127.0.0.1:9/") as run:
        await run.task
        assert run.events[-1] == LegEnded(LegId(STREAM), EndReason.UNREACHABLE)
        [ended] = run.told("stream.ended")
        assert ended.data["reason"] == "unreachable"


async def test_a_closed_network_is_not_even_tried():
    async with customer_server() as server, running(server.url, allow=[]) as run:
        await run.task
        [ended] = run.told("stream.ended")
        assert ended.data["reason"] == "blocked"
        assert server.customers == []


async def test_a_server_that_never_answers_is_given_up():
    silent = []
    server = await asyncio.start_server(lambda _, w: silent.append(w), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(f"ws://127.0.0.1:{port}/") as run:
        await run.task
        assert run.events[-1] == LegEnded(LegId(STREAM), EndReason.UNREACHABLE)
    for writer in silent:
        writer.close()
        await writer.wait_closed()
    server.close()


async def test_a_cancelled_stream_says_stop_and_tells_what_it_counted():
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        run.hear(2)
        customer = await server.customer()
        await until(lambda: len(customer.of("media")) == 2)
        run.task.cancel()
        await until(customer.closed.is_set)
        assert customer.messages[-1]["event"] == "stop"
        await until(lambda: run.told("stream.ended"))
        [ended] = run.told("stream.ended")
        assert (ended.data["reason"], ended.data["sentFrames"]) == ("stopped", 2)


async def test_what_is_played_is_pulled_frame_by_frame_and_its_mark_follows():
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        customer = await server.customer()
        await customer.play(bytes(4 * 960))
        await customer.say("mark", mark={"name": "end"})
        await until(lambda: run.leg.statistics().received.packets)
        await until(lambda: run.leg.pull() is not None)
        await until(lambda: run.leg.pull() is None)
        await until(lambda: run.leg.pull() or customer.of("mark"))
        assert run.leg.statistics().received.frames >= 3


async def test_after_clear_the_very_next_frame_is_silent_and_every_mark_returns():
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        customer = await server.customer()
        await customer.play(np.full(30 * 24_000, 9000, "<i2").tobytes())
        for name in ("first", "second"):
            await customer.say("mark", mark={"name": name})
        await until(lambda: len(run.leg._inbound.queue._marks) == 2)
        assert run.leg.pull() is not None
        await customer.say("clear")
        await until(lambda: len(customer.of("mark")) == 2)
        assert run.leg.pull() is None
        assert [mark["mark"]["name"] for mark in customer.of("mark")] == ["first", "second"]


async def test_a_one_way_stream_hears_nothing_from_the_customer():
    async with (
        customer_server() as server,
        running(server.url, StreamType.ONEWAY, Channel.OUTBOUND) as run,
    ):
        await run.connected()
        customer = await server.customer()
        await customer.play(bytes(9600))
        await until(lambda: run.leg.statistics().discarded["bad_message"] == 1)
        assert run.leg.pull() is None


async def test_too_much_at_once_is_dropped_and_counted():
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        run.fill_window()
        run.hear(round(QUEUE_SECONDS * 50) + 5)
        assert run.losses.seconds["out"] == pytest.approx(0.1)
        assert run.leg.statistics().sent.dropped_frames == 5


async def test_a_reader_that_takes_nothing_is_cut_off():
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        long_ago = asyncio.get_running_loop().time() - 60.0
        # What is behind since a minute, and still has something to wait for, is hopeless.
        run.fill_window()
        run.hear(round(QUEUE_SECONDS * 50) + 5, now=long_ago)
        await run.task
        assert run.losses.cut_offs == 1
        assert run.events[-1] == LegEnded(LegId(STREAM), EndReason.FAILED)


async def test_a_second_track_lives_as_long_as_its_stream():
    async with (
        customer_server() as server,
        running(server.url, StreamType.ONEWAY, Channel.BOTH) as run,
    ):
        await run.connected()
        events: list[Any] = []
        track = TrackLeg(LegId("track"), run.leg, Channel.OUTBOUND)
        task = asyncio.get_running_loop().create_task(track.run(events.append))
        track.sink.push(Frame(SILENCE, 0, "clock"), 0.0)
        customer = await server.customer()
        await until(lambda: customer.of("media"))
        assert customer.of("media")[0]["media"]["track"] == "outbound"
        assert track.statistics().sent.packets == 1
        assert track.source is None
        await customer.close()
        await task
        assert events == [LegEnded(LegId("track"), EndReason.HANGUP)]


@pytest.mark.parametrize("heard", [True, False])
async def test_who_waits_for_the_end_of_what_is_played_learns_whether_it_was_heard(heard):
    async with customer_server() as server, running(server.url) as run:
        await run.connected()
        assert await run.leg.played()
        customer = await server.customer()
        await customer.play(bytes(10 * 960))
        await until(lambda: run.leg._inbound.queue.buffered_seconds)
        waiting = asyncio.get_running_loop().create_task(run.leg.played())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        if heard:
            await until(lambda: run.leg.pull() is None)
        else:
            await customer.say("clear")
        assert await waiting is heard
