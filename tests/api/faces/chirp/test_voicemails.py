"""Chirp's voicemails, as a client uses them that was written from the vendor's document alone."""

import re
from typing import Any

import msgspec
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.settings.model import Voicemail
from tests.api.faces.chirp.test_commands import accepted, command, reached
from tests.support.clients.vendor import OTHER, SALES, TALKS, Vendor, two_lines
from tests.support.inprocess import running
from tests.support.waiting import until_answer

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]

SHORT = Voicemail(max_seconds=2.0)


def with_voicemail(voicemail: Voicemail):
    chosen = two_lines()
    sales = msgspec.structs.replace(chosen.lines["sales"], voicemail=voicemail)
    return msgspec.structs.replace(chosen, lines=chosen.lines | {"sales": sales})


@pytest.fixture
async def bridge():
    async with running(with_voicemail(SHORT)) as client:
        yield client


@pytest.fixture
def chirp(bridge):
    return Vendor(bridge.http)


async def ringing(bridge, chirp) -> str:
    await bridge.post("/simulator/incoming", {"from": TALKS}, headers={"token": SALES})
    [call] = (await chirp.get("/v1/calls"))[1]["data"]
    return str(call["id"])


async def received(chirp) -> dict[str, Any]:
    async def asked() -> dict[str, Any] | None:
        body = (await chirp.get("/v1/calls/voicemails"))[1]
        return body["data"][0] if body["totalCount"] else None

    return await until_answer(asked) or {}


async def left(bridge, chirp) -> dict[str, Any]:
    """Let a caller leave a message."""
    await accepted(chirp, await ringing(bridge, chirp), "send_to_voicemail")
    return await received(chirp)


async def asked(bridge, method: str, voicemail_id: str, key: str = SALES, **more: Any):
    headers = {"Authorization": f"Bearer {key}"}
    path = f"/v1/calls/voicemails/{voicemail_id}"
    async with bridge.http.request(method, path, headers=headers, **more) as answer:
        return answer.status, await answer.json()


async def test_a_caller_sent_to_voicemail_leaves_a_message(bridge, chirp):
    call_id = await ringing(bridge, chirp)
    await accepted(chirp, call_id, "send_to_voicemail")
    await reached(chirp, call_id, "voicemail")
    listed = (await chirp.get("/v1/calls"))[1]["data"]
    assert [call["status"] for call in listed] == ["voicemail"]
    voicemail = await received(chirp)
    assert re.fullmatch("call_vm_[a-zA-Z0-9]{27}", voicemail["id"])
    assert voicemail["callId"] == call_id
    assert (voicemail["callerNumber"], voicemail["callerChannel"]) == (f"+{TALKS}", "whatsapp")
    assert (voicemail["isRead"], voicemail["transcription"]) == (False, None)
    assert voicemail["duration"] in (1, 2, 3)
    recording = (await chirp.get(f"/v1/calls/recordings/{voicemail['recordingId']}"))[1]
    assert (recording["callId"], recording["kind"]) == (call_id, "inbound")
    call = await reached(chirp, call_id, "completed")
    assert call["endReason"] == "hangup"


async def test_a_message_is_heard_by_its_link_read_and_deleted(bridge, chirp):
    voicemail = await left(bridge, chirp)
    identity = voicemail["id"]
    path = "/" + voicemail["fileUrl"].split("/", 3)[3]
    async with bridge.http.get(path) as answer:
        assert len(parse_wav(await answer.read()).pcm) > 32_000
    status, body = await asked(bridge, "PATCH", identity, json={"isRead": True})
    assert (status, body["isRead"]) == (200, True)
    assert (await asked(bridge, "GET", identity))[1]["isRead"] is True
    assert await asked(bridge, "DELETE", identity) == (200, {"message": "Voicemail deleted"})
    assert (await asked(bridge, "GET", identity))[0] == 404
    assert (await chirp.get("/v1/calls/voicemails"))[1] == {"data": [], "totalCount": 0}


async def test_another_line_has_none_of_it(bridge, chirp):
    identity = (await left(bridge, chirp))["id"]
    for method, more in (("GET", {}), ("PATCH", {"json": {"isRead": True}}), ("DELETE", {})):
        status, body = await asked(bridge, method, identity, OTHER, **more)
        assert (status, set(body)) == (404, {"error"})
    assert (await asked(bridge, "GET", identity))[1]["isRead"] is False


async def test_a_call_that_was_answered_is_not_sent_to_voicemail(bridge, chirp):
    call_id = await ringing(bridge, chirp)
    await accepted(chirp, call_id, "answer")
    assert (await command(chirp, call_id, "send_to_voicemail"))[0] == 409
