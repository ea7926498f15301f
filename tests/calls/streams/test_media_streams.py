"""Whole calls streamed to a customer's server: what is said is heard, both ways."""

import asyncio

import numpy as np
import pytest
from scipy.signal import resample_poly

from bridge.settings.model import Net
from bridge.wire.stream.media_format import Encoding, MediaFormat, decode_samples, encode_samples
from tests.support.inprocess import running, settings
from tests.support.peers.stock_peer import read_wav
from tests.support.servers.stream_customer import CHUNK, RATE, customer_server
from tests.support.sound.speech_compare import align, clearness
from tests.support.sound.voices import TALKING, words
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

ECHO, TALKS, SILENT = "15550100001", "15550100002", "15550100008"

pytestmark = pytest.mark.call


@pytest.fixture
async def client():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


@pytest.fixture
async def server():
    async with customer_server() as server:
        yield server


async def stream(client, server, to=ECHO, kind="twoway", channel="inbound", **more):
    """Ring a contact and stream the call; gives the call's id."""
    body = {"from": "15550109000", "to": to}
    async with client.http.post("/v1/call?appid=demo", json=body) as response:
        call_id = (await response.json())["uuid"]
    await add(client, call_id, server.url, kind, channel, **more)
    return call_id


async def add(client, call_id, url, kind, channel, **more):
    body = {"stream_url": url, "stream_type": kind, "stream_channel": channel, **more}
    path = f"/v1/call/{call_id}/streams?appid=demo"
    async with asyncio.timeout(5):
        while True:
            async with client.http.post(path, json=body) as response:
                if response.status == 200:
                    return (await response.json())["stream_id"]
                assert response.status == 409, await response.text()  # it still rings


async def hang_up(client, call_id):
    async with client.http.delete(f"/v1/call/{call_id}?appid=demo") as response:
        assert response.status == 200


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE) -> bytes:
    moments = np.arange(round(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hertz * moments) * 8000).astype("<i2").tobytes()


def loud(customer) -> list[bool]:
    """Which 20 ms of the inbound track are loud."""
    sound = customer.sound()
    frames = sound[: len(sound) // 480 * 480].reshape(-1, 480).astype(float)
    return list(np.sqrt((frames**2).mean(axis=1)) > 500)


async def test_a_stream_begins_with_connected_start_and_then_sound(client, server):
    await stream(client, server, TALKS)
    customer = await server.customer()
    await until(lambda: len(customer.messages) > 30)
    events = [message["event"] for message in customer.messages]
    assert events == ["connected", "start"] + ["media"] * (len(events) - 2)
    numbers = [message["sequence_number"] for message in customer.messages[1:]]
    assert numbers == list(range(1, len(numbers) + 1))
    media = [message["media"] for message in customer.of("media")]
    assert [part["chunk"] for part in media] == list(range(1, len(media) + 1))
    assert [part["timestamp"] for part in media] == [20 * n for n in range(len(media))]
    assert len(customer.sound()) == 480 * len(media)


async def test_what_the_contact_says_reaches_the_customer(client, server):
    await stream(client, server, TALKS, kind="oneway")
    customer = await server.customer()
    await until(lambda: len(customer.of("media")) > 150)
    heard = customer.sound().astype(float)
    at_16k = np.interp(np.arange(0, len(heard), 1.5), np.arange(len(heard)), heard)
    said = read_wav(TALKING)[:24_000]
    assert align(said, at_16k.astype(np.int16)).correlation > 0.9


async def test_what_the_customer_plays_is_heard_by_the_contact(client, server):
    await stream(client, server, ECHO)
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    await customer.play(tone(1.0))
    await until(lambda: sum(loud(customer)) >= 48)
    sound = customer.sound().astype(float)
    [places] = np.nonzero(np.abs(sound) > 4000)
    middle = sound[places[0] : places[0] + RATE // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * RATE / len(middle) == pytest.approx(440, abs=3)


@one_node_only  # the other tests go through the wrong node
@pytest.mark.parametrize(
    ("encoding", "rate", "milliseconds", "least"),
    [
        ("s16le", 24_000, 20, 0.97),
        ("mulaw", 8_000, 60, 0.85),
        pytest.param("f32le", 48_000, 50, 0.97, marks=pytest.mark.full),
    ],
)
async def test_speech_comes_back_through_a_stream_in_every_form(
    client, server, encoding, rate, milliseconds, least
):
    said, media = words(1, 3.0), MediaFormat(Encoding(encoding), rate, milliseconds)
    form = {
        "stream_encoding": encoding,
        "stream_sample_rate": rate,
        "stream_frame_ms": milliseconds,
    }
    await stream(client, server, ECHO, **form)
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    assert customer.of("start")[0]["media_format"] == {
        "encoding": encoding,
        "sample_rate": rate,
        "channels": 1,
        "frame_ms": milliseconds,
    }
    spoken = np.clip(np.rint(resample_poly(said.astype(float), rate, 16_000)), -32768, 32767)
    await customer.play(encode_samples(media.encoding, spoken.astype("<i2").tobytes()))
    await until(lambda: len(customer.data()) > 4.0 * media.second_bytes, timeout=10)
    heard = np.frombuffer(decode_samples(media.encoding, customer.data()), "<i2").astype(float)
    echoed = np.rint(resample_poly(heard, 16_000, rate)).astype(np.int16)
    assert clearness(said, echoed) > least


async def test_the_rate_is_the_one_that_was_asked_for(client, server):
    await stream(client, server, ECHO, stream_sample_rate=8_000)
    customer = await server.customer()
    await until(lambda: len(customer.of("media")) > 5)
    assert customer.of("start")[0]["media_format"]["sample_rate"] == 8_000
    assert len(customer.sound()) == 160 * len(customer.of("media"))


@pytest.mark.real_time
async def test_both_tracks_come_apart(client, server):
    call_id = await stream(client, server, TALKS)
    speaker = await server.customer()
    await add(client, call_id, server.url, "oneway", "both")
    listener = await server.customer(1)
    await until(lambda: listener.of("media"))
    await speaker.play(tone(1.0, 1000))
    await until(lambda: len(listener.sound("outbound")) > 1.2 * RATE)
    assert listener.of("start")[0]["channel"] == "both"
    outbound = listener.sound("outbound").astype(float)
    spectrum = np.abs(np.fft.rfft(outbound * np.hanning(len(outbound))))
    assert np.argmax(spectrum) * RATE / len(outbound) == pytest.approx(1000, abs=5)
    assert len(listener.sound("inbound")) == pytest.approx(len(outbound), abs=960)


# Marks and clear


async def test_a_mark_returns_at_once_when_nothing_waits(client, server):
    await stream(client, server, SILENT)
    customer = await server.customer()
    await until(lambda: customer.of("start"))
    await customer.say("mark", mark={"name": "empty"})
    await until(lambda: customer.of("mark"))
    assert customer.of("mark")[0]["mark"] == {"name": "empty"}


async def test_a_mark_returns_when_the_sound_before_it_has_been_played(client, server):
    await stream(client, server, SILENT)
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    began = asyncio.get_running_loop().time()
    await customer.play(tone(1.0))
    await customer.say("mark", mark={"name": "end"})
    await until(lambda: customer.of("mark"))
    arrived = customer.arrived[customer.messages.index(customer.of("mark")[0])]
    assert 0.95 < arrived - began < 1.5


async def test_clear_silences_a_long_sound_and_returns_its_marks(client, server):
    await stream(client, server, ECHO)
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    await customer.play(tone(30.0))
    for name in ("first", "second"):
        await customer.say("mark", mark={"name": name})
    await until(lambda: sum(loud(customer)) > 20)
    before = len(customer.of("media"))
    await customer.say("clear")
    await until(lambda: len(customer.of("mark")) == 2)
    await until(lambda: len(customer.of("media")) > before + 25)
    assert [mark["mark"]["name"] for mark in customer.of("mark")] == ["first", "second"]
    # There, through the queue of the echo's bus, and back.
    assert not any(loud(customer)[before + 12 :])


async def test_thirty_seconds_at_once_are_kept_and_paced(client, server):
    await stream(client, server, SILENT)
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    await customer.play(tone(30.0))
    await customer.say("mark", mark={"name": "end"})
    await until(lambda: len(customer.of("media")) > 75)
    assert customer.of("mark") == []
    assert not customer.closed.is_set()
    # On the node that has the call, whichever it is.
    for runner in client.bridge.manager.calls():
        [leg] = [leg for leg in runner.legs() if leg.kind == "stream"]
        received = leg.statistics().received
        assert received.bytes == 30 * 50 * CHUNK
        assert 20 < received.frames < 200


# Ends, nonsense, many at once


async def test_the_stream_stops_with_the_call(client, server):
    call_id = await stream(client, server)
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    await hang_up(client, call_id)
    async with asyncio.timeout(2):
        await customer.closed.wait()
    assert customer.messages[-1]["event"] == "stop"
    assert len(customer.of("stop")) == 1


async def test_a_customer_that_leaves_ends_the_stream_and_not_the_call(client, server):
    call_id = await stream(client, server)
    customer = await server.customer()
    await until(lambda: customer.of("start"))
    await customer.close()
    second = await add(client, call_id, server.url, "oneway", "inbound")
    again = await server.customer(1)
    await until(lambda: again.of("start"))
    assert again.of("start")[0]["stream_id"] == second


async def test_nonsense_is_ignored_and_the_stream_stays(client, server):
    await stream(client, server, SILENT)
    customer = await server.customer()
    await until(lambda: customer.of("start"))
    for nonsense in ("", "{", "[]", '{"event": "dance"}', b"\x00\x01", '{"event": "media"}'):
        await customer.send_raw(nonsense)
    await customer.say("clear", stream_id="another")
    await customer.say("mark", mark={"name": "still here"})
    await until(lambda: customer.of("mark"))
    assert not customer.closed.is_set()
    for runner in client.bridge.manager.calls():
        [leg] = [leg for leg in runner.legs() if leg.kind == "stream"]
        assert leg.statistics().discarded == {"bad_message": 7, "too_many_marks": 0}


async def test_six_streams_of_a_call_hear_the_same_and_a_seventh_is_refused(client, server):
    call_id = await stream(client, server, TALKS)
    for _ in range(5):
        await add(client, call_id, server.url, "oneway", "inbound")
    for kind in ("oneway", "twoway"):
        body = {"stream_url": server.url, "stream_type": kind, "stream_channel": "inbound"}
        path = f"/v1/call/{call_id}/streams?appid=demo"
        assert (await client.http.post(path, json=body)).status == 429
    customers = [await server.customer(number) for number in range(6)]
    await until(lambda: all(len(one.of("media")) > 120 for one in customers), timeout=10)
    at_16k = [
        np.rint(resample_poly(one.sound().astype(float), 2, 3)).astype(np.int16)
        for one in customers
    ]
    for heard in at_16k:
        assert clearness(heard[: 2 * 16_000], at_16k[0]) > 0.95
    assert len({one.of("start")[0]["stream_id"] for one in customers}) == 6
