"""Whole calls at media sockets: what is said is heard, whoever is slow, fast or talks nonsense."""

import asyncio
import random

import numpy as np
import pytest
from scipy.signal import resample_poly

from bridge.wire.stream.media_format import Encoding, MediaFormat, decode_samples, encode_samples
from tests.support.clients.pcm_client import PcmClient, pcm_client
from tests.support.inprocess import running
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import RATE, align, clearness, overlap
from tests.support.sound.voices import words
from tests.support.two_nodes import one_node_only
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

ECHO, SILENT = "15550100001", "15550100008"
BEARER = {"Authorization": "Bearer demo"}

pytestmark = pytest.mark.call


def stream(call_id: str, more: str = "") -> str:
    return f"/call/{call_id}/stream?token=demo{more}"


def media(call_id: str) -> str:
    return f"/api/v1/sessions/demo/calls/{call_id}/media"


def floats(speech) -> bytes:
    sound: bytes = (speech / np.float32(32768)).astype("<f4").tobytes()
    return sound


async def test_speech_comes_back_from_the_echo_sample_by_sample():
    said = words(0, 3.0)
    async with running() as client:
        async with pcm_client(client.http, stream(await client.dial(ECHO))) as socket:
            await until(lambda: socket.sound)
            await socket.send(said.astype("<i2").tobytes())
            await until(lambda: len(socket.sound) > 65)
        heard = socket.heard()
    found = align(said, heard)
    left, right = overlap(said, heard, found.lag)
    assert len(left) == len(said)
    assert np.array_equal(left, right)


async def test_speech_comes_back_through_wadials_socket_within_one_bit():
    said = words(1, 3.0)
    async with running() as client:
        path = media(await client.dial(ECHO))
        async with pcm_client(client.http, path, additional_headers=BEARER) as socket:
            await until(lambda: socket.sound)
            await socket.send(floats(said))
            await until(lambda: len(socket.sound) > 195)
        heard = socket.heard_floats()
    left, right = overlap(said, heard, align(said, heard).lag)
    assert len(left) == len(said)
    assert np.abs(left - right).max() <= 1


@one_node_only  # the other tests go through the wrong node
@pytest.mark.parametrize(
    ("encoding", "rate", "milliseconds", "least"),
    [
        ("s16le", 24_000, 20, 0.97),
        pytest.param("s16le", 48_000, 60, 0.97, marks=pytest.mark.full),
        pytest.param("f32le", 48_000, 35, 0.97, marks=pytest.mark.full),
        ("mulaw", 8_000, 20, 0.85),
    ],
)
@pytest.mark.parametrize("path", [stream, media], ids=["zuckzapgo", "wadial"])
async def test_speech_comes_back_in_every_form(path, encoding, rate, milliseconds, least):
    said, form = words(2, 3.0), MediaFormat(Encoding(encoding), rate, milliseconds)
    query = f"&encoding={encoding}&sampleRate={rate}&frameMs={milliseconds}"
    async with running() as client:
        url = path(await client.dial(ECHO))
        url += query if "?" in url else "?token=demo" + query
        async with pcm_client(client.http, url) as socket:
            await until(lambda: socket.sound)
            wide = np.rint(resample_poly(said.astype(float), rate, 16_000)).astype("<i2")
            await socket.send(encode_samples(form.encoding, wide.tobytes()))
            await until(lambda: sum(map(len, socket.sound)) > 4.0 * form.second_bytes)
        heard = np.frombuffer(decode_samples(form.encoding, b"".join(socket.sound)), "<i2")
    echoed = np.rint(resample_poly(heard.astype(float), 16_000, rate)).astype(np.int16)
    assert {len(message) for message in socket.sound} == {form.frame_bytes}
    assert clearness(said, echoed) > least


async def test_a_softphone_at_a_socket_and_a_browser_hear_each_other():
    near, far = words(0, 4.0), words(1, 4.0)
    async with running() as client, StockPeer(far) as peer:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with pcm_client(client.http, stream(call_id)) as socket:
            await peer.call(client.exchange(call_id, party="far"))
            await socket.speak(near)
            await peer.wait_heard(3.5)
            await until(lambda: len(socket.sound) > 75)
            heard_near, heard_far = socket.heard(), peer.heard()
    assert clearness(far, heard_near) > 0.9
    assert clearness(near, heard_far) > 0.9


async def test_wadials_client_and_a_browser_hear_each_other():
    near, far = words(2, 4.0), words(0, 4.0)
    async with running() as client, StockPeer(far) as peer:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        path = media(call_id)
        async with pcm_client(client.http, path, additional_headers=BEARER) as socket:
            await peer.call(client.exchange(call_id, party="far"))
            await socket.send(floats(near))
            await peer.wait_heard(3.5)
            await until(lambda: len(socket.sound) > 220)
            heard_near, heard_far = socket.heard_floats(), peer.heard()
    assert clearness(far, heard_near) > 0.9
    assert clearness(near, heard_far) > 0.9


async def test_a_burst_of_30_s_is_played_in_real_time_and_stops_soon_after_clear():
    async with running() as client:
        path = media(await client.dial(ECHO))
        async with pcm_client(client.http, path, additional_headers=BEARER) as socket:
            await until(lambda: socket.sound)
            await socket.send(floats(np.full(30 * RATE, 1000, np.int16)))
            began = monotonic()
            await until(lambda: any(socket.sound[-1]))
            count = len(socket.sound)
            await until(lambda: len(socket.sound) >= count + 50)
            assert monotonic() - began < 3.0
            assert socket.of("buffer")[-1]["bufferedMs"] > 27_000
            await socket.send('{"type":"clear"}')
            at_clear = len(socket.sound)
            await until(lambda: not any(socket.sound[-1]))
            # There, through the queue of the echo's bus, and back.
            assert len(socket.sound) - at_clear <= 12


async def test_nonsense_ends_nothing_and_nothing_drifts():
    said, dice = words(0, 2.0), random.Random(7)
    async with running() as client:
        call_id = await client.dial(ECHO)
        async with (
            pcm_client(client.http, stream(call_id)) as one,
            pcm_client(client.http, media(call_id), additional_headers=BEARER) as other,
        ):
            for _ in range(200):
                noise = dice.randbytes(dice.choice([0, 1, 3, 1919, 1921, 5000]))
                await dice.choice([one, other]).send(noise)
                await dice.choice([one, other]).send(noise.hex())
            await other.send('{"type":"clear"}')
            await until(lambda: any(b"".join(one.sound)))
            await until(lambda: quiet(one), timeout=30)
            began = len(one.sound)
            await other.send(floats(said))
            await until(lambda: len(one.sound) > began + 45)
        heard = one.heard()[began * 960 :]
    left, right = overlap(said, heard, align(said, heard).lag)
    assert len(left) == len(said)
    assert np.abs(left - right).max() <= 1


def quiet(socket: PcmClient) -> bool:
    """Whether the last second was silent."""
    return len(socket.sound) > 20 and not any(b"".join(socket.sound[-17:]))


async def test_a_muted_socket_is_not_heard_and_starts_again_with_what_is_said_then():
    async with running() as client:
        call_id = await client.dial(ECHO)
        async with pcm_client(client.http, stream(call_id)) as socket:
            await until(lambda: socket.sound)
            await client.data("/call/mute", {"callId": call_id, "muted": True})
            await socket.send(np.full(RATE, 500, "<i2").tobytes())
            await asyncio.sleep(1.2)
            await client.data("/call/mute", {"callId": call_id, "muted": False})
            await socket.send(np.full(RATE // 2, 900, "<i2").tobytes())
            await until(lambda: any(socket.sound[-1]))
            await until(lambda: not any(socket.sound[-1]))
        heard = socket.heard()
    # After its end the voice fades, through 500 too.
    assert np.count_nonzero(heard == 500) < 100
    assert np.count_nonzero(heard == 900) > 7000
