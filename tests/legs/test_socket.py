"""A WebSocket as a leg: pacing, slow readers, ends."""

import asyncio
from typing import cast

import pytest
from typing_extensions import override

from bridge.audio.buffer.paced import LIMIT_SECONDS
from bridge.audio.frame import SILENCE, Frame
from bridge.call.events import LegConnected, LegEnded, LegEvent
from bridge.call.model import EndReason, LegId
from bridge.legs.socket import SocketAudio, SocketLeg
from bridge.metrics.network import SocketMetrics
from bridge.wire.stream.media_format import WADIAL, ZUCKZAPGO, MediaFormat
from tests.support.waiting import until

SECOND = 32_000
LOUD = b"\1\2" * 320


class FakeWire:
    """Takes messages; has room for more while it is open."""

    def __init__(self) -> None:
        self.sent: list[bytes | str] = []
        self.pings: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.closed = self.moved = self.aborted = False
        self.fails: OSError | None = None

    @property
    def has_room(self):
        return self.open.is_set()

    def send(self, message):
        if self.fails:
            raise self.fails
        self.sent.append(message)

    def ping(self, payload):
        self.pings.append(payload)

    async def drained(self):
        await self.open.wait()

    async def close(self, *, moved=False):
        await self.open.wait()
        self.closed, self.moved = True, moved

    def abort(self):
        self.aborted = True


class Losses:
    def __init__(self) -> None:
        self.seconds = {"in": 0.0, "out": 0.0}
        self.cut_offs = 0

    def dropped(self, direction, seconds):
        self.seconds[direction] += seconds

    def cut_off(self):
        self.cut_offs += 1


CLEAR = '{"type":"clear"}'


class Texts:
    """Says a word at each occasion."""

    def opening(self):
        return ["hello"]

    def poll(self, buffered_seconds, now):
        return []

    def note_loss(self, direction):
        pass

    def is_clear(self, text):
        return text == CLEAR

    def refusal(self, problem):
        return ["what?"]

    def last_messages(self):
        return ["bye"]


def leg_with(media=ZUCKZAPGO, answered=lambda: True, *, limit_seconds=LIMIT_SECONDS, **more):
    wire, losses = FakeWire(), Losses()
    counters = cast("SocketMetrics", losses)
    audio = SocketAudio(media, limit_seconds)
    leg = SocketLeg(LegId("leg"), wire, audio=audio, counters=counters, answered=answered, **more)
    return leg, wire, losses


def tick(leg, count=1, pcm=SILENCE, *, pulls=True):
    """Do what the clock does; gives what the leg said."""
    said = []
    for number in range(count):
        said.append(leg.pull() if pulls else None)
        leg.push(Frame(pcm, number * 320, "clock"), number * 0.02)
    return said


class Running:
    """Runs a leg for the length of a `with`."""

    def __init__(self, leg) -> None:
        self.leg = leg
        self.events: list[LegEvent] = []

    async def __aenter__(self):
        self.task = asyncio.create_task(self.leg.run(self.events.append))
        await until(lambda: self.events)
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_three_frames_of_the_clock_are_one_message_of_60_ms():
    leg, wire, _ = leg_with()
    async with Running(leg) as run:
        tick(leg, 6, LOUD)
        await until(lambda: len(wire.sent) == 2)
        assert wire.sent == [LOUD * 3, LOUD * 3]
        assert run.events == [LegConnected(LegId("leg"))]


async def test_a_message_is_sent_within_the_tick_that_completes_it():
    leg, wire, _ = leg_with()
    async with Running(leg):
        tick(leg, 2, LOUD)
        assert wire.sent == []
        tick(leg, 1, LOUD)
        assert wire.sent == [LOUD * 3]


async def test_before_the_answer_no_sound_is_sent_and_what_comes_passes():
    answered: list[bool] = []
    leg, wire, _ = leg_with(answered=lambda: bool(answered))
    async with Running(leg):
        await leg.receive_audio(LOUD * 3)
        tick(leg, 4, LOUD)
        answered.append(True)
        tick(leg, 3, LOUD)
        await until(lambda: wire.sent)
        assert wire.sent == [LOUD * 3]
        assert leg.buffered_seconds == 0


async def test_what_the_party_sends_is_played_frame_by_frame():
    leg, _, _ = leg_with()
    await leg.receive_audio(LOUD * 3)
    assert tick(leg, 4) == [LOUD, LOUD, LOUD, None]


async def test_a_burst_of_30_s_is_kept_whole_and_played_in_its_time():
    leg, _, losses = leg_with()
    await leg.receive_audio(LOUD * 1500)
    assert leg.buffered_seconds == 30.0
    assert tick(leg, 1500) == [LOUD] * 1500
    assert losses.seconds["in"] == 0.0


async def test_above_a_minute_the_oldest_is_dropped_and_counted():
    leg, _, losses = leg_with()
    for _ in range(62):
        await leg.receive_audio(bytes(SECOND))
    assert losses.seconds["in"] == pytest.approx(2.0)


async def test_after_clear_nothing_more_is_played():
    leg, _, _ = leg_with(texts=Texts())
    await leg.receive_audio(LOUD * 1500)
    tick(leg, 2)
    leg.receive_text(CLEAR)
    assert tick(leg, 2) == [None, None]


async def test_the_sound_of_a_party_that_nobody_hears_passes_as_time_does():
    leg, _, _ = leg_with()
    await leg.receive_audio(LOUD * 30)
    tick(leg, 15, pulls=False)
    assert leg.buffered_seconds == pytest.approx(0.3)
    tick(leg, 5)
    assert leg.buffered_seconds == pytest.approx(0.2)


async def test_a_sample_that_is_never_completed_is_reported_and_the_next_message_is_heard():
    leg, wire, _ = leg_with(WADIAL, texts=Texts(), answered=lambda: False)
    async with Running(leg):
        await leg.receive_audio(b"\0" * 1281)
        assert tick(leg, 60).count(SILENCE) == 1
        await until(lambda: wire.sent == ["hello", "what?"])
        await leg.receive_audio(bytes(1280))
        assert tick(leg, 2) == [SILENCE, None]


async def test_the_first_text_is_sent_first_if_the_clock_ticks_before_the_leg_runs():
    class News(Texts):
        @override
        def poll(self, buffered_seconds, now):
            return ["news"]

    leg, wire, _ = leg_with(texts=News())
    tick(leg)
    async with Running(leg):
        await until(lambda: len(wire.sent) == 2)
        assert wire.sent == ["hello", "news"]


async def test_a_cancelled_leg_says_goodbye_and_closes():
    leg, wire, _ = leg_with(texts=Texts())
    async with Running(leg) as run:
        await until(lambda: wire.sent)
    assert wire.sent == ["hello", "bye"]
    assert wire.closed
    assert run.events == [LegConnected(LegId("leg"))]


@pytest.mark.virtual_time
async def test_a_cancelled_leg_whose_reader_is_stuck_is_gone_all_the_same():
    leg, wire, _ = leg_with()
    async with Running(leg):
        wire.open.clear()
        tick(leg, 3)
    assert wire.aborted


async def test_a_party_that_leaves_ends_its_leg():
    leg, wire, _ = leg_with()
    async with Running(leg) as run:
        leg.disconnected()
        await run.task
    assert run.events[-1] == LegEnded(LegId("leg"), EndReason.REMOTE_HANGUP)
    assert not wire.closed


async def test_a_connection_that_is_lost_ends_the_leg():
    leg, wire, _ = leg_with()
    async with Running(leg) as run:
        wire.fails = ConnectionResetError()
        tick(leg, 3)
        await run.task
    assert run.events[-1] == LegEnded(LegId("leg"), EndReason.REMOTE_HANGUP)


@pytest.mark.virtual_time
async def test_a_stuck_reader_is_cut_off_and_counted():
    leg, wire, losses = leg_with()
    async with Running(leg) as run:
        wire.open.clear()
        tick(leg, 3)
        await run.task
    assert wire.aborted
    assert losses.cut_offs == 1
    assert run.events[-1] == LegEnded(LegId("leg"), EndReason.MEDIA_TIMEOUT)


async def test_a_slow_reader_loses_the_oldest_and_every_second_of_it_is_counted():
    leg, wire, losses = leg_with()
    async with Running(leg):
        wire.open.clear()
        await asyncio.sleep(0)
        for number in range(300):
            tick(leg, 1, bytes([number // 3, 0]) * 320)
            await asyncio.sleep(0)
        wire.open.set()
        await until(lambda: len(wire.sent) >= 13)
    kept = [message[0] for message in wire.sent]
    assert kept == [*range(87, 100)]
    assert losses.seconds["out"] == pytest.approx(87 * 0.06)


async def test_the_figures_count_messages_and_frames():
    leg, wire, _ = leg_with(MediaFormat())
    async with Running(leg):
        await leg.receive_audio(LOUD)
        tick(leg, 2, LOUD)
        await until(lambda: len(wire.sent) == 2)
        figures = leg.statistics()
    assert (figures.received.packets, figures.received.bytes, figures.received.frames) == (
        1,
        640,
        1,
    )
    assert (figures.sent.packets, figures.sent.bytes) == (2, 1280)
    assert figures.sent.level_dbov > -60
