"""Audio that parties cut into messages as they like: each is heard whole, at every socket and stream."""

import asyncio
import base64
import json
import random
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Final, Protocol, TypeAlias

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from bridge.audio.frame import FRAME_SECONDS, SILENCE
from bridge.legs.gateway_media import GatewayMedia
from bridge.legs.receive_buffer import UNHEARD_SECONDS, InboundAudio
from bridge.wire.stream.media_format import WADIAL, ZUCKZAPGO, MediaFormat, encode_samples
from bridge.wire.stream.media_stream import (
    WAVIX,
    Channel,
    Media,
    StreamFacts,
    StreamProtocol,
    StreamType,
)
from bridge.wire.stream.protocols import PROTOCOLS
from bridge.wire.stream.realtime_session import RealtimeSession
from tests.support.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time

HERTZ: Final = 1000
JITTER: Final = 0.04
ALL_AT_ONCE: Final = "all at once"
WHOLE: Final = 60
BYTES: Final = (1,)
ODD: Final = (501, 167, 1, 1250)
SIZES: Final = (BYTES, 10, 20, 30, 40, WHOLE, 200, ALL_AT_ONCE, 33, ODD, (6401,))
"""Milliseconds, or bytes in turn."""
PHASE: Final = 0.0071
"""When the clock ticks within a frame's time."""


Size: TypeAlias = int | str | tuple[int, ...]


class Receiver(Protocol):
    """What takes a party's messages and is pulled by the clock."""

    async def receive(self, message: bytes) -> None: ...

    def pull(self) -> bytes | None: ...


class Stream:
    """A stream's messages, read as its protocol wants."""

    def __init__(self, protocol: StreamProtocol) -> None:
        media = PROTOCOLS[protocol].media
        facts = StreamFacts("s", "c", StreamType.TWOWAY, Channel.INBOUND, media, protocol=protocol)
        self._messages = PROTOCOLS[protocol].messages(facts, RealtimeSession())
        self._realtime = protocol is StreamProtocol.OPENAI_REALTIME
        self._audio = InboundAudio(media, never, never)
        self.pull = self._audio.pull

    async def receive(self, message: bytes) -> None:
        payload = base64.b64encode(message).decode()
        said: dict[str, object] = {"event": "media", "media": {"payload": payload}}
        if self._realtime:
            said = {"type": "response.output_audio.delta", "delta": payload, "item_id": "i"}
        [media] = self._messages.read(json.dumps(said), played_seconds=0.0)
        assert isinstance(media, Media), f"{media} for {len(message)} bytes"
        await self._audio.receive(media.data)


class Gateway:
    """A vendor server's socket, of which the bridge is the client."""

    def __init__(self) -> None:
        self._media = GatewayMedia(ZUCKZAPGO)
        self.pull = self._media.pull

    async def receive(self, message: bytes) -> None:
        self._media.receive(message)


def never(*_: object) -> None:
    raise AssertionError("audio was dropped")


ROUTES: Final[dict[str, tuple[MediaFormat, Callable[[], Receiver]]]] = {
    "zuckzapgo": (ZUCKZAPGO, lambda: InboundAudio(ZUCKZAPGO, never, never)),
    "wadial": (WADIAL, lambda: InboundAudio(WADIAL, never, never)),
    "native": (WAVIX, lambda: Stream(StreamProtocol.NATIVE)),
    "twilio": (
        PROTOCOLS[StreamProtocol.TWILIO].media,
        lambda: Stream(StreamProtocol.TWILIO),
    ),
    "realtime": (
        PROTOCOLS[StreamProtocol.OPENAI_REALTIME].media,
        lambda: Stream(StreamProtocol.OPENAI_REALTIME),
    ),
    "gateway": (ZUCKZAPGO, Gateway),
}


def tone(media: MediaFormat, seconds: float) -> bytes:
    moments = np.arange(round(media.sample_rate * seconds)) / media.sample_rate
    samples = np.rint(8000 * np.sin(2 * np.pi * HERTZ * moments)).astype("<i2")
    return encode_samples(media.encoding, samples.tobytes())


def cut(sound: bytes, size: Size, media: MediaFormat) -> Iterator[bytes]:
    if isinstance(size, str):
        sizes: tuple[int, ...] = (len(sound),)
    elif isinstance(size, int):
        sizes = (size * media.second_bytes // 1000,)
    else:
        sizes = size
    begin = 0
    for count in cycle(sizes):
        if begin >= len(sound):
            return
        yield sound[begin : begin + count]
        begin += count


async def heard(
    route: str, size: Size, seconds: float, *, jitter: float = 0.0, seed: int = 0
) -> list[bytes | None]:
    """Send each message when its audio begins, or up to `jitter` later, in order; return the clock's frames."""
    media, create = ROUTES[route]
    receiver, loop = create(), asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    chance = random.Random(seed)
    frames: list[bytes | None] = []
    begun = sent_at = loop.time()
    tick, position = begun + PHASE, 0

    def wait_until(moment: float) -> None:
        nonlocal tick
        while tick < moment:
            loop.block(tick - loop.time())
            frames.append(receiver.pull())
            tick += FRAME_SECONDS
        loop.block(moment - loop.time())

    for message in cut(tone(media, seconds), size, media):
        due = begun + position / media.second_bytes + chance.random() * jitter
        sent_at = max(sent_at, due)
        wait_until(sent_at)
        await receiver.receive(message)
        position += len(message)
    wait_until(loop.time() + position / media.second_bytes + 0.5)
    return frames


def spoken(frames: list[bytes | None]) -> np.ndarray:
    """Return what is heard from the first to the last sound."""
    samples = np.frombuffer(b"".join(frame or SILENCE for frame in frames), "<i2").astype(float)
    loud = np.flatnonzero(np.abs(samples) > 200)
    assert len(loud), "nothing was heard"
    return samples[loud[0] : loud[-1] + 1]


def purity(sound: np.ndarray) -> float:
    """Return the share of the tone in the energy of a sound."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    middle = round(HERTZ * len(sound) / 16_000)
    return float(power[middle - 4 : middle + 5].sum() / power.sum())


def first_frame(frames: list[bytes | None]) -> int:
    return next(number for number, frame in enumerate(frames) if frame)


def broken_frames(frames: list[bytes | None]) -> int:
    """Return how many frames between the first and the last are missing or filled up."""
    last = max(number for number, frame in enumerate(frames) if frame)
    return sum(
        frame is None or frame.endswith(bytes(16)) for frame in frames[first_frame(frames) : last]
    )


def cases(quick: set[tuple[str, Size]]) -> list[ParameterSet]:
    """Return every size on every route; those that are not quick are for the long run."""
    return [
        pytest.param(route, size, marks=() if (route, size) in quick else pytest.mark.full)
        for route in ROUTES
        for size in SIZES
        # An engine plays in real time, and its playout buffer is no place for a second of speech.
        if (route, size) != ("gateway", ALL_AT_ONCE)
    ]


@pytest.mark.parametrize(
    ("route", "size"),
    cases({(route, size) for route in ROUTES for size in (20, ODD)}),
)
async def test_sound_is_heard_whole_however_it_is_cut_and_at_most_a_frame_later(route, size):
    # An adaptive playout buffer grows by up to 60 ms, which are to be less than 1 %.
    seconds = 6.0 if route == "gateway" else 0.3 if size == BYTES else 1.2
    whole, cut_up = await heard(route, WHOLE, seconds), await heard(route, size, seconds)
    expected, sound = spoken(whole), spoken(cut_up)
    assert purity(sound) == pytest.approx(purity(expected), rel=0.01)
    assert len(sound) == pytest.approx(len(expected), rel=0.01)
    assert first_frame(cut_up) - first_frame(whole) <= 1


@pytest.mark.parametrize(
    ("route", "size"),
    cases({("zuckzapgo", size) for size in (20, 30, WHOLE, ODD)}),
)
async def test_jitter_of_40_ms_costs_at_most_two_frames_until_the_queue_has_its_depth(route, size):
    for seed in range(2 if size == BYTES else 5):
        frames = await heard(route, size, 0.6, jitter=JITTER, seed=seed)
        assert broken_frames(frames) <= 2, f"seed {seed}"


async def test_the_end_of_a_sentence_that_came_at_once_is_not_torn_off():
    frames = await heard("zuckzapgo", ALL_AT_ONCE, 0.505)
    assert len(spoken(frames)) == pytest.approx(0.505 * 16_000, abs=8)


async def test_an_engines_last_part_of_a_frame_is_heard():
    receiver = Gateway()
    await receiver.receive(b"\1\2" * 100)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    frames = []
    for _ in range(4):
        loop.block(FRAME_SECONDS)
        frames.append(receiver.pull())
    assert frames[2] == b"\1\2" * 100 + bytes(440)


async def test_a_sample_that_is_never_completed_is_dropped_after_a_second_and_reported_once():
    dropped: list[None] = []
    audio = InboundAudio(WADIAL, never, lambda: dropped.append(None))
    await audio.receive(np.full(320, 0.5, "<f4").tobytes() + b"\1")
    for _ in range(50):
        audio.pull()
    assert dropped == []
    for _ in range(50):
        audio.pull()
    assert dropped == [None]
    await audio.receive(np.full(320, 0.25, "<f4").tobytes())
    assert audio.pull() == np.full(320, 8192, "<i2").tobytes()


async def test_after_clear_a_message_begins_with_a_new_sample():
    audio = InboundAudio(ZUCKZAPGO, never, never)
    await audio.receive(b"\1\2\3")
    audio.clear()
    await audio.receive(b"\1\2" * 320)
    assert audio.pull() == b"\1\2" * 320


async def test_what_a_party_has_said_that_is_gone_is_waited_for_to_its_last_word():
    inbound = InboundAudio(ZUCKZAPGO, lambda _: None, lambda: None)
    word = (8000).to_bytes(2, "little") * 320
    await inbound.receive(50 * word + 50 * SILENCE)
    ending = asyncio.create_task(inbound.play_out())
    for _ in range(49):
        inbound.pull()
        await asyncio.sleep(FRAME_SECONDS)
    assert not ending.done()
    inbound.pull()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ending.done()


async def test_what_nobody_hears_of_a_party_that_is_gone_is_given_up():
    inbound = InboundAudio(ZUCKZAPGO, lambda _: None, lambda: None)
    await inbound.receive(50 * (8000).to_bytes(2, "little") * 320)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await inbound.play_out()
    assert loop.time() - began == pytest.approx(1.0 + UNHEARD_SECONDS)
