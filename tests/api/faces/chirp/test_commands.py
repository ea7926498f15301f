"""Chirp's commands, as a client sends them that was written from the vendor's document alone."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.call.model import State
from bridge.settings.model import Net
from tests.support.clients.vendor import (
    ECHO,
    NEVER,
    OTHER,
    REJECTS,
    SALES,
    TEST,
    UNREACHABLE,
    Vendor,
    two_lines,
)
from tests.support.inprocess import running
from tests.support.packets.offers import offer
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file
from tests.support.waiting import until, until_answer

pytestmark = pytest.mark.usefixtures("nodes")

ACTIVE_COMMANDS = ["hold", "unhold", "mute", "unmute"]
BROWSERS = {
    "from": "webrtc-user-1",
    "fromChannel": "webrtc",
    "to": "webrtc-user-2",
    "toChannel": "webrtc",
}


@pytest.fixture
async def bridge():
    async with running(two_lines(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


@pytest.fixture
def chirp(bridge):
    return Vendor(bridge.http)


async def created(chirp, number: str = ECHO, **more: Any) -> str:
    body = {"from": "webrtc-user-1", "fromChannel": "webrtc", "to": f"+{number}"}
    status, call = await chirp.post("/v1/calls", body | {"toChannel": "whatsapp"} | more)
    assert status == 200, call
    return str(call["id"])


async def shown(chirp, call_id: str) -> dict[str, Any]:
    return dict((await chirp.get(f"/v1/calls/{call_id}"))[1])


async def reached(chirp, call_id: str, status: str) -> dict[str, Any]:
    async def asked() -> dict[str, Any] | None:
        call = await shown(chirp, call_id)
        return call if call["status"] == status else None

    return await until_answer(asked) or {}


async def answered(chirp) -> str:
    call_id = await created(chirp)
    await reached(chirp, call_id, "in_progress")
    return call_id


async def ringing(bridge, chirp) -> str:
    """Let a contact ring the line."""
    await bridge.post("/simulator/incoming", {"from": ECHO}, headers={"token": SALES})
    [call] = (await chirp.get("/v1/calls"))[1]["data"]
    return str(call["id"])


async def command(chirp, call_id: str, kind: str, **more: Any) -> tuple[int, Any]:
    status, body = await chirp.post(f"/v1/calls/{call_id}/commands", {"type": kind, **more})
    return status, body


async def accepted(chirp, call_id: str, kind: str, **more: Any) -> None:
    expected = {"callId": call_id, "command": kind, "status": "accepted"}
    assert await command(chirp, call_id, kind, **more) == (200, expected)


# Each command


async def test_an_incoming_call_is_answered(bridge, chirp):
    call_id = await ringing(bridge, chirp)
    await accepted(chirp, call_id, "answer")
    await reached(chirp, call_id, "in_progress")


async def test_an_incoming_call_is_rejected_with_a_reason(bridge, chirp):
    call_id = await ringing(bridge, chirp)
    await accepted(chirp, call_id, "reject", reason="in a meeting")
    call = await shown(chirp, call_id)
    assert (call["status"], call["endReason"]) == ("failed", "rejected")


async def test_a_call_is_hung_up(chirp):
    call_id = await answered(chirp)
    await accepted(chirp, call_id, "hangup")
    call = await shown(chirp, call_id)
    assert (call["status"], call["endReason"]) == ("completed", "hangup")


async def test_a_ringing_call_that_is_hung_up_is_canceled(chirp):
    call_id = await created(chirp, NEVER)
    await accepted(chirp, call_id, "hangup")
    assert (await shown(chirp, call_id))["status"] == "canceled"


async def test_a_held_call_is_in_progress_and_says_that_it_is_held(chirp):
    call_id = await answered(chirp)
    await accepted(chirp, call_id, "hold")
    call = await shown(chirp, call_id)
    assert (call["status"], call["held"]) == ("in_progress", True)
    await accepted(chirp, call_id, "unhold")
    assert (await shown(chirp, call_id))["held"] is False


@pytest.mark.parametrize(("kind", "muted"), [("mute", True), ("unmute", False)])
async def test_our_side_is_muted_and_unmuted(bridge, chirp, kind, muted):
    call_id = await answered(chirp)
    await accepted(chirp, call_id, kind)
    [runner] = bridge.bridge.manager.calls()
    assert runner.record().muted is muted


async def test_digits_are_sent(chirp):
    call_id = await answered(chirp)
    await accepted(chirp, call_id, "send_dtmf", digits="12#")


async def test_a_test_key_is_answered_with_its_own_id(chirp):
    tester = chirp.as_(TEST)
    call_id = await answered(tester)
    assert call_id.startswith("call_test_")
    await accepted(tester, call_id, "hangup")


# Music


async def test_the_called_browser_hears_music_while_it_is_held(bridge, chirp):
    _, call = await chirp.post("/v1/calls", BROWSERS)
    async with music() as url, StockPeer() as called:
        await called.call(bridge.exchange(call["id"], key=SALES, party="far"))
        await reached(chirp, call["id"], "in_progress")
        await accepted(chirp, call["id"], "hold", musicUrl=url)
        await until(lambda: abs(called.heard()).max(initial=0) > 1000)
        await accepted(chirp, call["id"], "unhold")
        [runner] = bridge.bridge.manager.calls()
        assert [leg.kind for leg in runner.legs()] == ["webrtc"]


async def test_other_music_takes_the_place_of_what_is_played(bridge, chirp):
    call_id = await answered(chirp)
    async with music() as url:
        await accepted(chirp, call_id, "hold", musicUrl=url)
        await accepted(chirp, call_id, "hold", musicUrl=url)
    [runner] = bridge.bridge.manager.calls()
    assert [leg.kind for leg in runner.legs()] == ["simulator", "playback"]


@pytest.mark.parametrize(
    ("url", "status"), [("no url", 400), ("http://10.0.0.1/a.wav", 422), ("file:///etc", 400)]
)
async def test_music_that_cannot_be_had_leaves_the_call_as_it_was(chirp, url, status):
    call_id = await answered(chirp)
    refused, body = await command(chirp, call_id, "hold", musicUrl=url)
    assert (refused, body["field"] if status == 400 else "musicUrl") == (status, "musicUrl")
    assert (await shown(chirp, call_id))["held"] is False


async def test_music_that_is_no_sound_leaves_the_call_as_it_was(bridge, chirp):
    call_id = await answered(chirp)
    async with music(b"no sound") as url:
        assert (await command(chirp, call_id, "hold", musicUrl=url))[0] == 400
    assert (await shown(chirp, call_id))["held"] is False
    [runner] = bridge.bridge.manager.calls()
    assert [leg.kind for leg in runner.legs()] == ["simulator"]


def music(content: bytes | None = None) -> Any:
    async def file(request):
        sound = wav_file(tone(1).tobytes()) if content is None else content
        return web.Response(body=sound, content_type="audio/wav")

    class Serving:
        async def __aenter__(self) -> str:
            there = web.Application()
            there.add_routes([web.get("/music.wav", file)])
            self.server = TestServer(there)
            await self.server.start_server()
            return str(self.server.make_url("/music.wav"))

        async def __aexit__(self, *_: object) -> None:
            await self.server.close()

    return Serving()


# Transfer


async def test_a_transfer_moves_the_call_to_the_new_party(bridge, chirp):
    call_id = await answered(chirp)
    async with StockPeer() as peer:
        await peer.call(bridge.exchange(call_id, key=SALES))
        to = {"to": f"+{ECHO}", "toChannel": "whatsapp"}
        status, body = await command(chirp, call_id, "transfer", **to)
        assert (status, body["status"]) == (200, "queued")
        await peer.wait_ended()
    [runner] = bridge.bridge.manager.calls()
    assert [leg.kind for leg in runner.legs()] == ["simulator", "simulator"]
    assert runner.machine.state is State.ACTIVE


@pytest.mark.parametrize(("number", "status"), [(UNREACHABLE, 502), (REJECTS, 200)])
async def test_a_transfer_that_fails_leaves_the_call_as_it_is(bridge, chirp, number, status):
    call_id = await answered(chirp)
    async with StockPeer() as peer:
        await peer.call(bridge.exchange(call_id, key=SALES))
        to = {"to": f"+{number}", "toChannel": "whatsapp"}
        assert (await command(chirp, call_id, "transfer", **to))[0] == status
        [runner] = bridge.bridge.manager.calls()
        await until(lambda: len(runner.legs()) == 2)
        assert [leg.kind for leg in runner.legs()] == ["simulator", "webrtc"]
        assert runner.machine.state is State.ACTIVE


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({}, 400, "to"),
        ({"to": ECHO, "toChannel": "whatsapp"}, 400, "to"),
        ({"to": f"+{ECHO}", "toChannel": "sip"}, 400, "toChannel"),
        ({"to": "+15551234567"}, 501, None),
    ],
)
async def test_a_transfer_to_nowhere_is_refused(chirp, more, status, field):
    refused, body = await command(chirp, await answered(chirp), "transfer", **more)
    assert (refused, body.get("field")) == (status, field)


async def test_a_transfer_to_a_browser_moves_the_call_once_it_is_connected(bridge, chirp):
    call_id = await answered(chirp)
    async with StockPeer() as first, StockPeer() as second:
        await first.call(bridge.exchange(call_id, key=SALES))
        to = {"to": "agent-7", "toChannel": "webrtc"}
        status, body = await command(chirp, call_id, "transfer", **to)
        assert (status, body["status"]) == (200, "queued")
        room = (await shown(chirp, call_id))["livekitRoomName"]
        ask = {"roomName": room, "participantIdentity": "agent-7"}
        _, ticket = await chirp.post("/v1/calls/token", ask)
        assert ticket["party"] == "transfer"
        exchange = bridge.exchange(ticket["callId"], key=ticket["token"], party=ticket["party"])
        await second.call(exchange)
        await first.wait_ended()
        [runner] = bridge.bridge.manager.calls()
        assert [leg.leg_id for leg in runner.machine.legs.near()] == [exchange.leg_id]
        assert runner.machine.state is State.ACTIVE


async def test_only_the_invited_party_takes_over_a_call(bridge, chirp):
    call_id = await answered(chirp)
    ask = {"roomName": call_id, "participantIdentity": "agent-7"}
    assert (await chirp.post("/v1/calls/token", ask))[1]["party"] == "near"
    sent = {"callID": call_id, "sdp": offer("aiortc"), "party": "transfer"}
    assert (await chirp.post("/call/webrtc/offer", sent))[0] == 409


# More parties


async def test_a_participant_is_added_and_removed(bridge, chirp):
    call_id = await answered(chirp)
    to = {"to": f"+{ECHO}", "toChannel": "whatsapp"}
    status, added = await command(chirp, call_id, "add_participant", **to)
    assert (status, added["status"]) == (200, "queued")
    [runner] = bridge.bridge.manager.calls()
    assert added["participantId"] in {leg.leg_id for leg in runner.machine.legs.far_parties()}
    gone = {"participantId": added["participantId"]}
    assert (await command(chirp, call_id, "remove_participant", **gone))[0] == 200
    assert len(runner.machine.legs.far_parties()) == 1
    assert (await command(chirp, call_id, "remove_participant", **gone))[0] == 404


async def test_a_participant_in_a_browser_comes_with_a_token(chirp):
    to = {"to": "agent-7", "toChannel": "webrtc"}
    status, body = await command(chirp, await answered(chirp), "add_participant", **to)
    assert (status, body["field"]) == (400, "toChannel")


# Sound


async def test_a_url_is_played_and_stopped(bridge, chirp):
    call_id = await answered(chirp)
    async with music() as url:
        status, body = await command(chirp, call_id, "play_audio", audioUrl=url)
    assert status == 200
    [runner] = bridge.bridge.manager.calls()
    assert runner.leg(body["playbackId"]).kind == "playback"
    assert (await command(chirp, call_id, "stop_audio"))[0] == 200
    assert runner.leg(body["playbackId"]) is None


# Errors


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "type"),
        ({"type": "dance"}, "type"),
        ({"type": 1}, "type"),
        ({"type": "send_dtmf"}, "digits"),
        ({"type": "send_dtmf", "digits": "12x"}, "digits"),
        ({"type": "hold", "musicUrl": 1}, "musicUrl"),
        ({"type": "mute", "participantId": 1}, "participantId"),
        ({"type": "reject", "reason": "a" * 501}, "reason"),
    ],
)
async def test_a_malformed_command_is_a_400_that_names_the_field(chirp, body, field):
    call_id = await answered(chirp)
    status, answer = await chirp.post(f"/v1/calls/{call_id}/commands", body)
    assert (status, answer["field"]) == (400, field)


@pytest.mark.parametrize("kind", ["answer", "reject", "send_to_voicemail"])
async def test_an_outgoing_call_is_neither_answered_nor_rejected(chirp, kind):
    assert (await command(chirp, await created(chirp, NEVER), kind))[0] == 409


async def test_a_call_that_is_not_active_cannot_be_held(chirp):
    call_id = await created(chirp, NEVER)
    assert (await command(chirp, call_id, "hold"))[0] == 409
    assert (await command(chirp, call_id, "hold", musicUrl="http://127.0.0.1:1/"))[0] == 409


async def test_a_participant_that_is_not_there_is_a_404(chirp):
    status, _ = await command(chirp, await answered(chirp), "mute", participantId="leg_0")
    assert status == 404


@pytest.mark.parametrize("kind", [*ACTIVE_COMMANDS, "answer", "reject", "hangup", "transfer"])
async def test_an_ended_call_takes_no_command(chirp, kind):
    call_id = await answered(chirp)
    await command(chirp, call_id, "hangup")
    assert (await command(chirp, call_id, kind, to=f"+{ECHO}", toChannel="whatsapp"))[0] == 409


async def test_commands_need_a_key_and_a_call_of_its_line(chirp):
    call_id = await answered(chirp)
    assert (await command(chirp.as_(None), call_id, "hangup"))[0] == 401
    assert (await command(chirp.as_(OTHER), call_id, "hangup"))[0] == 404
    assert (await command(chirp, "call_" + "0" * 27, "hangup"))[0] == 404
    assert (await shown(chirp, call_id))["status"] == "in_progress"
