import asyncio
from typing import Any

import numpy as np
import pytest

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, Frame
from bridge.legs.gateway_media import GatewayMedia
from bridge.wire.gateway import BufferStatus
from bridge.wire.stream.media_format import WADIAL, ZUCKZAPGO

TONE = (np.sin(np.arange(16_000) / 5) * 8000).astype("<i2").tobytes()


class Socket:
    """Takes messages, or holds them up."""

    def __init__(self):
        self.sent = []
        self.free = asyncio.Event()
        self.free.set()

    async def send_bytes(self, data):
        await self.free.wait()
        self.sent.append(data)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def frame(number, level=1000):
    pcm = np.full(FRAME_SAMPLES, level, "<i2").tobytes()
    return Frame(pcm, number * FRAME_SAMPLES, "t")


@pytest.fixture
async def sending():
    """Media of ZuckZapGo's dialect with a socket."""
    media = GatewayMedia(ZUCKZAPGO)
    socket: Any = Socket()
    task = asyncio.get_running_loop().create_task(media.send(socket))
    await settle()
    yield media, socket
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_three_frames_make_one_message_of_1920_bytes(sending):
    media, socket = sending
    for number in range(7):
        media.push(frame(number), 0.0)
    await settle()
    assert [len(message) for message in socket.sent] == [1920, 1920]
    assert socket.sent[0] == frame(0).pcm * 3
    assert media.statistics().sent.packets == 2


async def test_without_a_socket_nothing_is_kept_for_later():
    media = GatewayMedia(ZUCKZAPGO)
    socket: Any = Socket()
    for number in range(7):
        media.push(frame(number), 0.0)
    task = asyncio.get_running_loop().create_task(media.send(socket))
    await settle()
    task.cancel()
    assert socket.sent == []
    assert media.statistics().sent.dropped_frames == 0


async def test_a_socket_that_is_stuck_loses_the_oldest_and_counts_them(sending):
    media, socket = sending
    socket.free.clear()
    for number in range(30):
        media.push(frame(number, number), 0.0)
        await settle()
    socket.free.set()
    await settle()
    # One message was on its way; four wait, 240 ms.
    assert len(socket.sent) == 5
    assert socket.sent[-1] == b"".join(frame(0, level).pcm for level in (27, 28, 29))
    assert media.statistics().sent.dropped_frames == 15


async def test_nothing_is_sent_while_too_much_waits_on_the_engine(sending):
    media, socket = sending
    media.note_buffer(BufferStatus(0.6, pause=0.5, resume=0.25))
    for number in range(3):
        media.push(frame(number), 0.0)
    await settle()
    assert socket.sent == []
    media.note_buffer(BufferStatus(0.4, pause=0.5, resume=0.25))
    for number in range(3):
        media.push(frame(number), 0.0)
    await settle()
    assert socket.sent == []
    media.note_buffer(BufferStatus(0.2, pause=0.5, resume=0.25))
    for number in range(3):
        media.push(frame(number), 0.0)
    await settle()
    assert len(socket.sent) == 3


async def test_an_engine_that_never_says_its_queue_is_empty_is_sent_to_again(sending, monkeypatch):
    media, socket = sending
    media.note_buffer(BufferStatus(0.6, pause=0.5, resume=0.25))
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now + 0.36)
    for number in range(3):
        media.push(frame(number), 0.0)
    await settle()
    assert len(socket.sent) == 1


def pulled(media, monkeypatch, count, begin):
    """Pull frames 20 ms apart."""
    loop = asyncio.get_running_loop()
    given = []
    for number in range(count):
        monkeypatch.setattr(loop, "time", lambda at=begin + number * 0.02: at)
        given.append(media.pull())
    return given


@pytest.mark.parametrize("size", [2, 63, 320, 1919, 1920, 6400])
async def test_sound_may_come_in_messages_of_any_length(size, monkeypatch):
    media = GatewayMedia(ZUCKZAPGO)
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    sound = TONE[: 10 * FRAME_BYTES]
    for begin in range(0, len(sound), size):
        media.receive(sound[begin : begin + size])
    given = [pcm for pcm in pulled(media, monkeypatch, 60, now) if pcm is not None]
    heard = np.frombuffer(b"".join(given), "<i2")
    assert media.statistics().received.bytes == len(sound)
    assert len(given) >= 10
    assert np.abs(heard).max() > 7000


async def test_floats_cut_between_two_messages_are_put_together(monkeypatch):
    media = GatewayMedia(WADIAL)
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    samples = np.full(20 * FRAME_SAMPLES, 0.25, "<f4").tobytes()
    for begin in range(0, len(samples), 1001):
        media.receive(samples[begin : begin + 1001])
    given = [pcm for pcm in pulled(media, monkeypatch, 10, now) if pcm is not None]
    heard = np.frombuffer(b"".join(given), "<i2")
    assert len(heard)
    assert np.all(np.abs(heard - 8192) <= 1)


async def test_too_much_sound_at_once_is_dropped_and_counted(monkeypatch):
    media = GatewayMedia(ZUCKZAPGO)
    for _ in range(3):
        media.receive(TONE * 2)
    assert media.statistics().received.late > 200
    assert media.statistics().received.packets == 3


async def test_before_any_sound_there_is_none():
    assert GatewayMedia(ZUCKZAPGO).pull() is None
