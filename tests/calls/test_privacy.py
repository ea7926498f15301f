"""What a call leaves in the log: enough to follow it, and no secret, number or description."""

import asyncio
import base64
import json
import logging
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bridge.log import JsonFormatter
from tests.support import server
from tests.support.packets.offers import offer
from tests.support.peers.bridge_peer import talk_until_heard, value
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange, SignallingError
from tests.support.sound.sound_files import wav_claiming
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

KEY = "canary-key-7f3a"
WRONG_KEY = "canary-wrong-key-91c2"
NUMBER = "15550100001"
UNREACHABLE = "15550109876"
DIGITS = "4711#42"
DEAD_URL = "ws://user:canary-password@127.0.0.1:9/?key=canary-stream-key"

# The bridge is a process of its own.
pytestmark = [pytest.mark.call, one_node_only]


@asynccontextmanager
async def logging_bridge(folder, style):
    """A bridge of its own that logs all it can."""
    with server.running(
        folder,
        key=KEY,
        LINES__MAIN__KEYS=json.dumps([KEY]),
        LOG__LEVEL="debug",
        LOG__FORMAT=style,
        SIMULATOR__RING_SECONDS="0",
        NET__ALLOW='["127.0.0.0/8"]',
    ) as bridge:
        yield bridge


def send_nonsense(port: int) -> None:
    """Requests that cannot be read, each with a key in the place that is wrong."""
    for request in (
        f"GET /call/status HTTP/1.1\r\nHost: localhost\r\ntoken {WRONG_KEY}\r\n\r\n",
        f"GET /call/status HTTP/1.1\r\nHost: localhost\r\ntoken: {WRONG_KEY}{'x' * 20_000}\r\n\r\n",
        f"GET /\x00?token={WRONG_KEY} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"{WRONG_KEY} nonsense\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request.encode())
            connection.recv(4096)


async def a_whole_call(bridge) -> list[str]:
    """Place a call, do what can be done in it, and much that cannot; gives what must stay secret."""
    secrets = [KEY, WRONG_KEY, NUMBER, UNREACHABLE, DIGITS, "canary-password", "canary-stream-key"]
    keyed = {"token": KEY}
    async with aiohttp.ClientSession(bridge.url) as http, LightPeer() as browser:

        async def post(path, body, **more):
            async with http.post(path, json=body, **({"headers": keyed} | more)) as response:
                return await response.json()

        call_id = (await post("/call/dial", {"phone": NUMBER}))["data"]["callId"]
        exchange = HttpExchange(http.post, "", call_id=call_id, key=KEY)
        sdp = await browser.offer()
        answer = await exchange(sdp)
        secrets += [
            value(text, name) for text in (sdp, answer) for name in ("ice-ufrag", "ice-pwd")
        ]
        secrets += [value(text, "fingerprint").split()[1] for text in (sdp, answer)]
        await browser.accept(answer)
        await talk_until_heard(browser)
        await post("/call/dtmf", {"callId": call_id, "digits": DIGITS})
        await browser.send_digit("7")
        again = await exchange(sdp)
        secrets.append(value(again, "ice-pwd"))
        await post("/call/mute", {"callId": call_id, "muted": True})
        await post("/call/record/start", {"callId": call_id})
        sound = base64.b64encode(wav_claiming()).decode()
        await post("/call/play", {"callId": call_id, "audioBase64": sound})
        order = {"stream_url": DEAD_URL, "stream_type": "oneway", "stream_channel": "inbound"}
        started = await post(f"/v1/call/{call_id}/streams", order)
        assert started["success"] is True
        await until(lambda: "stream.unreachable" in bridge.log(), timeout=20)
        await post("/call/record/stop", {"callId": call_id})
        # What goes wrong is where secrets slip out.
        await post("/call/dial", {"phone": UNREACHABLE})
        await post("/call/dial", {"phone": NUMBER}, headers={"token": WRONG_KEY})
        await post(
            "/call/dial", {"phone": NUMBER}, headers={"Authorization": f"Bearer {WRONG_KEY}"}
        )
        async with http.get(f"/call/status?token={WRONG_KEY}"):
            pass
        with pytest.raises(SignallingError):
            await HttpExchange(http.post, "", call_id=call_id, key=KEY)(offer("no_opus"))
        await asyncio.to_thread(send_nonsense, bridge.port)
        await post("/call/hangup", {"callId": call_id})
        await browser.wait_closed()
    return secrets


STEPS = (
    "simulator.ringing",
    "simulator.answered",
    "stream.dialled",
    "stream.retry",
    "stream.unreachable",
)
EVENTS = (
    "call.initiated", "call.ringing", "call.answered", "call.active", "call.muted", "call.ended",
    "leg.joined", "leg.left", "recording.started", "recording.ready", "playback.started",
    "stream.ended", "digit.received",
)  # fmt: skip


@pytest.mark.real_time  # its bridge is another process
async def test_neither_keys_nor_numbers_nor_passwords_nor_digits_are_logged(tmp_path):
    async with logging_bridge(tmp_path, "text") as bridge:
        secrets = await a_whole_call(bridge)
    log = bridge.log()
    assert [secret for secret in secrets if secret in log] == []
    assert "a=ice-" not in log
    assert "Traceback" not in log
    for event in ("call.started", "leg.connected", "leg.reoffered", "call.ended"):
        assert event in log
    for step in STEPS:
        assert step in log, step
    for kind in EVENTS:
        assert f"type={kind}" in log, kind


@pytest.mark.real_time  # its bridge is another process
async def test_in_json_every_event_is_one_line_that_says_which_call(tmp_path):
    async with logging_bridge(tmp_path, "json") as bridge:
        secrets = await a_whole_call(bridge)
    log = bridge.log()
    assert [secret for secret in secrets if secret in log] == []
    events = [json.loads(line) for line in log.splitlines()]
    assert all({"time", "level", "event"} <= event.keys() for event in events)
    by_name = {event["event"]: event for event in events}
    call = by_name["call.started"]["call"]
    others = {event["call"] for event in events if "call" in event} - {call}
    assert len(others) == 1  # the dial that the provider refuses
    assert by_name["leg.connected"]["leg"].startswith("leg_")
    assert by_name["leg.connected"]["call"] == call
    assert by_name["call.ended"]["reason"] == "hangup"


def test_an_error_with_several_lines_is_one_line_of_json():
    record = logging.LogRecord("x", logging.ERROR, "", 0, "leg.failed", (), None)
    try:
        raise ValueError("one\ntwo")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "one\ntwo" in json.loads(line)["error"]
