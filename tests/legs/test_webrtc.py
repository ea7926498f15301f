"""A browser's leg, from its offer to its end, with a light peer as the browser."""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest

from bridge.call import events
from bridge.call.model import EndReason, LegId
from bridge.errors import LimitExceeded, SdpError
from bridge.legs import webrtc
from bridge.legs.webrtc import WebRtcLeg
from bridge.metrics.calls import SetupMetrics
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.dtls import Certificates
from bridge.rtc.peer import Peer
from bridge.rtc.ports import PortPool
from tests.support.machine import free_ports
from tests.support.packets.offers import offer
from tests.support.peers.bridge_peer import RoamingPeer, opus, speech
from tests.support.peers.light_peer import LightPeer
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

LEG = LegId("leg_1")
SHORT = Timeouts(ice=0.2, dtls=0.2, setup=0.4)


class Observed:
    """Takes what a leg tells of its set-up."""

    def __init__(self) -> None:
        self.setups: list[str] = []
        self.stages: list[str] = []
        self.failures: list[tuple[str, str]] = []
        self.restarts: list[str] = []

    def leg_setup(self, kind, outcome, seconds) -> None:
        assert seconds >= 0
        self.setups.append(outcome)

    def setup_stage(self, stage, seconds) -> None:
        assert seconds >= 0
        self.stages.append(stage)

    def transport_failed(self, stage, reason) -> None:
        self.failures.append((stage, reason))

    def ice_restart(self, outcome) -> None:
        self.restarts.append(outcome)


class Party:
    """A leg, what it emitted, and its run."""

    def __init__(
        self,
        *,
        timeouts: Timeouts | None = None,
        ports: int = 3,
        reports: webrtc.Reports | None = None,
    ) -> None:
        self.pool = PortPool(free_ports(ports))
        self.observed = Observed()
        self.events: list[events.LegEvent] = []
        config = PeerConfig(
            bind=("127.0.0.1",),
            ports=self.pool,
            timeouts=replace(timeouts or Timeouts(), clock=monotonic),
        )
        self.leg = WebRtcLeg(
            LEG,
            peer=lambda on_digit, on_restart: Peer(
                config=config,
                certificates=Certificates(),
                opus=opus(),
                on_digit=on_digit,
                on_restart=on_restart,
            ),
            counters=cast("SetupMetrics", self.observed),
            reports=reports,
        )
        self.running: asyncio.Task[None] | None = None

    async def exchange(self, sdp: str) -> str:
        if self.running is not None:
            return await self.leg.reoffer(sdp)
        answer = await self.leg.accept(sdp)
        self.running = asyncio.create_task(self.leg.run(self.events.append))
        return answer

    async def over(self) -> None:
        """Wait until the leg has returned by itself."""
        assert self.running is not None
        async with asyncio.timeout(5):
            await self.running

    async def hang_up(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    def has(self, event: events.LegEvent):
        return lambda: event in self.events


@asynccontextmanager
async def party(**more):
    made = Party(**more)
    try:
        yield made
    finally:
        await made.hang_up()
        assert made.pool.used == 0


CONNECTED = events.LegConnected(LEG)


def ended(reason: EndReason) -> events.LegEnded:
    return events.LegEnded(LEG, reason)


# Setting up


async def test_a_leg_connects_and_tells_how_long_each_stage_took():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        assert one.events == [CONNECTED]
        assert one.observed.setups == ["connected"]
        assert one.observed.stages == ["answer", "ice", "dtls"]


async def test_the_steps_of_a_set_up_are_timed_in_their_order():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        await browser.speak(speech(1))
        await until(lambda: one.leg.statistics().received.packets)
        setup = one.leg.statistics().setup
        assert setup is not None
        steps = [setup.offer, setup.answer, setup.ice, setup.dtls, setup.first_received]
        times = [step for step in steps if step is not None]
        assert len(times) == len(steps)
        assert times == sorted(times)
        assert setup.first_sent is None


async def test_an_offer_that_cannot_be_answered_is_counted_and_leaves_nothing():
    async with party() as one:
        with pytest.raises(SdpError):
            await one.leg.accept(offer("no_opus"))
        assert one.observed.setups == ["refused"]


async def test_an_offer_that_finds_no_port_is_counted():
    async with party(ports=0) as one:
        with pytest.raises(LimitExceeded):
            await one.leg.accept(offer("minimal"))
        assert one.observed.setups == ["refused"]


async def test_a_leg_that_was_answered_and_never_run_can_be_freed():
    async with party() as one:
        await one.leg.accept(offer("minimal"))
        assert one.pool.used == 1
        await one.leg.aclose()


async def test_an_offer_that_nobody_follows_ends_the_leg_as_failed():
    async with party(timeouts=SHORT) as one:
        await one.exchange(offer("minimal"))
        await one.over()
        assert one.events == [ended(EndReason.FAILED)]
        assert one.observed.failures == [("ice", "nothing_received")]
        assert one.observed.setups == ["failed"]


async def test_a_hang_up_while_connecting_is_counted_as_canceled():
    async with party() as one:
        await one.exchange(offer("minimal"))
        await asyncio.sleep(0)
        await one.hang_up()
        assert one.events == []
        assert one.observed.setups == ["canceled"]
        assert one.observed.failures == []


# Ending


async def test_a_browser_that_says_goodbye_has_hung_up():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        await browser.close()
        await one.over()
        assert one.events == [CONNECTED, ended(EndReason.REMOTE_HANGUP)]
        assert one.observed.failures == []


async def test_a_browser_that_vanishes_ends_the_leg_for_want_of_media():
    timeouts = Timeouts(peer_timeout=0.4, consent=(0.05, 0.1))
    async with party(timeouts=timeouts) as one, RoamingPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        browser.leave()
        await one.over()
        assert one.events == [CONNECTED, ended(EndReason.MEDIA_TIMEOUT)]
        assert one.observed.failures == [("ice", "consent_lost")]


async def test_hanging_up_says_goodbye_and_emits_nothing_more():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        await one.hang_up()
        await browser.wait_closed()
        assert one.events == [CONNECTED]


# Alive


@pytest.mark.virtual_time
async def test_silence_is_noticed_and_so_is_its_end():
    silent, resumed = events.LegSilent(LEG), events.LegResumed(LEG)
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        await browser.speak(speech()[:2])
        await until(one.has(silent))
        await browser.speak(speech()[:2])
        await until(one.has(resumed))
        assert one.events[:3] == [CONNECTED, silent, resumed]


@pytest.mark.virtual_time
async def test_a_browser_that_has_never_sent_is_not_called_silent():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(lambda: len(browser.rtcp) > 5, timeout=20)
        assert one.events == [CONNECTED]


@pytest.mark.virtual_time
async def test_reports_are_sent_every_second():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(lambda: len(browser.rtcp) >= 3)
        assert {packet[1] for packet in browser.rtcp} <= {200, 201}


@pytest.mark.virtual_time
async def test_a_leg_is_idle_a_few_seconds_after_the_last_packet():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        assert not one.leg.idle
        await asyncio.sleep(webrtc.IDLE_SECONDS + 2)
        assert one.leg.idle
        await browser.speak(speech(3))
        await until(lambda: not one.leg.idle)


@pytest.mark.parametrize("clock", [8_000, 48_000])
async def test_digits_that_the_browser_sends_are_events(clock):
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        for digit in "5#":
            await browser.send_digit(digit, clock=clock)
        await until(one.has(events.DigitReceived(LEG, "#")))
        assert one.events == [CONNECTED, *(events.DigitReceived(LEG, digit) for digit in "5#")]


async def test_digits_for_the_browser_are_paced_by_themselves():
    async with party() as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        one.leg.send_digits("7")
        await until(lambda: one.leg._media.peer.session.digits_pending is False)
        sent = [a.payload for a in browser.arrivals if a.payload_type == browser.EVENT_48000]
        assert {payload[0] for payload in sent} == {7}
        assert sent[-1][1] & 0x80


async def test_digits_for_a_browser_that_takes_none_are_dropped_and_told(caplog):
    async with party() as one:
        await one.leg.accept(offer("minimal"))
        with caplog.at_level(logging.WARNING):
            one.leg.send_digits("7")
        assert [record.getMessage() for record in caplog.records] == ["leg.digits_dropped"]
        await one.leg.aclose()


async def test_a_restart_is_counted_and_published():
    async with party(timeouts=Timeouts(linger=0.0)) as one, RoamingPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        await browser.restart(one.exchange)
        await until(lambda: len(one.observed.restarts) == 2)
        assert one.observed.restarts == ["started", "succeeded"]
        [told] = [event for event in one.events if isinstance(event, events.LegReported)]
        assert (told.type, told.data) == ("leg.restarted", {"succeeded": True})


async def test_a_leg_that_is_over_is_pulsed_no_more():
    reports = webrtc.make_reports()
    async with party(reports=reports) as one, LightPeer() as browser:
        await browser.call(one.exchange)
        await until(one.has(CONNECTED))
        assert one.leg in reports
        await one.hang_up()
        assert one.leg not in reports
