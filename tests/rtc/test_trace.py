"""Debug logging of a leg's set-up: each step, without addresses or media."""

import json
import logging

import pytest

from tests.support.peers.bridge_peer import BridgePeer, talk, value
from tests.support.peers.light_peer import LightPeer

STEPS = [
    "peer.offer_received",
    "encoder.chosen",
    "peer.answered",
    "ice.first_check",
    "ice.probing",
    "ice.pair_chosen",
    "dtls.connected",
    "rtp.first_received",
    "rtp.first_sent",
]


def logged(caplog):
    return [one for one in caplog.records if one.name == "bridge.rtc.trace"]


@pytest.fixture
def _debugging(caplog):
    caplog.set_level(logging.DEBUG, logger="bridge.rtc.trace")


@pytest.mark.usefixtures("_debugging")
async def test_every_step_of_a_set_up_is_logged_once_and_packets_are_not(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser, 20)
        assert [one.getMessage() for one in logged(caplog)] == STEPS


@pytest.mark.usefixtures("_debugging")
async def test_the_log_explains_a_set_up_without_addresses_or_keys(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        await talk(browser, 3)
        lines = {one.getMessage(): vars(one) for one in logged(caplog)}
    assert lines["peer.offer_received"]["candidates"] == "host=1"
    assert lines["peer.offer_received"]["payload_type"] == LightPeer.OPUS
    assert lines["peer.answered"]["role"] == "client"
    assert lines["ice.pair_chosen"]["remote"] == "prflx"
    assert lines["ice.pair_chosen"]["public"] is False
    assert lines["dtls.connected"]["profile"] == "SRTP_AEAD_AES_128_GCM"
    assert lines["dtls.connected"]["cipher"].startswith("ECDHE-ECDSA")
    assert lines["encoder.chosen"]["encoder_level"] == "normal"
    everything = json.dumps(lines, default=str)
    for secret in ("ice-pwd", "ice-ufrag"):
        assert value(offer, secret) not in everything
        assert value(answer, secret) not in everything
    assert "127.0.0.1" not in everything
