"""The media sockets, spoken to by `websockets` from the vendors' documents alone."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.settings.model import Http
from tests.support.clients.pcm_client import pcm_client, url_of
from tests.support.inprocess import KEY, running, settings
from tests.support.waiting import until, until_answer

ECHO, NEVER, BUSY, HANGS_UP, SILENT = (f"1555010000{n}" for n in (1, 3, 4, 7, 8))

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]


def stream(call_id: str, token: str = "demo", more: str = "") -> str:
    return f"/call/{call_id}/stream?token={token}{more}"


def media(call_id: str) -> str:
    return f"/api/v1/sessions/demo/calls/{call_id}/media"


BEARER = {"Authorization": "Bearer demo"}


async def refusal(client, path: str, **more) -> int:
    """The status with which an upgrade is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url_of(client.http, path), **more):
            pass
    return refused.value.response.status_code


async def flood(socket) -> None:
    """Speak all the time, as a microphone does."""
    while socket.code is None:
        await socket.send(bytes(1920))
        await asyncio.sleep(0.01)


async def test_a_bad_key_is_refused_before_the_upgrade(client):
    call_id = await client.dial(SILENT)
    assert await refusal(client, stream(call_id, "wrong")) == 401
    assert await refusal(client, f"/call/{call_id}/stream") == 401
    assert await refusal(client, media(call_id)) == 401


async def test_a_call_that_is_not_live_is_refused_before_the_upgrade(client):
    assert await refusal(client, stream("0" * 32)) == 404
    assert await refusal(client, stream("nonsense")) == 404
    call_id = await client.dial(SILENT)
    await client.data("/call/hangup", {"callId": call_id})
    assert await refusal(client, stream(call_id)) == 404
    assert await refusal(client, media(call_id), additional_headers=BEARER) == 404


async def test_a_line_that_is_switched_off_refuses_the_socket(client):
    call_id = await client.dial(SILENT)
    await client.data("/session/disconnect", {})
    assert await refusal(client, stream(call_id)) == 409


async def test_a_page_of_another_origin_is_refused():
    async with running() as client:
        call_id = await client.dial(SILENT)
        path = stream(call_id)
        assert await refusal(client, path, origin="https://evil.example") == 403


async def test_a_page_of_an_allowed_origin_with_a_ticket_is_let_in():
    allowed = settings(http=Http(cors_origins=["https://app.example"]))
    async with running(allowed) as client:
        call_id = await client.dial(SILENT)
        ticket = await client.data(f"/call/{call_id}/ticket", {})
        path = stream(call_id, ticket["ticket"])
        async with pcm_client(client.http, path, origin="https://app.example") as socket:
            await until(lambda: socket.sound)


async def test_a_ticket_of_another_call_is_refused(client):
    call_id, other = await client.dial(SILENT), await client.dial(SILENT)
    ticket = (await client.data(f"/call/{other}/ticket", {}))["ticket"]
    assert await refusal(client, stream(call_id, ticket)) == 403


async def test_a_request_without_an_upgrade_is_told_so(client):
    call_id = await client.dial(SILENT)
    response = await client.get(f"/call/{call_id}/stream")
    assert response.status == 400


@pytest.mark.parametrize(
    "query",
    [
        "&encoding=mp3",
        "&sampleRate=44100",
        "&frameMs=9",
        "&frameMs=",
        "&frameMs=201",
        "&bufferMs=39",
    ],
)
async def test_a_form_that_there_is_not_is_refused(client, query):
    call_id = await client.dial(SILENT)
    assert await refusal(client, stream(call_id, more=query)) == 400


async def test_a_call_id_in_any_spelling_is_understood(client):
    call_id = await client.dial(SILENT)
    encoded = "".join(f"%{ord(digit):02x}" for digit in call_id)
    async with pcm_client(client.http, stream(encoded)) as socket:
        await until(lambda: socket.sound)


async def ring(client) -> str:
    """Have a contact ring the line; gives the call."""
    response = await client.post("/simulator/incoming", {"from": ECHO})
    return str((await response.json())["data"]["callId"])


async def test_before_the_answer_no_frame_comes(client):
    call_id = await ring(client)
    async with (
        pcm_client(client.http, stream(call_id)) as one,
        pcm_client(client.http, media(call_id), additional_headers=BEARER) as other,
    ):
        await until(lambda: other.of("call_state"))
        await asyncio.sleep(0.3)  # five frames' time
        assert one.sound == other.sound == []
        assert await client.state(call_id) == "ringing"
        await client.data("/call/answer", {"callId": call_id})
        await until(lambda: len(one.sound) > 2 and len(other.sound) > 2)
    assert {len(message) for message in one.sound} == {1920}
    assert other.of("call_state")[-1]["call"]["state"] == "active"
    assert one.texts == []


async def test_a_call_that_is_never_answered_sends_no_frame(client):
    call_id = await client.dial(NEVER)
    async with pcm_client(client.http, stream(call_id)) as socket:
        await asyncio.sleep(0.3)  # five frames' time
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: socket.code)
    assert socket.sound == []


async def test_frames_come_every_60_ms(client):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, stream(call_id)) as socket:
        await until(lambda: len(socket.sound) >= 20)
    seconds = socket.times[19] - socket.times[0]
    assert seconds == pytest.approx(19 * 0.06, abs=0.15)


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("&frameMs=20", 640),
        ("&frameMs=35", 1120),
        ("&sampleRate=24000&frameMs=20", 960),
        ("&encoding=mulaw&sampleRate=8000&frameMs=20", 160),
        ("&encoding=f32le&sampleRate=48000", 48 * 60 * 4),
    ],
)
async def test_a_route_gives_the_form_that_was_asked_for(client, query, size):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, stream(call_id, more=query)) as socket:
        await until(lambda: len(socket.sound) >= 3)
    assert {len(message) for message in socket.sound} == {size}


async def test_of_a_live_microphone_only_as_much_waits_as_was_asked_for(client):
    path = media(await client.dial(SILENT)) + "?bufferMs=200"
    async with pcm_client(client.http, path, additional_headers=BEARER) as socket:
        await until(lambda: socket.sound)
        await socket.send(bytes(2 * 16_000 * 4))
        await until(lambda: socket.of("buffer") and socket.of("buffer")[-1]["bufferedMs"] == 0)
    assert max(told["bufferedMs"] for told in socket.of("buffer")) <= 200


async def test_text_is_ignored(client):
    call_id = await client.dial(ECHO)
    async with pcm_client(client.http, stream(call_id)) as socket:
        for text in ("", "hello", '{"type":"clear"}', "\0", "{" * 10_000):
            await socket.send(text)
        await until(lambda: len(socket.sound) >= 5)
    assert socket.texts == []


async def test_the_socket_closes_with_1000_when_the_call_is_hung_up(client):
    call_id = await client.dial(ECHO)
    async with pcm_client(client.http, stream(call_id)) as socket:
        await until(lambda: socket.sound)
        speaking = asyncio.create_task(flood(socket))
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: socket.code, timeout=1.0)
        await asyncio.wait([speaking])
    assert socket.code == 1000


async def test_the_socket_closes_with_1000_when_the_contact_hangs_up(client):
    call_id = await client.dial(HANGS_UP)
    async with pcm_client(client.http, stream(call_id)) as socket:
        await until(lambda: socket.code)
        assert await client.state(call_id) == "gone"
    assert socket.code == 1000


async def test_a_socket_that_is_closed_leaves_the_call_alone(client):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, stream(call_id)) as socket:
        await until(lambda: socket.sound)

    async def left() -> bool:
        legs = (await client.quality(call_id))["legs"]
        return "socket" not in [leg["kind"] for leg in legs if leg["road"]]

    await until_answer(left)
    assert await client.state(call_id) == "active"


async def test_wadial_says_how_the_sound_is_written_and_how_the_call_stands(client):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, media(call_id), additional_headers=BEARER) as socket:
        await until(lambda: len(socket.sound) >= 3)
    assert socket.texts[0] == {
        "type": "ready",
        "media": {
            "direction": "bidirectional",
            "encoding": "Float32LE",
            "sampleRate": 16000,
            "channels": 1,
        },
    }
    [state] = socket.of("call_state")
    assert (state["call"]["callId"], state["call"]["state"]) == (call_id, "active")
    assert {len(message) for message in socket.sound} == {1280}


async def test_wadial_tells_every_change_of_the_call_and_its_end(client):
    call_id = await ring(client)
    async with pcm_client(client.http, media(call_id), additional_headers=BEARER) as socket:
        await until(lambda: socket.of("call_state"))
        await client.data("/call/answer", {"callId": call_id})
        await until(lambda: len(socket.of("call_state")) >= 2)
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: socket.code, timeout=1.0)
    states = [text["call"]["state"] for text in socket.of("call_state")]
    assert states[0] == "ringing"
    assert states[-2:] == ["active", "ended"]
    assert socket.texts[-1] == {"type": "ended"}
    assert socket.code == 1000


async def test_wadial_answers_audio_that_ends_within_a_sample_with_an_error_and_goes_on(client):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, media(call_id), additional_headers=BEARER) as socket:
        await socket.send(b"\0" * 1281)
        await until(lambda: socket.of("error"))
        count = len(socket.sound)
        await until(lambda: len(socket.sound) > count + 2)
    [error] = socket.of("error")
    assert error["code"] == "invalid_pcm_frame"


async def test_wadial_says_that_sound_was_dropped(client):
    path = media(await client.dial(SILENT)) + "?bufferMs=200"
    async with pcm_client(client.http, path, additional_headers=BEARER) as socket:
        await until(lambda: socket.sound)
        for _ in range(3):
            await socket.send(bytes(16_000 * 4))
        await until(lambda: socket.of("error"))
        count = len(socket.sound)
        await until(lambda: len(socket.sound) > count + 10)
    assert [error["code"] for error in socket.of("error")] == ["feed_overflow"]


async def test_wadial_reports_its_queue_down_to_empty_and_then_no_more(client):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, media(call_id), additional_headers=BEARER) as socket:
        await until(lambda: socket.sound)
        await socket.send(bytes(16_000 * 4))
        await until(
            lambda: len(socket.of("buffer")) > 1 and socket.of("buffer")[-1]["bufferedMs"] == 0
        )
        count = len(socket.sound)
        await until(lambda: len(socket.sound) > count + 15)
    reports = socket.of("buffer")[1:]  # the first one comes before any sound
    told = [report["bufferedMs"] for report in reports]
    # A report may come while the message is still being read.
    levels = told[told.index(max(told)) :]
    assert len(told) - len(levels) <= 1
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 900
    assert levels.count(0) == 1
    assert any(200 <= level <= 250 for level in levels)
    assert 6 <= len(levels) <= 9
    assert {(report["pauseMs"], report["resumeMs"]) for report in reports} == {(500, 250)}


async def test_wadial_drops_what_waits_when_it_is_told_to(client):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, media(call_id), additional_headers=BEARER) as socket:
        await until(lambda: socket.sound)
        await socket.send(bytes(30 * 16_000 * 4))
        await until(lambda: any(told["bufferedMs"] > 25_000 for told in socket.of("buffer")))
        await socket.send('{"type":"clear"}')
        await until(lambda: socket.of("buffer")[-1]["bufferedMs"] == 0, timeout=1.0)


async def test_open_sockets_are_counted_with_the_legs(client):
    call_id = await client.dial(SILENT)
    async with pcm_client(client.http, stream(call_id)) as socket:
        await until(lambda: socket.sound)
        [leg] = [leg for leg in (await client.quality(call_id))["legs"] if leg["kind"] == "socket"]
        assert leg["party"] == "near"
        assert leg["road"] == "clock"


async def test_a_key_in_a_header_opens_the_socket_too(client):
    call_id = await client.dial(SILENT)
    path = f"/call/{call_id}/stream"
    async with pcm_client(client.http, path, additional_headers=KEY) as socket:
        await until(lambda: socket.sound)
