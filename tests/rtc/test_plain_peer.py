"""Two peers of the bridge, one that offers and one that answers, on loopback."""

import asyncio
import base64
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.audio.codec.codec import CODECS, G722, OPUS, PCMA, PCMU, Codec
from bridge.errors import InvalidState, LimitExceeded, SdpError
from bridge.rtc.plain_peer import RARE_REPORT_SECONDS, REPORT_SECONDS
from bridge.rtc.ports import PortPool
from tests.support.machine import free_port
from tests.support.peers.plain_side import Side, agreed, check_audio
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

EVENTS = "a=rtpmap:101 telephone-event/8000"

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
async def test_a_tone_passes_both_ways_in_every_codec(codec: Codec) -> None:
    caller, callee = Side(PCMA, G722, OPUS, PCMU), Side(codec)
    async with agreed(caller, callee):
        assert caller.peer.audio is not None
        assert caller.peer.audio.codec is codec
        await check_audio(caller, callee)


@pytest.mark.parametrize("suite", ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"])
async def test_encrypted_audio_passes_both_ways(suite: str) -> None:
    caller, callee = Side(PCMU, security="required"), Side(PCMU, security="optional")
    offer = await caller.peer.create_offer()
    kept = [
        line
        for line in offer.splitlines(keepends=True)
        if not line.startswith("a=crypto") or suite in line
    ]
    callee.peer.set_remote("".join(kept))
    caller.peer.set_answer(await callee.peer.create_answer())
    try:
        await check_audio(caller, callee)
        assert caller.peer.statistics().discarded == {}
    finally:
        await caller.peer.aclose()
        await callee.peer.aclose()


async def test_keys_may_change_in_mid_call() -> None:
    caller, callee = Side(PCMU, security="required"), Side(PCMU, security="required")
    async with agreed(caller, callee):
        await caller.say(440, 10)
        offer = caller.peer.create_reoffer("sendrecv")
        same = callee.peer.answer_reoffer(offer, "sendrecv")
        again = callee.peer.answer_reoffer(offer, "sendrecv")
        keys = [line for line in same.splitlines() if line.startswith("a=crypto")]
        assert keys == [line for line in again.splitlines() if line.startswith("a=crypto")]
        caller.peer.set_answer(same)
        await check_audio(caller, callee)
        old = next(line for line in offer.splitlines() if line.startswith("a=crypto"))
        fresh = base64.b64encode(bytes(30)).decode()
        changed = offer.replace(old, f"{old.partition('inline:')[0]}inline:{fresh}")
        answer = callee.peer.answer_reoffer(changed, "sendrecv")
        assert keys != [line for line in answer.splitlines() if line.startswith("a=crypto")]


async def test_the_port_for_reports_is_released_when_they_come_with_the_audio() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    async with agreed(caller, callee):
        assert caller.pool.used == 1
        assert callee.pool.used == 1


async def test_reports_go_to_a_port_of_their_own_where_the_peer_wants_that() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    offer = (await caller.peer.create_offer()).replace("a=rtcp-mux\r\n", "")
    callee.peer.set_remote(offer)
    caller.peer.set_answer(await callee.peer.create_answer())
    try:
        assert caller.pool.used == callee.pool.used == 2
        await asyncio.gather(caller.say(440, 10), callee.say(880, 10))
        caller.peer.session.report(monotonic(), 1e9)
        callee.peer.session.report(monotonic(), 1e9)
        await until(lambda: all(side.peer.session.reports[0] for side in (caller, callee)))
    finally:
        await caller.peer.aclose()
        await callee.peer.aclose()


async def test_a_peer_may_want_few_reports() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    offer = await caller.peer.create_offer()
    callee.peer.set_remote(offer.replace("a=ptime", "b=RR:0\r\na=ptime"))
    assert callee.peer.report_seconds == RARE_REPORT_SECONDS
    assert caller.peer.report_seconds == REPORT_SECONDS
    await caller.peer.aclose()


async def test_a_codec_may_change_in_mid_call() -> None:
    caller, callee = Side(PCMU, PCMA), Side(PCMU, PCMA)
    async with agreed(caller, callee):
        await caller.say(440, 10)
        offer = caller.peer.create_reoffer("sendrecv").replace("RTP/AVP 0", "RTP/AVP 8")
        offer = offer.replace("a=rtpmap:0 PCMU", "a=rtpmap:8 PCMA")
        answer = callee.peer.answer_reoffer(offer, "sendrecv")
        assert "RTP/AVP 8 " in answer
        with pytest.raises(SdpError):
            caller.peer.set_answer(answer)  # it did not offer that
        assert caller.peer.audio is not None
        assert caller.peer.audio.codec is PCMU


async def test_a_description_that_says_the_same_has_the_same_version_and_codec() -> None:
    caller, callee = Side(PCMU, PCMA), Side(PCMA, PCMU)
    async with agreed(caller, callee):
        offer = caller.peer.create_reoffer("sendrecv")
        both = offer.replace("RTP/AVP 8 101", "RTP/AVP 0 8 101")
        first = caller.peer.answer_reoffer(both, "sendrecv")
        again = caller.peer.answer_reoffer(both, "sendrecv")
        assert first == again
        assert "RTP/AVP 8 101" in first
        held = caller.peer.answer_reoffer(both, "sendonly")
        assert held.splitlines()[1] != first.splitlines()[1]


async def test_our_hold_is_not_taken_for_the_peers() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    async with agreed(caller, callee):
        answer = callee.peer.answer_reoffer(caller.peer.create_reoffer("sendonly"), "sendrecv")
        caller.peer.set_answer(answer)
        assert callee.peer.held
        assert not caller.peer.held
        assert not caller.peer.session.receives
        answer = callee.peer.answer_reoffer(caller.peer.create_reoffer("sendrecv"), "sendrecv")
        caller.peer.set_answer(answer)
        assert not callee.peer.held
        assert caller.peer.session.receives


async def test_the_external_address_is_described_and_the_bound_one_used() -> None:
    side = Side(PCMU, external="203.0.113.9")
    offer = await side.peer.create_offer()
    assert "c=IN IP4 203.0.113.9\r\n" in offer
    await side.peer.aclose()


async def test_a_peer_of_the_other_ip_version_needs_an_address_of_that_version() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    offer = (await caller.peer.create_offer()).replace("IP4 127.0.0.1", "IP6 ::1")
    with pytest.raises(SdpError, match="IPv6"):
        callee.peer.set_remote(offer)
    await caller.peer.aclose()


async def test_ipv6_carries_audio_as_well() -> None:
    caller, callee = Side(PCMU, bind=("::1",)), Side(PCMU, bind=("127.0.0.1", "::1"))
    async with agreed(caller, callee):
        await check_audio(caller, callee)


async def test_without_a_free_pair_of_ports_there_is_no_offer() -> None:
    side = Side(PCMU, ports=PortPool([free_port()]))
    with pytest.raises(LimitExceeded):
        await side.peer.create_offer()
    await side.peer.aclose()


async def test_a_peer_that_is_gone_describes_nothing() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    async with agreed(caller, callee):
        offer = caller.peer.create_reoffer("sendrecv")
    with pytest.raises(InvalidState):
        callee.peer.answer_reoffer(offer, "sendrecv")
    with pytest.raises(InvalidState):
        await Side(PCMU).peer.create_answer()
    with pytest.raises(InvalidState):
        Side(PCMU).peer.create_reoffer("sendrecv")


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "empty"),
        (bytes(1501), "oversized"),
        (b"\x00\x01" + bytes(20), "unknown_kind"),
        (b"\x16\xfe\xfd" + bytes(20), "unknown_kind"),
        (b"\x80", "unknown_source"),
        (struct.pack("!BBHII", 0x80, 0, 1, 1, 1) + bytes(160), "unknown_source"),
        (struct.pack("!BBHI", 0x80, 201, 1, 1), "unknown_source"),
    ],
)
async def test_what_is_not_the_peers_is_dropped_and_counted(datagram: bytes, reason: str) -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    async with agreed(caller, callee):
        await caller.say(440, 5)
        line = next(
            one for one in callee.peer.create_reoffer("sendrecv").splitlines() if "m=" in one
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.sendto(datagram, ("127.0.0.1", int(line.split()[1])))
        await until(lambda: callee.peer.statistics().discarded.get(reason))


@asynccontextmanager
async def answered(caller: Side, formats: str, *lines: str) -> AsyncIterator[socket.socket]:
    """Answer an offer as a telephone that has these formats; return its socket, connected to the caller."""
    offer = await caller.peer.create_offer()
    port = int(next(line for line in offer.splitlines() if line.startswith("m=")).split()[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as telephone:
        telephone.bind(("127.0.0.1", 0))
        telephone.connect(("127.0.0.1", port))
        own = telephone.getsockname()[1]
        lines = (f"m=audio {own} RTP/AVP {formats}", "c=IN IP4 127.0.0.1", *lines, "a=rtcp-mux")
        head = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0")
        try:
            caller.peer.set_answer("\r\n".join((*head, *lines)) + "\r\n")
            yield telephone
        finally:
            await caller.peer.aclose()


async def speak(telephone: socket.socket, kind: int, numbers: range, payload: bytes) -> None:
    for number in numbers:
        telephone.send(struct.pack("!BBHII", 0x80, kind, number, 160 * number, 7) + payload)
        await asyncio.sleep(0.02)


async def test_the_next_packet_of_a_telephone_is_not_taken_from_another_address() -> None:
    caller = Side(PCMU)
    async with answered(caller, "0 101") as telephone:
        for turn in range(3):
            first = 30 * turn
            await speak(telephone, 0, range(first, first + 30), b"\xff" * 160)
            await until(lambda: len(caller.frames) == first + 30)  # noqa: B023
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.2", 0))
                other.connect(telephone.getpeername())
                await speak(other, 0, range(first + 30, first + 35), b"\x00" * 160)
                refused = {"unknown_source": 5 * (turn + 1)}
                await until(lambda: caller.peer.statistics().discarded == refused)  # noqa: B023
        assert not caller.heard(90).any()
        assert caller.peer.statistics().received.lost == 0


async def test_a_telephone_may_change_between_all_formats_that_are_agreed() -> None:
    caller = Side(PCMU, PCMA, G722)
    async with answered(caller, "0 8 9 101") as telephone:
        assert caller.peer.audio is not None
        assert caller.peer.audio.codec is PCMU
        for turn, kind in enumerate((8, 0, 9, 0, 8)):
            await speak(telephone, kind, range(10 * turn, 10 * turn + 10), bytes(160))
        await until(lambda: len(caller.frames) == 50)
        assert caller.peer.statistics().discarded == {}


async def test_a_telephone_sends_with_the_payload_type_that_we_offered() -> None:
    caller = Side(PCMU, OPUS)
    async with answered(caller, "96 0", "a=rtpmap:96 opus/48000/2") as telephone:
        await speak(telephone, 111, range(10), b"\xf8\xff\xfe")
        await speak(telephone, 96, range(10, 20), b"\xf8\xff\xfe")
        await until(lambda: len(caller.frames) >= 20)


async def test_a_telephone_that_sends_what_was_not_agreed_is_told_from_a_stranger() -> None:
    caller = Side(PCMU, PCMA)
    async with answered(caller, "0 101") as telephone:
        await speak(telephone, 8, range(10), bytes(160))
        await until(lambda: caller.peer.statistics().discarded == {"unknown_payload": 10})
        assert caller.frames == []
        assert caller.peer.alive_at is None


async def test_all_that_was_agreed_is_offered_again() -> None:
    caller = Side(OPUS, PCMU, PCMA)
    async with answered(caller, "0 96 101", "a=rtpmap:96 opus/48000/2", EVENTS):
        offer = caller.peer.create_reoffer("sendonly")
        assert " RTP/AVP 0 96 101\r\n" in offer
