"""What somebody at an address of its own gets of a telephone's leg, and does to it."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from pylibsrtp import Policy

from bridge.call import events
from bridge.rtc.rtp_source import SourcePolicy
from bridge.sip import events as sip
from tests.support.packets.packet_path import choose_path, parametrize_paths
from tests.support.sip.sip_call import LEG, Call, call
from tests.support.sip.telephone import Telephone, tone
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

path = choose_path
pytest_generate_tests = parametrize_paths
"""Each test runs on every packet path."""

STRANGER = "127.0.0.90"
NETWORK = SourcePolicy((ip_network(f"{STRANGER}/32"),))


@asynccontextmanager
async def beside(one: Call) -> AsyncIterator[Telephone]:
    """Somebody at another address, who sends to the leg's port."""
    other = await Telephone(ssrc=0x6666).open(host=STRANGER)
    other.target = one.phone.target
    try:
        yield other
    finally:
        other.close()


async def goes_on(one: Call) -> int:
    """Wait for more audio at the telephone, and return how much there was before."""
    before = len(one.phone.audio)
    await until(lambda: len(one.phone.audio) >= before + 50)
    return before


@pytest.mark.parametrize("said", [0, 10])
async def test_nothing_is_sent_to_a_stranger_while_the_telephone_is_silent(said: int) -> None:
    async with call() as one:
        await one.talk()
        async with beside(one) as stranger:
            await one.phone.say(tone(440, said))
            await asyncio.sleep(1.5)
            await stranger.say(tone(1000, 20))
            await goes_on(one)
            assert stranger.audio == []
            assert one.unverified == (0 if said else 1)


async def test_a_stranger_is_heard_without_its_digits_until_the_telephone_sends() -> None:
    async with call() as one:
        await one.talk()
        async with beside(one) as stranger:
            await stranger.say(tone(1000, 20))
            await stranger.press(7)
            heard = one.leg.statistics()
            assert heard.received.packets == 18
            assert heard.discarded["unverified_digit"] == 8
            await one.phone.say(tone(440, 1))
            await one.phone.press(4)
            assert [e for e in one.events if isinstance(e, events.DigitReceived)] == [
                events.DigitReceived(LEG, "4")
            ]
            before = one.leg.statistics().discarded["unknown_source"]
            await asyncio.sleep(1.5)
            await stranger.say(tone(1000, 20))
            assert one.leg.statistics().discarded["unknown_source"] == before + 20


@pytest.mark.parametrize("named", [False, True])
async def test_a_stranger_that_knows_the_telephones_next_packet_is_not_heard(named: bool) -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, 20))
        async with beside(one) as stranger:
            if named:  # at an address that the telephone has named before
                one.say(sip.Offered(stranger.describe()))
                one.say(sip.Offered(one.phone.describe()))
                await one.phone.say(tone(440, 20))
            stranger.ssrc, phone = one.phone.ssrc, one.phone
            heard, sent = one.leg.statistics().received.packets, len(stranger.audio)
            for turn in range(1, 4):
                stranger.sequence, stranger.timestamp = phone.sequence, phone.timestamp
                await stranger.say(tone(1000, 5))
                assert one.leg.statistics().discarded["unknown_source"] == 5 * turn
                await phone.say(tone(440, 5))
                received = one.leg.statistics().received
                assert (received.packets, received.lost) == (heard + 5 * turn, 0)
            await goes_on(one)
            assert len(stranger.audio) == sent


async def test_a_stranger_is_not_heard_on_a_strict_trunk() -> None:
    async with call(source_policy=SourcePolicy(strict=True)) as one:
        await one.talk()
        async with beside(one) as stranger:
            await stranger.say(tone(1000, 20))
            assert one.leg.statistics().received.packets == 0
            assert one.leg.statistics().discarded["unknown_source"] == 20
            assert one.unverified == 0


async def test_a_gateway_in_the_trunks_networks_is_heard_with_its_digits_and_sent_to() -> None:
    async with call(source_policy=NETWORK) as one:
        await one.talk()
        async with beside(one) as gateway:
            await gateway.say(tone(440, 10))
            await gateway.press(7)
            await until(lambda: gateway.audio)
            assert events.DigitReceived(LEG, "7") in one.events


async def test_a_telephone_behind_the_nat_that_signals_is_sent_to() -> None:
    async with call() as one:
        await one.dial()
        one.dialog.signalling_host = STRANGER
        one.say(sip.Answered(one.phone.describe(address="127.9.8.7")))
        async with beside(one) as outside:
            await outside.say(tone(440, 10))
            await until(lambda: outside.audio)


async def test_reports_of_a_stranger_are_dropped_and_move_nothing() -> None:
    async with call() as one:
        await one.talk()
        await one.phone.say(tone(440, 5))
        async with beside(one) as stranger:
            await stranger.say(tone(1000, 5))
            assert one.phone.target is not None
            host, port = one.phone.target
            report = struct.pack("!BBHI", 0x80, 201, 1, stranger.ssrc)
            for _ in range(3):
                stranger.socket.sendto(report, (host, port + 1))
            await until(lambda: one.leg.statistics().discarded["unknown_source"] == 8)
            before = len(one.phone.reports)
            await until(lambda: len(one.phone.reports) >= before + 2)
            assert stranger.reports == []


async def test_a_resumed_call_goes_on_to_the_telephone() -> None:
    async with call() as one:
        await one.talk()
        async with beside(one) as stranger:
            await stranger.say(tone(1000, 5))
            one.say(sip.Offered(one.phone.describe("a=sendonly", address="0.0.0.0")))
            await asyncio.sleep(0.2)
            await stranger.say(tone(1000, 5))
            one.say(sip.Offered(one.phone.describe()))
            await goes_on(one)
            assert stranger.audio == []


async def test_a_key_and_nothing_else_moves_an_encrypted_call() -> None:
    async with call(security="required", rtcp=False) as one:
        await one.dial()
        suite, key = "AES_CM_128_HMAC_SHA1_80", bytes(range(30))
        [ours] = [line for line in one.dialog.last("invite").splitlines() if suite in line]
        theirs = base64.b64decode(ours.partition("inline:")[2])
        answer = f"{ours.split()[0]} {suite} inline:{base64.b64encode(key).decode()}"
        one.phone.encrypt(Policy.SRTP_PROFILE_AES128_CM_SHA1_80, key, theirs)
        described = one.phone.describe(answer, "a=rtcp-mux", protocol="RTP/SAVP")
        one.say(sip.Answered(described))
        await one.phone.say(tone(440, 5))
        async with beside(one) as other:
            other.socket.sendto(one.phone.last, other.target)
            await other.say(tone(1000, 5))
            await asyncio.sleep(1.5)
            await other.say(tone(1000, 5))
            await goes_on(one)
            assert other.refused == len(other.audio) == 0
            assert one.leg.statistics().discarded["bad_srtp"] == 10
            assert one.leg.statistics().discarded["replayed"] == 1
