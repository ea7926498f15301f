"""Names that nobody knows: refused in native bodies, warned of in vendors' ones and among events."""

import logging

import pytest

from bridge.api.events.webhook_endpoints import NewWebhook
from bridge.api.server.fields import unknown_names
from bridge.api.server.names import MAX_LOGGED, WARNING, WarningLog, find_nearest
from bridge.call.model import LineName
from tests.support.clients.vendor import ECHO, NUMBER, OTHER, SALES, two_lines
from tests.support.inprocess import running

PUBLIC = "https://93.184.216.34/hook"
CALL = {"from": NUMBER, "to": f"+{ECHO}", "fromChannel": "whatsapp", "toChannel": "whatsapp"}
NATIVE = [
    ("POST", "/call/dial", {"phon": ECHO}, "phon", "phone"),
    ("POST", "/call/dial", {"phone": ECHO, "trancribe": "live"}, "trancribe", "transcribe"),
    ("PUT", "/call/config", {"calls_enable": True}, "calls_enable", "callsEnabled"),
    ("PUT", "/call/config", {"callinbound": "manual"}, "callinbound", "callInboundMode"),
    ("POST", "/call/play", {"callId": "X", "audiourl": PUBLIC}, "audiourl", "audioUrl"),
    ("POST", "/call/webrtc/close", {"callID": "X", "leg": "Y"}, "leg", "legID"),
    ("POST", "/webhook", {"url": PUBLIC, "evnts": []}, "evnts", "events"),
    ("POST", "/call/X/report", {"legID": "Y", "microphone": {"stat": "live"}}, "stat", "state"),
]
VENDORS = [
    ("POST", "/v1/calls", CALL | {"metdata": {}}, "metdata", "metadata"),
    ("POST", "/v1/calls", CALL | {"from_channel": "pstn"}, "from_channel", "fromChannel"),
    ("POST", "/v1/call", {"from": NUMBER, "to": ECHO, "status_calback": ""}, "status_calback", "status_callback"),
    ("POST", "/v1/call", {"from": NUMBER, "t0": ECHO}, "t0", "to"),
    ("POST", "/api/v1/sessions/sales/calls", {"to": ECHO, "tos": 1}, "tos", "to"),
    ("POST", "/call/make", {"Phone": ECHO, "Phon": 1}, "Phon", "Phone"),
    ("POST", "/call/record", {"CallID": "X", "Pth": "a.wav"}, "Pth", "Path"),
    ("POST", "/call/play", {"CallID": "X", "AudioFil": "a.wav"}, "AudioFil", "AudioFile"),
    ("POST", "/webhook", {"webhookurl": PUBLIC, "evnts": []}, "evnts", "events"),
]  # fmt: skip

DOCUMENTED = [
    ("/v1/calls", CALL | {"campaign": 7}),
    ("/call/make", {"Phone": ECHO, "Name": "Ann"}),
    ("/session/connect", {"Subscribe": ["Message", "Call"], "Immediate": True, "Phone": ""}),
    ("/v1/webhooks", {"url": PUBLIC, "events": ["calls.completed", "calls.*", "*", "All"]}),
    ("/api/v1/webhooks", {"url": PUBLIC, "events": ["call.recording.ready", "auth.qr"]}),
    ("/webhook", {"webhookurl": PUBLIC, "events": ["Call", "v1.call.unknown"], "Active": True}),
]
EVENTS = [
    ("/v1/webhooks", "calls.compleated", "calls.completed"),
    ("/api/v1/webhooks", "call.recording.redy", "call.recording.ready"),
    ("/api/v1/webhooks", "calls.completed", "call.transfer.completed"),
    ("/webhook", "v1.call.ofer", "v1.call.offer"),
    ("/webhook", "call.end*", None),
    ("/webhook", "calls.end*", "call.ended"),
]


@pytest.fixture
async def bridge():
    async with running(two_lines()) as client:
        yield client


async def ask(bridge, method, path, body, key=SALES):
    """Return the status, the answer and the warning."""
    async with bridge.http.request(method, path, json=body, headers={"token": key}) as response:
        return response.status, await response.json(), response.headers.get(WARNING)


async def test_a_native_body_with_an_unknown_field_is_refused(bridge):
    for method, path, body, name, nearest in NATIVE:
        status, answer, _ = await ask(bridge, method, path, body)
        assert (status, answer["field"]) == (400, name)
        assert answer["error"] == f"unknown field {name!r}: the nearest known is {nearest}"


async def test_a_field_that_is_nearly_a_vendors_is_warned_of_whatever_the_answer(bridge):
    for method, path, body, name, nearest in VENDORS:
        _, answer, warning = await ask(bridge, method, path, body)
        assert warning == f"unknown field {name!r}: the nearest known is {nearest}", answer


async def test_what_a_vendor_documents_and_what_is_like_nothing_is_taken_in_silence(bridge):
    for path, body in DOCUMENTED:
        status, answer, warning = await ask(bridge, "POST", path, body)
        assert (status // 100, warning) == (2, None), answer


async def test_an_unknown_event_is_warned_of_with_the_nearest(bridge):
    for path, event, nearest in EVENTS:
        _, answer, warning = await ask(bridge, "POST", path, {"url": PUBLIC, "events": [event]})
        told = f"events: unknown name {event!r}: the nearest known is {nearest}"
        assert warning == (told if nearest else None), answer


async def test_a_subscription_that_there_is_not_is_warned_of(bridge):
    _, _, warning = await ask(bridge, "POST", "/session/connect", {"Subscribe": ["Calls!"]})
    assert warning == "Subscribe: unknown name 'Calls!': the nearest known is Call"


async def test_a_warning_is_logged_once_a_line(bridge, caplog):
    caplog.set_level(logging.WARNING)
    body = {"url": PUBLIC, "events": ["once.a.line"]}
    for key in (SALES, SALES, OTHER):
        await ask(bridge, "POST", "/v1/webhooks", body, key)
    found = [one for one in caplog.records if one.getMessage() == "request.name_unknown"]
    assert [one.__dict__["line"] for one in found] == ["sales", "other"]


async def test_engine_settings_are_taken_in_snake_case_too(bridge):
    body = {"calls_enabled": True, "call_inbound_mode": "manual", "call_greeting": "Hello"}
    assert (await ask(bridge, "PUT", "/call/config", body))[0] == 200
    shown = (await ask(bridge, "GET", "/call/config", None))[1]["data"]
    assert (shown["callInboundMode"], shown["callGreeting"]) == ("manual", "Hello")


# The mechanism


def test_what_is_told_is_printable_and_short():
    found = find_nearest("phon\r\ne\u202e" + "x" * 500, ["phone"])
    assert found.text.isascii()
    assert found.text.isprintable()
    assert len(found.text) < 200


def test_of_many_unknown_names_few_are_looked_at():
    assert len(unknown_names(NewWebhook, {f"a{i}": 1 for i in range(9999)}, "Chirp")) == 20


def test_the_log_of_warnings_is_bounded():
    known = WarningLog()
    texts = [f"warning {number}" for number in range(MAX_LOGGED + 5)]
    assert sum(known.is_new(LineName("one"), text) for text in texts) == MAX_LOGGED
