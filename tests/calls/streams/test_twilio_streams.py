"""Whole calls streamed to a server that speaks Twilio Media Streams, written from Twilio's reference alone."""

import asyncio
import base64
import hashlib
import hmac
import re

import msgspec
import numpy as np
import pytest
from scipy.signal import resample_poly

from bridge.call import events
from bridge.settings.model import Line, Net, Stream
from bridge.wire.stream.media_format import Encoding, decode_samples, encode_samples
from tests.support.inprocess import running, settings
from tests.support.servers.stream_customer import customer_server
from tests.support.sound.speech_compare import clearness
from tests.support.sound.voices import words
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

ECHO, SILENT = "15550100001", "15550100008"
SECRET, FORMER = "an-auth-token-of-32-characters-00", "the-auth-token-that-was-before-00"

pytestmark = [pytest.mark.call, one_node_only]


@pytest.fixture
async def client():
    line = Line(keys=["demo"], stream=Stream(secret=SECRET, former_secret=FORMER))
    chosen = settings(net=Net(allow=["127.0.0.0/8"]), lines={"demo": line})
    async with running(chosen) as client:
        yield client


@pytest.fixture
async def server():
    async with customer_server() as server:
        yield server


async def streamed(client, server, to=ECHO, **more):
    """Dial a contact and stream the call; returns the call's id, the stream's and the server's customer."""
    call_id = await client.dial(to)
    await client.until_state(call_id, "active")
    body = {"streamUrl": server.url, "streamProtocol": "twilio", **more}
    stream_id = (await client.data(f"/call/{call_id}/streams", body))["streamId"]
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    return call_id, stream_id, customer


def mulaw(pcm: np.ndarray) -> bytes:
    """16 kHz samples as mu-law at 8 kHz."""
    slow = np.clip(np.rint(resample_poly(pcm.astype(float), 1, 2)), -32768, 32767)
    return encode_samples(Encoding.MULAW, slow.astype("<i2").tobytes())


async def test_a_server_is_told_the_calls_ids_and_its_own_parameters(client, server):
    call_id, stream_id, customer = await streamed(
        client, server, streamParameters={"FirstName": "Jane"}
    )
    connected, start, *media = customer.messages
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    sid = "MZ" + stream_id.replace("-", "")
    assert (start["streamSid"], start["sequenceNumber"]) == (sid, "1")
    assert start["start"] == {
        "streamSid": sid,
        "accountSid": "AC" + hashlib.sha256(b"demo").hexdigest()[:32],
        "callSid": "CA" + call_id.lower(),
        "tracks": ["inbound"],
        "customParameters": {"FirstName": "Jane"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    assert [message["sequenceNumber"] for message in media] == [
        str(number + 2) for number in range(len(media))
    ]
    assert [part["media"]["chunk"] for part in media] == [str(n + 1) for n in range(len(media))]
    assert [part["media"]["timestamp"] for part in media] == [
        str(20 * n) for n in range(len(media))
    ]
    assert {len(base64.b64decode(part["media"]["payload"])) for part in media} == {160}


async def test_the_call_is_known_to_requests_by_its_call_sid(client, server):
    call_id, _, customer = await streamed(client, server)
    sid = customer.of("start")[0]["start"]["callSid"]
    await client.data("/call/hangup", {"callId": sid})
    await until(customer.closed.is_set)
    assert await client.state(call_id) == "gone"


async def test_speech_comes_back_through_mu_law(client, server):
    said = words(1, 3.0)
    _, _, customer = await streamed(client, server)
    await customer.play(mulaw(said), streamSid=customer.of("start")[0]["streamSid"])
    await until(lambda: len(customer.data()) > 4.0 * 8_000, timeout=10)
    heard = np.frombuffer(decode_samples(Encoding.MULAW, customer.data()), "<i2").astype(float)
    assert clearness(said, np.rint(resample_poly(heard, 2, 1)).astype(np.int16)) > 0.85


async def test_a_mark_comes_back_when_the_audio_before_it_has_been_played(client, server):
    _, _, customer = await streamed(client, server, SILENT)
    began = asyncio.get_running_loop().time()
    await customer.play(b"\xff" * 8_000)
    await customer.say("mark", mark={"name": "said"})
    await until(lambda: customer.of("mark"))
    arrived = customer.arrived[customer.messages.index(customer.of("mark")[0])]
    assert customer.of("mark")[0]["mark"] == {"name": "said"}
    assert 0.95 < arrived - began < 1.5


async def test_clear_brings_all_marks_back_at_once(client, server):
    _, _, customer = await streamed(client, server, SILENT)
    began = asyncio.get_running_loop().time()
    await customer.play(b"\xff" * 80_000)
    for name in ("first", "second"):
        await customer.say("mark", mark={"name": name})
    await customer.say("clear")
    await until(lambda: len(customer.of("mark")) == 2)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert [mark["mark"]["name"] for mark in customer.of("mark")] == ["first", "second"]


async def test_digits_of_the_far_party_are_told_and_those_of_a_near_one_are_not(client, server):
    _, _, customer = await streamed(client, server, SILENT)
    [runner] = client.bridge.manager.calls()
    [far, near] = runner.legs()
    assert (far.kind, near.kind) == ("simulator", "stream")
    for leg, digit in ((far, "1"), (near, "2"), (far, "#")):
        runner.dispatch(events.DigitReceived(leg.leg_id, digit))
    await until(lambda: len(customer.of("dtmf")) == 2)
    assert [one["dtmf"] for one in customer.of("dtmf")] == [
        {"track": "inbound_track", "digit": "1"},
        {"track": "inbound_track", "digit": "#"},
    ]


async def test_a_one_way_stream_has_both_tracks_and_listens_to_nothing(client, server):
    _, _, customer = await streamed(client, server, streamType="oneway", streamChannel="both")
    assert customer.of("start")[0]["start"]["tracks"] == ["inbound", "outbound"]
    await until(lambda: {one["media"]["track"] for one in customer.of("media")} >= {"outbound"})
    await customer.say("mark", mark={"name": "unheard"})
    before = len(customer.messages)
    await until(lambda: len(customer.messages) > before + 10)
    assert not customer.of("mark")


async def test_stop_is_the_last_message_of_a_call_that_ends(client, server):
    call_id, _, customer = await streamed(client, server)
    await client.data("/call/hangup", {"callId": call_id})
    await until(customer.closed.is_set)
    assert customer.messages[-1]["event"] == "stop"
    assert customer.messages[-1]["stop"] == {
        name: customer.of("start")[0]["start"][name] for name in ("accountSid", "callSid")
    }


async def test_a_handshake_is_signed_by_both_secrets(client, server):
    _, stream_id, customer = await streamed(client, server)
    headers = customer.headers
    assert headers["webhook-id"] == stream_id
    signed = f"{stream_id}.{headers['webhook-timestamp']}.{server.url}".encode()
    expected = [
        "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()
        for secret in (SECRET, FORMER)
    ]
    assert headers["webhook-signature"].split() == expected


@pytest.mark.examples
async def test_twilios_own_validator_accepts_a_handshake(client, server):
    from twilio.request_validator import RequestValidator

    _, _, customer = await streamed(client, server)
    signature = customer.headers["X-Twilio-Signature"]
    assert RequestValidator(SECRET).validate(server.url, {}, signature)
    assert not RequestValidator(FORMER).validate(server.url, {}, signature)


async def test_a_native_stream_has_no_signature_of_twilios(client, server):
    _, _, customer = await streamed(client, server, streamProtocol="native")
    assert "webhook-signature" in customer.headers
    assert "X-Twilio-Signature" not in customer.headers
    assert re.fullmatch("[0-9a-f-]{36}", customer.of("start")[0]["stream_id"])


async def test_without_a_secret_a_handshake_has_no_signature(server):
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        _, _, customer = await streamed(client, server)
    names = {name.lower() for name in customer.headers}
    assert not names & {"webhook-id", "webhook-signature", "x-twilio-signature"}


async def test_nonsense_is_ignored_and_the_stream_stays(client, server):
    _, _, customer = await streamed(client, server, SILENT)
    for nonsense in ("", "{", "[]", '{"event":"dance"}', b"\x00", '{"event":"media"}'):
        await customer.send_raw(nonsense)
    await customer.send_raw(msgspec.json.encode({"event": "clear", "streamSid": "MZ"}).decode())
    await customer.say("mark", mark={"name": "still here"})
    await until(lambda: customer.of("mark"))
    [runner] = client.bridge.manager.calls()
    [leg] = [leg for leg in runner.legs() if leg.kind == "stream"]
    assert leg.statistics().discarded == {"bad_message": 7, "too_many_marks": 0}
