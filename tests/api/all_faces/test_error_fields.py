"""Errors name the field that is wrong, in every face and as its caller spelt it."""

import base64

import pytest
from aiohttp import FormData

from tests.support.inprocess import KEY

pytestmark = pytest.mark.usefixtures("nodes")

SILENT = "15550100008"
BLOCKED, BLOCKED_SOCKET = "http://127.0.0.1:9/a.wav", "ws://127.0.0.1:9/"
NO_SOUND = base64.b64encode(b"#EXTM3U\n").decode()
ONE = {"from": "+15550109000", "to": "+15550100008"}
STREAM = {"stream_type": "oneway", "stream_channel": "both"}
CALL = {"callId": "CALL"}
WRONG = [
    # blocked addresses and what is no URL
    ("POST", "/call/play", CALL | {"audioUrl": BLOCKED}, 422, "audioUrl"),
    ("POST", "/call/play", CALL | {"audioUrl": "http://"}, 400, "audioUrl"),
    ("POST", "/webhook", {"WebhookURL": BLOCKED}, 422, "WebhookURL"),
    ("POST", "/webhook", {"webhookurl": BLOCKED}, 422, "webhookurl"),
    ("POST", "/webhook", {"url": BLOCKED}, 422, "url"),
    ("POST", "/webhook", {"url": "x"}, 400, "url"),
    ("PUT", "/call/config", {"callSttUrl": "http://"}, 400, "callSttUrl"),
    ("POST", "/api/v1/webhooks", {"url": BLOCKED}, 422, "url"),
    ("POST", "/v1/webhooks", {"url": BLOCKED, "events": []}, 422, "url"),
    ("POST", "/v1/call", ONE | {"callback_url": BLOCKED}, 422, "callback_url"),
    ("POST", "/v1/call", ONE | {"status_callback": BLOCKED}, 422, "status_callback"),
    ("POST", "/v1/call", ONE | {"status_callback": "x"}, 400, "status_callback"),
    ("POST", "/v1/call/CALL/streams", STREAM | {"stream_url": BLOCKED_SOCKET}, 422, "stream_url"),
    ("POST", "/v1/call/CALL/streams", STREAM | {"stream_url": "ftp://x"}, 400, "stream_url"),
    ("POST", "/v1/call/CALL/play", {"audio_file": BLOCKED}, 422, "audio_file"),
    ("POST", "/v1/call/CALL/collect", {"prompt": {"play": BLOCKED}}, 422, "play"),
    ("POST", "/v1/call/CALL/collect", {"callback_url": BLOCKED}, 422, "callback_url"),
    ("POST", "/v1/call/webhooks", {"url": BLOCKED, "event_type": "on-call"}, 422, "url"),
    ("PUT", "/v1/mydids/15550109000", {"call_status_url": BLOCKED}, 422, "call_status_url"),
    ("POST", "/v1/calls/CALL/commands", {"type": "hold", "musicUrl": BLOCKED}, 422, "musicUrl"),
    (
        "POST", "/v1/calls/CALL/commands",
        {"type": "play_audio", "audioUrl": BLOCKED}, 422, "audioUrl",
    ),
    # what is no sound, no description, or nothing that there is
    ("POST", "/call/play", CALL | {"audioBase64": NO_SOUND}, 400, "audioBase64"),
    ("POST", "/call/play", CALL | {"assetId": "asset_none"}, 404, "assetId"),
    ("POST", "/call/play", {"CallID": "CALL", "AudioFile": "none.wav"}, 404, "AudioFile"),
    ("POST", "/call/play/stop", CALL | {"playbackId": "none"}, 404, "playbackId"),
    ("POST", "/call/webrtc/offer", {"callID": "CALL", "type": "offer", "sdp": "x"}, 400, "sdp"),
    ("POST", "/api/v1/sessions/demo/calls/CALL/audio/play", {"assetId": "x"}, 404, "assetId"),
    # words that there are not
    ("POST", "/call/play", CALL | {"assetId": "x", "hear": "me"}, 400, "hear"),
    ("POST", "/call/record", {"CallID": "CALL", "Path": "../x.wav"}, 400, "Path"),
    ("POST", "/call/dial", {"phone": "abc"}, 400, "phone"),
    ("POST", "/call/make", {"Phone": "abc"}, 400, "Phone"),
    ("PUT", "/call/config", {"callInboundMode": "x"}, 400, "callInboundMode"),
    ("POST", "/api/v1/sessions/demo/calls", {"to": "x"}, 400, "to"),
    ("POST", "/api/v1/sessions/demo/calls/CALL/mute", {"muted": "x"}, 400, "muted"),
    ("POST", "/v1/calls/CALL/commands", {"type": "x"}, 400, "type"),
    ("POST", "/v1/calls/CALL/commands", {"type": "send_dtmf", "digits": "x"}, 400, "digits"),
    ("POST", "/v1/call/CALL/transfer", {"to": "x"}, 400, "to"),
    ("GET", "/call/CALL/quality?since=x", None, 400, "since"),
    ("GET", "/events/dead?limit=x", None, 400, "limit"),
]  # fmt: skip


def named(told):
    """The field that an error names, in whichever envelope."""
    if isinstance(told.get("error"), dict):
        return told["error"].get("field")
    if "errors" in told:
        [field] = told["errors"]
        return field
    return told.get("field")


@pytest.fixture
async def call_id(client):
    return await client.dial(SILENT)


def put_in(value, call_id):
    if isinstance(value, dict):
        return {name: put_in(inner, call_id) for name, inner in value.items()}
    return value.replace("CALL", call_id) if isinstance(value, str) else value


async def test_an_error_names_the_field_as_its_caller_spelt_it(client, call_id):
    found, expected = [], []
    for method, path, body, status, field in WRONG:
        answer = await client.http.request(
            method,
            put_in(path, call_id),
            json=put_in(body, call_id),
            headers={"Authorization": "Bearer demo"},
        )
        found.append((path, field, answer.status, named(await answer.json())))
        expected.append((path, field, status, field))
    assert found == expected


@pytest.mark.parametrize("content", [b"", b"#EXTM3U\n"])
async def test_an_upload_that_is_no_sound_names_its_field(client, content):
    form = FormData()
    form.add_field("audio", content, filename="a")
    answer = await client.http.post("/api/v1/call-audio-assets", data=form, headers=KEY)
    assert (answer.status, named(await answer.json())) == (400, "audio")
