"""Voicemails over the native routes, and what else shows them."""

import msgspec
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.audio.tone import tone
from bridge.settings.model import Data, Line, Voicemail
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.sound.wav import wav_file
from tests.support.two_nodes import nodes as nodes
from tests.support.waiting import until_answer

TALKS = "15550100002"
pytestmark = pytest.mark.usefixtures("nodes")


def with_voicemail(folder, **voicemail):
    line = Line(keys=["demo"], voicemail=Voicemail(**({"max_seconds": 1.0} | voicemail)))
    return msgspec.structs.replace(settings(lines={"demo": line}), data=Data(dir=str(folder)))


@pytest.fixture
async def client(tmp_path):
    async with running(with_voicemail(tmp_path, min_seconds=0.2)) as client:
        yield client


async def rung(client) -> str:
    return str((await client.data("/simulator/incoming", {"from": TALKS}))["callId"])


async def listed(client, query: str = ""):
    return (await (await client.get(f"/voicemails{query}")).json())["data"]


async def received(client):
    async def asked():
        return (await listed(client))["voicemails"]

    [voicemail] = await until_answer(asked)
    return voicemail


async def left(client):
    """Let a caller leave a message."""
    call_id = await rung(client)
    await client.data("/call/voicemail", {"callId": call_id})
    voicemail = await received(client)
    assert voicemail["callId"] == call_id
    return voicemail


@pytest.mark.virtual_time
async def test_a_message_is_announced_listed_heard_read_and_deleted(client):
    call_id = await rung(client)
    async with listening(client, f"/call/{call_id}/events") as stream:
        await client.data("/call/voicemail", {"callId": call_id})
        event = await stream.until_type("voicemail.received")
    voicemail = await received(client)
    assert event["data"]["voicemailId"] == voicemail["voicemailId"] == call_id
    assert (voicemail["from"], voicemail["channel"]) == ("+15550100002", "whatsapp")
    assert voicemail["durationMs"] == pytest.approx(1000, abs=300)
    with_key = await client.get(voicemail["url"])
    path = "/" + voicemail["fileUrl"].split("/", 3)[3]
    linked = await client.get(path, headers={})
    assert await with_key.read() == await linked.read()
    pcm = parse_wav(await (await client.get(voicemail["url"])).read()).pcm
    assert len(pcm) > 16_000

    shown = f"/voicemails/{call_id}"
    answer = await client.http.patch(shown, json={"isRead": True}, headers={"token": "demo"})
    assert (await answer.json())["data"]["isRead"] is True
    assert (await listed(client, "?unread=true"))["totalCount"] == 0
    assert (await listed(client))["totalCount"] == 1
    assert (await client.http.delete(shown, headers={"token": "demo"})).status == 200
    assert (await client.get(shown)).status == 404
    assert (await client.get(voicemail["url"])).status == 404


@pytest.mark.virtual_time
async def test_the_call_shows_its_voicemail_and_erasing_it_erases_both(client):
    voicemail = await left(client)
    call_id = voicemail["callId"]

    async def ended():
        call = (await (await client.get(f"/calls/{call_id}")).json())["data"]
        return call if call["state"] == "ended" else None

    call = await until_answer(ended)
    assert call["sentToVoicemail"] is True
    assert call["voicemail"]["recordingId"] == voicemail["recordingId"]
    assert "voicemail" in [leg["kind"] for leg in call["legs"]]
    assert (await client.http.delete(f"/calls/{call_id}", headers={"token": "demo"})).status == 200
    assert await listed(client) == {"voicemails": [], "totalCount": 0}


@pytest.mark.virtual_time
async def test_a_line_in_the_mode_voicemail_takes_messages_of_all_callers(client):
    body = {"callInboundMode": "voicemail"}
    await client.http.put("/call/config", json=body, headers={"token": "demo"})
    await client.post("/session/connect", {})
    call_id = await rung(client)
    assert (await received(client))["callId"] == call_id


async def test_a_call_that_does_not_ring_is_not_sent_to_voicemail(client):
    call_id = await client.dial(TALKS)
    await client.until_state(call_id, "active")
    answer = await client.post("/call/voicemail", {"callId": call_id})
    assert answer.status == 409
    assert (await client.post("/call/voicemail", {"callId": "00" * 16})).status == 404


@pytest.mark.parametrize("body", [{}, {"isRead": "perhaps"}, {"isRead": 3}])
async def test_a_voicemail_is_either_read_or_not(client, body):
    path = f"/voicemails/{'00' * 16}"
    answer = await client.http.patch(path, json=body, headers={"token": "demo"})
    assert answer.status == 400


@pytest.mark.parametrize("identity", ["00" * 16, "nothing", "call_vm_0000000oOwL8hkdJmrOl2WvQMHg"])
async def test_a_voicemail_that_nobody_left_is_not_found(client, identity):
    assert (await client.get(f"/voicemails/{identity}")).status == 404


async def test_a_file_is_played_as_the_greeting(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "hello.wav").write_bytes(wav_file(tone(440.0, 0.3)))
    async with running(with_voicemail(tmp_path, greeting="hello.wav", min_seconds=0.2)) as client:
        call_id = await rung(client)
        async with listening(client, f"/call/{call_id}/events") as stream:
            await client.data("/call/voicemail", {"callId": call_id})
            played = await stream.until_type("playback.completed")
            assert played["data"]["status"] == "completed"
            await stream.until_type("voicemail.received")
