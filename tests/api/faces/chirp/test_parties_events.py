"""Chirp's participant events: of people, whatever else joins a call."""

import base64

import pytest

from bridge.settings.model import Net
from tests.support.clients.vendor import ECHO, SALES, Vendor, two_lines
from tests.support.inprocess import running
from tests.support.peers.signalling import HttpExchange
from tests.support.peers.stock_peer import StockPeer
from tests.support.servers.receiver import receiving
from tests.support.sound.sound_files import wav_claiming
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")
EVENTS = ["calls.participant.*"]


async def test_recorders_streams_sockets_and_playbacks_are_no_participants():
    async with running(two_lines(net=Net(allow=["127.0.0.0/8"]))) as bridge, receiving() as hook:
        chirp = Vendor(bridge.http)
        await chirp.post("/v1/webhooks", {"url": hook.url, "events": EVENTS})
        body = {"from": "agent-7", "fromChannel": "webrtc", "to": f"+{ECHO}"}
        _, call = await chirp.post("/v1/calls", body | {"toChannel": "whatsapp"})
        [runner] = bridge.bridge.manager.calls()
        await until(lambda: runner.machine.state == "active")
        commands = f"/v1/calls/{call['id']}/commands"
        assert (await chirp.post(commands, {"type": "start_recording"}))[0] == 200
        sound = {"callId": call["id"], "audioBase64": base64.b64encode(wav_claiming()).decode()}
        assert (await chirp.post("/call/play", sound))[0] == 200
        path = f"/call/{call['id']}/stream?token={SALES}"
        async with bridge.http.ws_connect(path), StockPeer() as browser:
            await browser.call(HttpExchange(bridge.http.post, "", call_id=call["id"], key=SALES))
            await until(lambda: len(runner.legs()) >= 4)
        await chirp.post(commands, {"type": "hangup"})
        await until(lambda: len(hook.taken) >= 4)
        sent = [(taken.json["event"], taken.json["data"]["participant"]) for taken in hook.taken]
    kinds = [(event.rpartition(".")[2], person["kind"]) for event, person in sent]
    assert sorted(kinds) == [
        ("joined", "simulator"),
        ("joined", "webrtc"),
        ("left", "simulator"),
        ("left", "webrtc"),
    ]


async def test_tokens_differ_by_identity_and_open_the_party_that_they_name():
    async with running(two_lines()) as bridge:
        chirp = Vendor(bridge.http)
        body = {"from": "agent-7", "fromChannel": "webrtc", "to": "guest", "toChannel": "webrtc"}
        _, call = await chirp.post("/v1/calls", body)
        found = {}
        for identity in ("agent-7", "agent-8", "guest"):
            wanted = {"roomName": call["livekitRoomName"], "participantIdentity": identity}
            status, found[identity] = await chirp.post("/v1/calls/token", wanted)
            assert status == 200
        assert len({answer["token"] for answer in found.values()}) == 3
        parties = {identity: answer["party"] for identity, answer in found.items()}
        assert parties == {"agent-7": "near", "agent-8": "near", "guest": "far"}
        offer = {"callID": found["guest"]["callId"], "type": "offer", "sdp": "v=0", "party": "near"}
        headers = {"token": found["guest"]["token"]}
        async with bridge.http.post("/call/webrtc/offer", json=offer, headers=headers) as response:
            assert response.status == 403
