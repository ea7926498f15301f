"""No face shows or touches another line's call: every route that names one, asked with another key."""

import re
from typing import Any

import pytest

from bridge.api.openapi import OPERATIONS, document
from bridge.wire import call_id as forms
from tests.support.clients.vendor import NEVER, OTHER, SALES, TEST, two_lines
from tests.support.inprocess import running

pytestmark = pytest.mark.usefixtures("nodes")

CALL = re.compile(r"\{(callId|call_id|uuid)\}")
IDS = ("callId", "callID", "CallID", "call_id", "roomName")
ANYTHING: dict[object, object] = {
    None: "1",
    "string": "1",
    "boolean": True,
    "integer": 60,
    "object": {},
    "array": [],
}


def takes(method: str, path: str) -> dict[str, Any] | None:
    """The schema of an operation's body; None if it has none."""
    body = document()["paths"][path][method.lower()].get("requestBody")
    if body is None:
        return None
    [content] = body["content"].values()
    schema = content["schema"]
    while found := schema.get("anyOf", [schema])[-1].get("$ref"):
        schema = document()["components"]["schemas"][found.rpartition("/")[2]]
    return dict(schema)


def names_a_call(method: str, path: str) -> bool:
    fields = (takes(method, path) or {}).get("properties", {})
    return bool(CALL.search(path)) or any(name in fields for name in IDS)


ABOUT_CALLS = [key for key in OPERATIONS if names_a_call(*key)]
SESSIONS = {SALES: "sales", TEST: "sales:test", OTHER: "other"}
LISTS = [
    "/call/status",
    "/call/list",
    "/api/v1/sessions/{sessionId}/calls",
    "/v1/calls",
    "/v1/call",
]


def filled(method: str, path: str, call_id: str) -> dict[str, object] | None:
    """A body that names the call and has something in every other required field."""
    schema = takes(method, path)
    if schema is None:
        return None
    body: dict[str, object] = {}
    for name, field in schema.get("properties", {}).items():
        if name in IDS:
            body[name] = call_id
        elif name in schema.get("required", ()):
            body[name] = (field.get("enum") or [ANYTHING[field.get("type")]])[0]
    summary = document()["paths"][path][method.lower()]["summary"]
    return body | BODIES.get(summary, {})


BODIES: dict[str, dict[str, object]] = {
    "Perform a command of a live call.": {"type": "hangup"},
    "Send digits to the far party.": {"digits": "1"},
    "Play WAV, MP3, Ogg, FLAC, AAC, AIFF, AMR, MP4 or WebM sound into a call.": {
        "audioBase64": "AAAA"
    },
    "Stream an answered call: one two-way and five one-way streams at most.": {
        "stream_url": "wss://stream.example/"
    },
    "Call a number; once it is connected it takes the place of all near parties.": {"to": NEVER},
}
"""What those routes want beside a call, whose first look at their body is not at the call."""


def test_every_face_has_routes_about_calls():
    faces = {OPERATIONS[key].face for key in ABOUT_CALLS}
    assert {"Native", "WebRTC", "WaGo", "ZuckZapGo", "WADial", "Chirp", "Wavix"} <= faces
    assert len(ABOUT_CALLS) > 50


@pytest.mark.parametrize(
    ("owner", "asker", "spelt"),
    [
        (SALES, OTHER, str),
        (SALES, OTHER, forms.chirp),
        (SALES, OTHER, forms.wavix),
        # A line's test keys and its live ones are strangers to each other.
        (TEST, SALES, str),
        (SALES, TEST, forms.chirp),
    ],
)
async def test_another_lines_call_is_untouchable_on_every_route(owner, asker, spelt):
    async with running(two_lines()) as client:
        dialled = await client.post("/call/dial", {"phone": NEVER}, headers={"token": owner})
        native = str((await dialled.json())["data"]["callId"])
        shown = spelt(native)
        reached = {}
        for method, path in ABOUT_CALLS:
            where = CALL.sub(shown, path).replace("{sessionId}", SESSIONS[asker])
            where = re.sub(r"\{\w+\}", "0" * 32, where)
            body = filled(method, path, shown)
            sent: Any = {} if body is None else {"json": body}
            async with client.http.request(
                method, where, headers={"token": asker}, **sent
            ) as response:
                text = await response.text()
                leaked = native in text.replace("-", "").upper()
                if leaked or response.status not in (404, 501):
                    reached[method, path] = (response.status, text[:200])
        assert reached == {}
        [runner] = client.bridge.manager.calls()
        assert (runner.machine.state, len(runner.legs())) == ("ringing", 1)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("owner", "asker"), [(SALES, OTHER), (TEST, SALES), (SALES, TEST)])
async def test_another_lines_call_is_in_no_list(path, owner, asker):
    async with running(two_lines()) as client:
        await client.post("/call/dial", {"phone": NEVER}, headers={"token": owner})
        where = path.replace("{sessionId}", SESSIONS[asker])
        response = await client.get(where, headers={"token": asker})
        assert response.status == 200
        assert NEVER not in await response.text()
