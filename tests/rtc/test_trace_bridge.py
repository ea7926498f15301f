"""`log.level = debug` at a bridge of its own: a call's set-up can be read off its log."""

import json

import aiohttp
import pytest

from tests.support.peers.bridge_peer import talk_until_heard
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange
from tests.support.server import running

ECHO = "15550100001"


@pytest.mark.call
async def test_logged_steps_of_a_set_up_have_the_call_id_and_no_addresses(tmp_path):
    settings = {"LOG__LEVEL": "debug", "LOG__FORMAT": "json", "SIMULATOR__RING_SECONDS": "0"}
    with running(tmp_path, **settings) as server:
        call_id = server.post("/call/dial", {"phone": ECHO})["callId"]
        async with aiohttp.ClientSession() as session, LightPeer() as browser:
            await browser.call(HttpExchange(session.post, server.url, call_id=call_id))
            await talk_until_heard(browser)
        lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    steps = [one for one in lines if one["event"].startswith(("peer.", "ice.", "dtls.", "rtp."))]
    [leg] = {one.get("leg") for one in steps}
    assert leg
    assert {one.get("call") for one in steps} == {call_id}
    assert {"ice.pair_chosen", "dtls.connected", "rtp.first_received", "rtp.first_sent"} <= {
        one["event"] for one in steps
    }
    assert ECHO not in server.log()
    assert "a=candidate" not in server.log()
