"""Errors name a field as the caller spelt it, in every face."""

import pytest

from bridge.settings.model import Net
from tests.support.clients.vendor import ECHO, NUMBER, SALES, two_lines
from tests.support.inprocess import running
from tests.support.waiting import until


@pytest.fixture
async def bridge():
    async with running(two_lines(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


CALL = object()
"""Stands for the id of an answered call."""

WRONG: list[tuple[str, str, dict[str, object]]] = [
    ("POST", "/v1/call", {"from": NUMBER, "to": ECHO, "status_callback": "ftp://x"}),
    ("POST", "/v1/call", {"from": NUMBER, "to": ECHO, "callback_url": "ftp://x"}),
    ("POST", "/v1/call", {"from": NUMBER, "to": ECHO, "recording": "yes"}),
    ("POST", "/v1/call/{call}/play", {"audio_file": "http://127.0.0.1:9/", "timeout_before_playing": -1}),
    ("POST", "/v1/call/{call}/play", {"audio_file": "http://127.0.0.1:9/a.wav"}),
    ("POST", "/v1/call/{call}/collect", {"audio": {"url": "ftp://x"}}),
    ("POST", "/v1/call/{call}/collect", {"prompt": {"play": "ftp://x"}}),
    ("POST", "/call/play", {"CallID": CALL}),
    ("POST", "/call/play", {"AudioFile": "a.wav"}),
    ("POST", "/call/play", {"CallID": CALL, "AudioFile": "../a.wav"}),
    ("POST", "/call/play", {"callId": CALL}),
    ("POST", "/call/play", {"callId": CALL, "audioBase64": "AAAA"}),
    ("POST", "/call/play", {"callId": CALL, "audioUrl": "http://127.0.0.1:9/a.wav"}),
    ("POST", "/call/record", {"Path": "a.wav"}),
    ("POST", "/call/make", {"Phone": "nobody"}),
    ("POST", "/call/make", {}),
    ("POST", "/call/dial", {"phone": "nobody"}),
    ("POST", "/call/dial", {"Phone": "group@g.us"}),
    ("POST", "/call/dtmf", {"callId": CALL, "Digits": "x"}),
    ("POST", "/call/mute", {"callId": CALL, "Muted": "x"}),
    ("POST", "/call/webrtc/offer", {"sdp": "v=0"}),
    ("POST", "/call/webrtc/offer", {"callID": CALL, "SDP": ""}),
    ("POST", "/webhook", {"WebhookURL": "ftp://x"}),
    ("POST", "/webhook", {"url": "http://127.0.0.1/", "Format": "xml"}),
    ("POST", "/webhook", {"url": "http://127.0.0.1/", "Subscribe": [1]}),
    ("POST", "/simulator/incoming", {"From": "x"}),
]  # fmt: skip
EXPECTED = [
    "status_callback", "callback_url", "recording", "timeout_before_playing", "audio_file", "url",
    "play", "AudioFile", "CallID", "AudioFile", "audioUrl", "audioBase64", "audioUrl", "CallID",
    "Phone", "Phone", "phone", "Phone", "Digits", "Muted", "callID", "SDP", "WebhookURL", "Format",
    "Subscribe", "From",
]  # fmt: skip


async def test_a_wrong_or_missing_field_is_named_as_it_was_spelt(bridge):
    headers = {"token": SALES}
    dialled = await bridge.post("/call/dial", {"phone": ECHO}, headers=headers)
    call_id = (await dialled.json())["data"]["callId"]
    await until(lambda: all(run.machine.state == "active" for run in bridge.bridge.manager.calls()))
    named = []
    for method, path, body in WRONG:
        sent = {name: call_id if value is CALL else value for name, value in body.items()}
        where = path.replace("{call}", call_id)
        async with bridge.http.request(method, where, json=sent, headers=headers) as response:
            answer = await response.json()
            assert response.status == 400, (path, body, answer)
        named.append(next(iter(answer.get("errors") or [answer.get("field")])))
    assert named == EXPECTED
