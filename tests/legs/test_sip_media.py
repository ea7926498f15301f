"""What a telephone hears and says, and when its silence is an end."""

import asyncio
import base64
import itertools
from typing import Any

import numpy as np
import pytest
from pylibsrtp import Policy

from bridge.audio.frame import Frame
from bridge.call import events
from bridge.call.model import EndReason, LegStatistics
from bridge.call.record.quality import rate
from bridge.legs.sip_media import RTP_TIMEOUT_SECONDS
from bridge.sip import events as sip
from tests.support.packets.packet_path import choose_path, parametrize_paths
from tests.support.sip.sip_call import LEG, Call, call
from tests.support.sip.telephone import EVENTS, Telephone, share, tone
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

path = choose_path
pytest_generate_tests = parametrize_paths
"""Each test runs on every packet path."""


def heard_here(one: Call, last: int = 40) -> np.ndarray[Any, Any]:
    return np.frombuffer(b"".join(frame.pcm for frame in one.frames[-last:]), np.int16)


async def play(one: Call, frequency: float, count: int) -> None:
    """Let the bridge say a tone."""
    times = np.arange(320 * count) / 16_000
    wave = (8000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16).tobytes()
    loop = asyncio.get_running_loop()
    for index in range(count):
        pcm = wave[640 * index : 640 * (index + 1)]
        one.leg.sink.push(Frame(pcm, 320 * index, "tone"), loop.time())
        await asyncio.sleep(0.02)


async def test_a_tone_passes_both_ways() -> None:
    async with call() as one:
        await one.talk()
        await asyncio.gather(one.phone.say(tone(440, 60)), play(one, 880, 60))
        assert share(heard_here(one), 440, rate=16_000) > 0.99
        assert share(one.phone.heard(40), 880) > 0.99


async def test_packets_are_sent_without_a_pause_when_there_is_nothing_to_say() -> None:
    async with call() as one:
        await one.talk()
        await play(one, 880, 20)
        await asyncio.sleep(1.0)
        stamps = [packet.timestamp for packet in one.phone.audio]
        steps = {(b - a) & 0xFFFF_FFFF for a, b in itertools.pairwise(stamps)}
        assert len(stamps) > 60
        assert {step % 160 for step in steps} == {0}


async def test_digits_pass_both_ways_as_telephone_events() -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, 5))
        await one.phone.press(7)
        assert events.DigitReceived(LEG, "7") in one.events
        one.leg.send_digits("4")
        await asyncio.sleep(0.3)
        sent = [packet.payload for packet in one.phone.audio if packet.payload_type == EVENTS]
        assert {payload[0] for payload in sent} == {4}
        assert sum(payload[1] >> 7 for payload in sent) == 3


async def test_reports_are_exchanged_and_tell_loss_and_round_trip() -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, 60))
        await until(lambda: len(one.phone.reports) >= 2)
        assert one.phone.reports[0][1] == 200
        assert one.leg.statistics().received.packets >= 60


async def test_a_telephone_that_falls_silent_is_reported_and_not_ended() -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, 10))
        await until(lambda: events.LegSilent(LEG) in one.events)
        await one.phone.say(tone(440, 40))
        assert events.LegResumed(LEG) in one.events
        assert not one.ends


@pytest.mark.parametrize("packets", [0, 10])
async def test_a_call_without_packets_for_half_a_minute_is_over(packets: int) -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, packets))
        await asyncio.sleep(RTP_TIMEOUT_SECONDS - 2)
        assert not one.ends
        await until(lambda: one.ends)
        assert one.ends == [EndReason.MEDIA_TIMEOUT]
        await until(lambda: "hang_up" in one.dialog.verbs)


@pytest.mark.parametrize("direction", ["inactive", "sendonly"])
async def test_a_call_on_hold_may_be_without_packets_for_long(direction: str) -> None:
    async with call() as one:
        await one.talk()
        one.say(sip.Offered(one.phone.describe(f"a={direction}")))
        await asyncio.sleep(2 * RTP_TIMEOUT_SECONDS)
        assert not one.ends
        one.say(sip.Offered(one.phone.describe()))
        await asyncio.sleep(RTP_TIMEOUT_SECONDS / 2)
        assert not one.ends


async def test_a_telephone_behind_a_nat_is_answered_where_it_sends_from() -> None:
    async with call() as one:
        inside = await Telephone().open()
        try:
            await one.dial()
            one.say(sip.Answered(inside.describe()))
            await until(lambda: inside.audio)
            await one.phone.say(tone(440, 10))
            await until(lambda: one.phone.audio)
        finally:
            inside.close()


async def test_a_telephone_that_still_sends_from_where_it_did_is_answered_there_again() -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, 20))
        named = await Telephone().open(host="127.0.0.2")
        try:
            one.say(sip.Offered(named.describe()))
            await until(lambda: named.audio)
            before = len(one.phone.audio)
            await one.phone.say(tone(440, 70))
            await until(lambda: len(one.phone.audio) > before + 10)
            assert one.leg.statistics().received.packets == 90
        finally:
            named.close()


async def test_a_telephone_may_send_from_another_port_by_its_key() -> None:
    async with call(security="required", rtcp=False) as one:
        await encrypted(one)
        await one.phone.say(tone(440, 20))
        moved = one.phone.socket
        await one.phone.open()
        one.phone.audio.clear()
        await one.phone.say(tone(440, 20))
        await until(lambda: len(one.phone.audio) > 10)
        assert one.leg.statistics().received.packets == 40
        moved.close()


@pytest.mark.parametrize("before", [0, 60])
async def test_packets_of_a_stranger_change_nothing(before: int) -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, before))
        stranger = await Telephone(ssrc=0x6666).open()
        stranger.target = one.phone.target
        try:
            for loud, quiet in zip(tone(440, 50), tone(1000, 50), strict=True):
                one.phone.send(loud)
                stranger.send(quiet)
                await asyncio.sleep(0.02)
            assert stranger.audio == []
            assert one.leg.statistics().discarded["unknown_source"] >= 45
            assert share(heard_here(one), 440, rate=16_000) > 0.99
        finally:
            stranger.close()


async def encrypted(
    one: Call,
    suite: str = "AES_CM_128_HMAC_SHA1_80",
    profile: int = Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    size: int = 30,
) -> None:
    """Let the leg dial, and the telephone answer with a key of its own."""
    await one.dial()
    [ours] = [line for line in one.dialog.last("invite").splitlines() if suite in line]
    tag, key = ours.split()[0], bytes(range(size))
    answer = f"{tag} {suite} inline:{base64.b64encode(key).decode()}"
    one.phone.encrypt(profile, key, base64.b64decode(ours.partition("inline:")[2]))
    one.say(sip.Answered(one.phone.describe(answer, "a=rtcp-mux", protocol="RTP/SAVP")))


@pytest.mark.parametrize(
    ("suite", "profile", "size"),
    [
        ("AES_CM_128_HMAC_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
        ("AES_CM_128_HMAC_SHA1_32", Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
        ("AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    ],
)
async def test_a_tone_passes_both_ways_encrypted(suite: str, profile: int, size: int) -> None:
    async with call(security="required", rtcp=False) as one:
        await encrypted(one, suite, profile, size)
        await asyncio.gather(one.phone.say(tone(440, 60)), play(one, 880, 60))
        assert share(heard_here(one), 440, rate=16_000) > 0.99
        assert share(one.phone.heard(40), 880) > 0.99
        await until(lambda: one.phone.reports)
        assert one.phone.refused == 0
        stranger = await Telephone(ssrc=0x6666).open()
        stranger.target = one.phone.target
        for payload in tone(1000, 5):
            stranger.send(payload)
        await until(lambda: one.leg.statistics().discarded.get("bad_srtp") == 5)
        stranger.close()


async def test_the_score_falls_when_packets_are_lost() -> None:
    async with call() as one:
        await one.talk()
        for number, payload in enumerate(tone(440, 100)):
            if number % 20:
                one.phone.send(payload)
            else:
                one.phone.skip()
            await asyncio.sleep(0.02)
        rating, _ = rate(one.leg.kind, LegStatistics(), one.leg.statistics())
        assert rating.loss == pytest.approx(0.05, abs=0.02)
        assert rating.mos is not None
        assert rating.mos < 3.9
