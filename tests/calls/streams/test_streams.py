"""Whole calls with every way in which a browser may number, time, cut and report its sound."""

import asyncio
import random
from contextlib import asynccontextmanager
from fractions import Fraction

import av
import numpy as np
import pytest

from bridge.call.model import LegId
from bridge.wire.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize,
)
from tests.support.inprocess import running
from tests.support.peers.bridge_peer import speech, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until

ECHO = "15550100001"

pytestmark = pytest.mark.call


@asynccontextmanager
async def talking(**browser_numbers):
    async with running() as client, LightPeer(**browser_numbers) as browser:
        exchange = client.exchange(await client.dial(ECHO))
        await browser.call(exchange)
        [runner] = client.bridge.manager.calls()
        await until(lambda: runner.machine.legs.records[LegId(exchange.leg_id)].connected)
        yield client, browser, runner


async def received(client, runner):
    legs = (await client.quality(runner.facts.call_id))["legs"]
    [near] = [leg for leg in legs if leg["kind"] == "webrtc"]
    return near["received"]


def places(browser):
    """Where each echo lies, in frames since the first."""
    first = browser.arrivals[0].timestamp
    return [((one.timestamp - first) & 0xFFFF_FFFF) / 960 for one in browser.arrivals]


def in_packets_of(milliseconds, seconds=1.0):
    """A tone in Opus packets of another length."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout = 16_000, "mono"
    encoder.format = av.AudioFormat("s16")
    encoder.options = {"application": "voip", "frame_duration": str(milliseconds)}
    size = 16 * milliseconds
    pcm = tone(seconds)
    packets = []
    for begin in range(0, len(pcm) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(pcm[begin : begin + size])[None], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 16_000, begin, Fraction(1, 16_000)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


# Numbers and times


@pytest.mark.parametrize(
    "numbers",
    [
        {"sequence": 65_530},
        {"timestamp": 2**32 - 5 * 960},
        {"sequence": 65_530, "timestamp": 2**32 - 5 * 960},
        {"sequence": 0, "timestamp": 0, "ssrc": 0},
    ],
)
async def test_wraps_are_not_heard(numbers):
    async with talking(**numbers) as (client, browser, runner):
        await browser.speak(speech(20))
        await until(lambda: len(browser.arrivals) >= 20)
        assert places(browser) == list(range(20))
        heard = await received(client, runner)
        assert (heard["lost"], heard["late"], heard["concealedFrames"]) == (0, 0, 0)


async def test_a_new_source_is_heard_within_three_frames():
    async with talking() as (client, browser, runner):
        await browser.speak(speech(10))
        browser.ssrc, browser.sequence, browser.timestamp = 0x7777, 9, 2**31
        await browser.speak(speech(10))
        await until(lambda: len(browser.arrivals) >= 20)
        gaps = np.diff(places(browser))
        assert len({one.ssrc for one in browser.arrivals}) == 1
        assert np.all(gaps >= 1)
        assert np.all(gaps <= 3)
        assert (await received(client, runner))["lost"] == 0


@pytest.mark.parametrize("jump", [960 * 50, 2**30, 2**31, -960 * 5, -(2**30)])
async def test_a_clock_that_jumps_is_followed(jump):
    async with talking() as (client, browser, runner):
        await browser.speak(speech(10))
        browser.timestamp = (browser.timestamp + jump) & 0xFFFF_FFFF
        await browser.speak(speech(20))
        await until(lambda: len(browser.arrivals) >= 28)
        stamps = np.diff(places(browser))
        assert np.all(stamps > 0)
        # A jump of up to two seconds may be a pause; more is a clock set anew.
        assert stamps.max() <= 51
        assert (await received(client, runner))["lost"] == 0


async def test_a_sequence_that_jumps_is_followed():
    async with talking() as (_client, browser, _runner):
        await browser.speak(speech(10))
        browser.sequence = (browser.sequence + 30_000) & 0xFFFF
        await browser.speak(speech(20))
        # The first packet after the jump may be a stray one; the second says it is not.
        await until(lambda: len(browser.arrivals) >= 29)


async def test_pauses_of_a_browser_that_sends_nothing_in_silence_keep_their_length():
    async with talking() as (client, browser, runner):
        for _ in range(3):
            await browser.speak(speech(5))
            browser.pause(9 * 960)
            await asyncio.sleep(0.18)
        await browser.speak(speech(5))
        await until(lambda: len(browser.arrivals) >= 20)
        gaps = [gap for gap in np.diff(places(browser)) if gap != 1]
        assert gaps == [10, 10, 10]
        heard = await received(client, runner)
        assert (heard["lost"], heard["concealedFrames"]) == (0, 0)


@pytest.mark.parametrize("milliseconds", [10, 20, 40, 60])
async def test_packets_of_every_length_come_back_as_frames_of_20_ms(milliseconds):
    async with talking() as (client, browser, runner):
        for packet in in_packets_of(milliseconds):
            browser.send(packet, samples=48 * milliseconds)
            await asyncio.sleep(milliseconds / 4000)
        frames = len(in_packets_of(milliseconds)) * milliseconds // 20
        await until(lambda: len(browser.arrivals) >= frames)
        assert places(browser) == list(range(frames))
        heard = await received(client, runner)
        assert (heard["lost"], heard["concealedFrames"]) == (0, 0)


# Reports


async def test_a_goodbye_of_the_source_ends_nothing():
    async with talking() as (client, browser, runner):
        await talk(browser)
        for ssrcs in ((browser.ssrc,), (1, 2, 3), (browser.arrivals[0].ssrc,)):
            browser.send_rtcp(serialize([ReceiverReport(browser.ssrc), Bye(ssrcs, "I am off")]))
        await talk(browser)
        assert await client.state(runner.facts.call_id) == "active"


async def test_reports_that_are_garbage_are_counted_and_nothing_else(caplog):
    noise = random.Random(5)
    async with talking() as (_client, browser, runner):
        await talk(browser, 3)
        caplog.clear()
        for number in range(200):
            head = bytes([0x80 | number % 32, 192 + number % 32]) + noise.randbytes(2)
            source = browser.ssrc.to_bytes(4, "big")
            browser.send_rtcp(head + source + noise.randbytes(4 * (number % 20)))
            await asyncio.sleep(0)
        await talk(browser)
        [leg] = [leg for leg in runner.legs() if leg.kind == "webrtc"]
        assert leg.statistics().discarded["bad_rtp"] > 150
        assert [one for one in caplog.records if not one.name.startswith("aiohttp")] == []


def report(about, *, lost=255, last=0, delay=0):
    return ReportBlock(
        ssrc=about,
        fraction_lost=lost,
        packets_lost=-1,
        highest_sequence=2**32 - 1,
        jitter=2**32 - 1,
        last_report=last,
        delay=delay,
    )


async def test_reports_of_and_about_sources_that_are_not_ours_change_no_figure():
    async with talking() as (_client, browser, runner):
        await talk(browser)
        ours = browser.arrivals[0].ssrc
        spoofed: list[RtcpPacket] = [
            SenderReport(ours, 2**64 - 1, 0, 0, 0, (report(ours ^ 1), report(browser.ssrc))),
            SenderReport(0xDEAD, 1, 2, 3, 4, (report(0xBEEF),)),
            SourceDescription(ours, "somebody else"),
        ]
        for _ in range(10):
            browser.send_rtcp(serialize(spoofed))
        await talk(browser, 3)
        [leg] = [leg for leg in runner.legs() if leg.kind == "webrtc"]
        assert leg.statistics().round_trip_seconds is None
        assert leg.source.loss_ratio == 0.0


async def test_no_report_makes_a_round_trip_of_minutes():
    async with talking() as (_client, browser, runner):
        await talk(browser, 3)
        ours = browser.arrivals[0].ssrc
        [leg] = [leg for leg in runner.legs() if leg.kind == "webrtc"]
        session = leg.source
        session.report(1.0, 1_800_000_000.0)
        for last in (0, 1, 2**31, 2**32 - 1):
            for delay in (0, 1, 65_536 * 59, 2**31, 2**32 - 1):
                block = report(ours, last=last, delay=delay)
                browser.send_rtcp(serialize([ReceiverReport(browser.ssrc, (block,))]))
                await asyncio.sleep(0.002)
                assert 0 <= (session.statistics().round_trip_seconds or 0.0) <= 60
        await until(lambda: session.loss_ratio > 0)
        await talk(browser, 3)


async def test_a_report_of_yesterday_can_still_be_answered():
    async with talking() as (_client, browser, runner):
        await talk(browser, 3)
        [leg] = [leg for leg in runner.legs() if leg.kind == "webrtc"]
        browser.send_rtcp(serialize([SenderReport(browser.ssrc, 2**63, 0, 1, 1)]))
        await until(lambda: leg.source._receiver.reception._report)
        before = len(browser.rtcp)
        now = asyncio.get_running_loop().time()
        leg.source.report(now + 100_000.0, 1_800_000_000.0)
        await until(lambda: len(browser.rtcp) > before)
        [told] = [
            one for one in parse_compound(browser.rtcp[before]) if isinstance(one, SenderReport)
        ]
        assert told.blocks[0].delay == 2**32 - 1
        await talk(browser, 3)
