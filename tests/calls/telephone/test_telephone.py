"""Whole calls over a SIP trunk, to a telephone that speaks plain RTP, and what goes wrong with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle

import pytest

from bridge.settings.model import Line, LineSip, Sip
from tests.support.diagnosed import Diagnosed
from tests.support.inprocess import Client, running, settings
from tests.support.machine import free_port
from tests.support.peers.bridge_peer import speech
from tests.support.peers.light_peer import LightPeer
from tests.support.sip.telephone import PCMA, PCMU, share, tone
from tests.support.sip.trunk_double import TrunkDouble, trunk
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer

# What the trunk does concerns the node that has the call.
pytestmark = [pytest.mark.call, one_node_only]


G722 = 9


@asynccontextmanager
async def line(listen: int = 0) -> AsyncIterator[tuple[Client, TrunkDouble]]:
    """A bridge with one line, which reaches telephones over a trunk; `listen` is a port for its calls."""
    async with trunk() as far:
        chosen = LineSip(
            trunk=f"sip:127.0.0.1:{far.port};transport=udp",
            allow_prefixes=["+1"],
            trusted=["127.0.0.0/8"],
            codecs=["pcmu", "pcma"],
        )
        lines = {"main": Line(keys=["demo"], numbers=["15550109000"], sip=chosen)}
        sip = Sip(listen=[f"udp://127.0.0.1:{listen}"] if listen else [])
        async with running(settings(lines=lines, sip=sip)) as client:
            yield client, far


async def dial(client: Client) -> str:
    data = await client.data("/call/dial", {"phone": "15550300001", "channel": "pstn"})
    call_id: str = data["callId"]
    return call_id


@dataclass
class Talk:
    """A browser that talks with a telephone, and the other way round."""

    client: Client
    far: TrunkDouble
    call: Diagnosed
    browser: LightPeer
    saying: asyncio.Task[None]

    def stop(self) -> None:
        """Let the telephone send no more."""
        self.saying.cancel()

    def go_on(self) -> None:
        """Let the telephone send again."""
        self.saying = asyncio.create_task(self.far.phone.say(tone(440, 3000)))


@asynccontextmanager
async def talking(*, says: bool = True) -> AsyncIterator[Talk]:
    """A call to a telephone, answered, in which a browser speaks."""
    async with line() as (client, far), LightPeer() as browser:
        call_id = await dial(client)
        await browser.call(client.exchange(call_id))
        heard = asyncio.create_task(browser.speak(cycle(speech(50))))
        saying = asyncio.create_task(far.phone.say(tone(440, 3000 if says else 0)))
        talk = Talk(client, far, Diagnosed(client, call_id), browser, saying)
        try:
            await client.until_state(call_id, "active")
            yield talk
        finally:
            heard.cancel()
            talk.stop()
            await asyncio.gather(heard, talk.saying, return_exceptions=True)


async def test_a_good_call_with_a_telephone_raises_nothing_and_has_its_figures() -> None:
    async with talking() as one:
        await asyncio.sleep(12)
        found = await one.call.ask()
        assert (found["verdict"], found["problems"]) == ("ok", [])
        legs = (await one.client.quality(one.call.call_id))["legs"]
        figures = next(leg for leg in legs if leg["kind"] == "sip")
        assert figures["received"]["packets"] > 500
        assert figures["received"]["lost"] == 0
        assert figures["sent"]["packets"] > 500


async def test_a_telephone_of_which_no_packet_ever_comes() -> None:
    async with talking(says=False) as one:
        problem = await one.call.becomes("one_way_rtp")
        assert problem["hop"] == "provider.network"
        one.go_on()
        await one.call.clears("one_way_rtp")


async def test_a_telephone_of_which_nothing_comes_any_more() -> None:
    async with talking() as one:
        await asyncio.sleep(5)
        await one.call.fine()
        one.stop()
        await one.call.becomes("far_sends_nothing")
        one.go_on()
        await one.call.clears("far_sends_nothing")


async def test_a_telephone_that_loses_packets() -> None:
    async with talking(says=False) as one:
        for number, payload in enumerate(tone(440, 400)):
            if number % 5:
                one.far.phone.send(payload)
            else:
                one.far.phone.skip()
            await asyncio.sleep(0.02)
        [problem] = [each["code"] for each in await one.call.open()]
        assert problem == "network_lossy"


async def test_a_telephone_that_changes_its_codec_without_asking_stays_heard() -> None:
    async with talking() as one:
        await until(lambda: len(one.browser.arrivals) > 50)
        one.far.phone.payload_type = PCMA  # its answer has both
        before = len(one.browser.arrivals)
        await asyncio.sleep(4)
        assert len(one.browser.arrivals) - before > 190
        await one.call.fine()


@pytest.mark.parametrize("ssrc", [0x5050, 0x6060])
async def test_a_telephone_that_sends_what_was_not_negotiated(ssrc: int) -> None:
    async with talking() as one:
        await until(lambda: len(one.browser.arrivals) > 50)
        one.far.phone.payload_type, one.far.phone.ssrc = G722, ssrc
        problem = await one.call.becomes("codec_mismatch")
        assert "not negotiated" in problem["summary"]
        one.far.phone.payload_type = PCMU
        await one.call.clears("codec_mismatch")


async def test_a_telephone_that_holds_and_goes_on() -> None:
    async with talking() as one:
        one.far.reinvite("a=sendonly")
        await until(lambda: one.far.answers)
        assert "a=recvonly" in one.far.answers[-1]
        one.stop()
        await asyncio.sleep(40)
        await one.call.fine()
        one.far.reinvite("a=sendrecv")
        await until(lambda: len(one.far.answers) == 2)
        await one.client.until_state(one.call.call_id, "active")


async def test_our_hold_is_told_to_the_telephone_and_ended() -> None:
    async with talking() as one:
        call = {"callId": one.call.call_id}
        await one.client.data("/call/hold", call)
        await until(lambda: len(one.far.offers) == 2)
        assert "a=sendonly" in one.far.offers[-1]
        await one.client.data("/call/unhold", call)
        await until(lambda: len(one.far.offers) == 3)
        assert "a=sendrecv" in one.far.offers[-1]
        await asyncio.sleep(5)
        await one.call.fine()


@pytest.mark.parametrize(
    ("refuses", "code"),
    [
        ("488 Not Acceptable Here", "codec_refused"),
        ("503 Service Unavailable", "trunk_unreachable"),
        ("401 Unauthorized", "sip_registration_failed"),
        ("403 Forbidden", "provider_refused"),
    ],
)
async def test_a_refused_call_says_what_was_refused(refuses: str, code: str) -> None:
    async with line() as (client, far):
        far.refuses = refuses
        response = await client.post("/call/dial", {"phone": "15550300001", "channel": "pstn"})
        assert response.status >= 400
        call_id = (await response.json())["callId"]
        found = await Diagnosed(client, call_id).ask()
        assert [each["code"] for each in found["problems"]] == [code]


async def test_an_answer_without_a_common_codec() -> None:
    async with line() as (client, far):
        far.formats = "18"
        call_id = await dial(client)
        await client.until_state(call_id, "gone")
        found = await Diagnosed(client, call_id).ask()
        assert [each["code"] for each in found["problems"]] == ["codec_refused"]
        await until(lambda: "BYE" in far.requests)


async def test_early_media_is_heard_while_it_rings() -> None:
    async with line() as (client, far), LightPeer() as browser:
        far.early = True
        call_id = await dial(client)
        await browser.call(client.exchange(call_id))
        await client.until_state(call_id, "ringing")
        await far.phone.say(tone(440, 50))
        assert len(browser.arrivals) > 30
        far.pick_up()
        await client.until_state(call_id, "active")
        far.hang_up()
        await client.until_state(call_id, "gone")
        assert (await client.quality(call_id))["endReason"] == "remote_hangup"
        assert client.ports.used <= 1


async def test_the_browser_is_heard_on_the_telephone() -> None:
    async with talking() as one:
        await asyncio.sleep(3)
        assert share(one.far.phone.heard(100), 440) > 0.9


@pytest.mark.parametrize("offer", [True, False])
async def test_a_telephone_that_calls_is_answered_and_heard(offer: bool) -> None:
    port = free_port()
    async with line(port) as (client, far), LightPeer() as browser:
        far.call(port, "15550109000", offer=offer)
        [ringing] = await until_answer(client.calls)
        call_id = ringing["callId"]
        await until(lambda: "180" in far.responses)
        await browser.call(client.exchange(call_id))
        await client.data("/call/answer", {"callId": call_id})
        await client.until_state(call_id, "active")
        await asyncio.gather(far.phone.say(tone(440, 100)), browser.speak(speech(100)))
        assert len(browser.arrivals) > 80
        assert share(far.phone.heard(50), 440) > 0.9
        far.hang_up()
        await client.until_state(call_id, "gone")
        assert (await client.quality(call_id))["endReason"] == "remote_hangup"


async def test_a_caller_that_nobody_answers_is_told_so() -> None:
    port = free_port()
    async with line(port) as (client, far):
        far.call(port, "15550109000")
        [ringing] = await until_answer(client.calls)
        await client.data("/call/hangup", {"callId": ringing["callId"]})
        await until(lambda: "603" in far.responses)
