"""Strangers flood media ports with STUN: next to none of it is parsed, and calls go on."""

import asyncio
from collections import Counter

import pytest
from aioice import stun

from bridge.rtc.limits import MAX_CHECKS, CheckBudget
from tests.support.peers.bridge_peer import BridgePeer, Prober, Stranger, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until


@pytest.fixture
def parsed(monkeypatch):
    """Every datagram that was parsed as STUN, by anybody in this process, with how often."""
    counted: Counter[bytes] = Counter()
    parse = stun.parse_message

    def count(data):
        counted[data] += 1
        return parse(data)

    monkeypatch.setattr(stun, "parse_message", count)
    return counted


def message(kind, *attributes, username="stranger:guess"):
    """Make a signed message as long as a flood's are; the text says its kind."""
    made = stun.Message(stun.Method.BINDING, kind)
    made.attributes["USERNAME"] = username
    made.attributes["PRIORITY"] = 1000
    made.attributes["SOFTWARE"] = "x" * 400
    made.add_message_integrity(b"a-password-that-is-a-guess")
    return bytes(made)


async def until_discarded(bridge, count):
    await until(lambda: sum(bridge.discarded.values()) == count)


FLOODS = {
    "checks without our user fragment": message(stun.Class.REQUEST),
    "responses that nobody awaits": message(stun.Class.RESPONSE),
    "errors that nobody awaits": message(stun.Class.ERROR),
    "indications": message(stun.Class.INDICATION),
    "the header of RFC 3489": b"\0\x01\x02\x28" + bytes(572),
    "longer than ICE needs": b"\0\x01\x05\x64\x21\x12\xa4\x42" + bytes(12) + b"\xff" * 1380,
    "many small attributes": b"\0\x01\x02\x40\x21\x12\xa4\x42" + bytes(12) + b"\x80\x22\0\0" * 144,
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_nothing_of_a_strangers_flood_is_parsed(kind, parsed):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        with Stranger(browser.remote_addresses[0]) as stranger:
            for sprayed in range(20, 401, 20):  # no more at once than the socket's buffer takes
                stranger.spray([FLOODS[kind]], times=20)
                await until_discarded(bridge, sprayed)
            assert stranger.received() == []
        assert parsed[FLOODS[kind]] == 0
        await talk(browser, 3)


async def test_checks_of_somebody_who_overheard_the_user_fragment_are_parsed_up_to_a_number(parsed):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        forged = message(stun.Class.REQUEST, username=f"{prober.remote[0]}:{prober.local[0]}")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with Stranger(prober.target) as stranger:
            for sprayed in range(20, 4 * MAX_CHECKS + 1, 20):
                stranger.spray([forged], times=20)
                await until_discarded(bridge, sprayed)
            assert 0 < parsed[forged] <= MAX_CHECKS * (1 + int(loop.time() - begun + 1))
            # The peer's own checks are looked into all the same.
            link = browser._gatherer.link
            pair = link._nominated[1]
            request = link.build_request(pair, nominate=True)
            await pair.protocol.request(request, pair.remote_addr, prober.remote[1].encode())
            assert stranger.received() == []
        await talk(browser, 3)


async def overheard(bridge, browser):
    """Connect; returns where a stranger's checks with the right user fragments go, and one of them."""
    offer = await browser.offer()
    answer = await bridge.exchange(offer)
    await browser.accept(answer)
    await bridge.connected()
    prober = Prober(offer, answer)
    username = f"{prober.remote[0]}:{prober.local[0]}"
    return prober.target, message(stun.Class.REQUEST, username=username)


async def test_what_is_parsed_of_strangers_checks_is_one_number_for_all_legs_of_a_node(parsed):
    budget = CheckBudget(20)
    async with (
        BridgePeer(unverified_checks=budget) as one,
        BridgePeer(unverified_checks=budget) as other,
        LightPeer() as anna,
        LightPeer() as bert,
    ):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        floods = [(one, *await overheard(one, anna)), (other, *await overheard(other, bert))]
        for bridge, target, forged in floods:
            with Stranger(target) as stranger:
                for sprayed in range(20, MAX_CHECKS + 1, 20):
                    stranger.spray([forged], times=20)
                    await until_discarded(bridge, sprayed)
        seconds = 1 + int(loop.time() - begun + 1)
        assert 0 < sum(parsed[forged] for *_, forged in floods) <= 20 * seconds


async def test_a_peer_that_floods_with_its_own_checks_is_answered_up_to_a_number():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(4 * MAX_CHECKS):
            prober.check()
            if number % 8 == 7:
                for _ in range(12):
                    await asyncio.sleep(0)
        await until(
            lambda: (
                len(prober.responses) + bridge.discarded.get("too_many_checks", 0) == 4 * MAX_CHECKS
            )
        )
        # One budget for its address before it has proved itself, one for after that.
        seconds = 1 + int(loop.time() - begun + 1)
        assert MAX_CHECKS <= len(prober.responses) <= 2 * MAX_CHECKS * seconds


async def test_indications_that_keep_the_peers_path_open_are_no_errors():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        for _ in range(5):
            browser.send_datagram(bytes(stun.Message(stun.Method.BINDING, stun.Class.INDICATION)))
        await talk(browser, 3)
        assert bridge.discarded == {}
