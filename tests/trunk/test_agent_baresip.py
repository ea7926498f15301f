"""Whole calls to baresip, an independent telephone: every codec, encryption, digits, hold, and who ends them."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.settings.model import Line, LineSip, Sip
from tests.support.clients.event_stream import listening
from tests.support.clients.pcm_client import pcm_client
from tests.support.inprocess import running, settings
from tests.support.servers.authority import Authority
from tests.support.sip.telephone import share
from tests.support.waiting import until
from tests.trunk.baresip import baresip

pytestmark = [pytest.mark.baresip, pytest.mark.call]

OURS = 440
"""Hertz of what the near party says."""
RATE = 16_000


@asynccontextmanager
async def bridge_with(phone, *, transport="udp", shared=None, **sip):
    """A bridge whose trunk is the telephone."""
    port = phone.port + 1 if transport == "tls" else phone.port
    trunk = LineSip(
        trunk=f"sip:127.0.0.1:{port};transport={transport}", allow_prefixes=["+1"], **sip
    )
    lines = {"main": Line(keys=["demo"], numbers=["15550109000"], sip=trunk)}
    async with running(settings(lines=lines, sip=shared or Sip())) as client:
        yield client


@asynccontextmanager
async def talking(client):
    """A call that the telephone has answered, with a program at a media socket that sends a tone."""
    call_id = (await client.data("/call/dial", {"phone": "15550300001", "channel": "pstn"}))[
        "callId"
    ]
    await client.until_state(call_id, "active")
    async with pcm_client(client.http, f"/call/{call_id}/stream?token=demo") as near:
        times = np.arange(RATE * 30) / RATE
        speech = (8000 * np.sin(2 * np.pi * OURS * times)).astype(np.int16)
        speaking = asyncio.create_task(near.speak(speech))
        try:
            yield call_id, near
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


async def echo_is_heard(near):
    """Wait until a second of what is heard is our own tone, which the telephone sends back."""

    def heard():
        return len(near.sound) >= 17 and share(near.heard()[-RATE:], OURS, rate=RATE) > 0.8

    await until(heard, timeout=20)


@pytest.mark.parametrize(
    ("codec", "theirs"),
    [
        ("g722", "G722/16000/1"),
        ("opus", "opus/48000/2"),
        pytest.param("pcmu", "PCMU/8000/1", marks=pytest.mark.full),
        pytest.param("pcma", "PCMA/8000/1", marks=pytest.mark.full),
    ],
)
async def test_both_sides_hear_each_other_in_every_codec(tmp_path, codec, theirs):
    async with (
        baresip(tmp_path, audio_codecs=theirs) as phone,
        bridge_with(phone, codecs=[codec]) as client,
        talking(client) as (_, near),
    ):
        await echo_is_heard(near)


async def test_a_call_over_tls_has_encrypted_audio(tmp_path):
    authority = Authority(tmp_path)
    issued = authority.issue(host="127.0.0.1")
    pem = (tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text()
    (tmp_path / "identity.pem").write_text(pem)
    assert issued.tls_cert
    shared = Sip(tls_ca=str(authority.path))
    async with (
        baresip(
            tmp_path, transport="tls", audio_codecs="PCMA/8000/1", mediaenc="srtp-mand"
        ) as phone,
        bridge_with(
            phone, transport="tls", shared=shared, srtp="required", codecs=["pcma"]
        ) as client,
        talking(client) as (_, near),
    ):
        await echo_is_heard(near)


async def test_digits_go_both_ways(tmp_path):
    async with (
        baresip(tmp_path, audio_codecs="PCMU/8000/1") as phone,
        bridge_with(phone, codecs=["pcmu"]) as client,
        talking(client) as (call_id, _),
    ):
        await client.data("/call/dtmf", {"callId": call_id, "digits": "7"})
        event = await phone.until("CALL_DTMF_START")
        assert event["param"] == "7"
        async with listening(client, "/events") as events:
            await phone.command("sndcode", "5")
            event = await events.until_type("digit.received")
            assert event["data"]["digit"] == "5"


async def test_the_telephone_holds_the_call_and_goes_on_and_hangs_up(tmp_path):
    async with (
        baresip(tmp_path, audio_codecs="PCMU/8000/1") as phone,
        bridge_with(phone, codecs=["pcmu"]) as client,
        talking(client) as (call_id, _),
    ):
        await phone.command("hold")
        await asyncio.sleep(0.5)
        await phone.command("resume")
        await asyncio.sleep(0.5)
        await phone.command("hangup")
        await client.until_state(call_id, "gone")
        assert (await client.quality(call_id))["endReason"] == "remote_hangup"


async def test_the_telephone_has_the_bridge_call_somebody_else(tmp_path):
    async with (
        baresip(tmp_path, audio_codecs="PCMU/8000/1") as phone,
        bridge_with(phone, codecs=["pcmu"], transfer=True) as client,
        talking(client) as (call_id, _),
    ):
        await phone.command("transfer", f"sip:+15550300001@127.0.0.1:{phone.port}")
        await until(lambda: phone.count("CALL_ESTABLISHED") == 2, timeout=10)
        await phone.until("CALL_CLOSED")
        await client.until_state(call_id, "active")
        assert phone.count("CALL_CLOSED") == 1
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: phone.count("CALL_CLOSED") == 2)
