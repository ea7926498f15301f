"""One key does not take what all lines share: calls, decoders, room for large requests and assets."""

import asyncio
import base64
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from bridge.call.model import LineName
from bridge.settings.model import Limits, Line, Rtc
from tests.support.clients.raw_http import typed
from tests.support.inprocess import KEY, free_udp_ports, running, settings
from tests.support.packets.offers import offer as sdp_offer
from tests.support.sound.wav import wav_file
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until, until_answer

OTHER = {"token": "another-lines-key"}
LINES = {"demo": Line(keys=["demo"]), "other": Line(keys=[OTHER["token"]])}
SOUND = base64.b64encode(wav_file(b"\1\0" * 16_000 * 10)).decode()
OFFER = sdp_offer("minimal")
CONTACT = "15550100001"
"""Answers at once."""


def shared(**limits: Any):
    return settings(lines=LINES, limits=Limits(**({"overload_seconds": 0.0} | limits)))


async def statuses(http, path, body, headers, count) -> list[int]:
    return [(await http.post(path, json=body, headers=headers)).status for _ in range(count)]


async def call_of(client, headers) -> str:
    response = await client.post("/call/dial", {"phone": CONTACT}, headers=headers)
    return str((await response.json())["data"]["callId"])


async def play(client, call_id, headers) -> int:
    body = {"callId": call_id, "audioBase64": SOUND}
    response = await client.post("/call/play", body, headers=headers)
    return int(response.status)


async def played_soon(client, call_id, headers) -> None:
    """Play as soon as the decoder that was paused has gone."""

    async def plays():
        return await play(client, call_id, headers) == 200

    await until_answer(plays)


async def test_a_line_that_takes_all_calls_leaves_the_last_fifth_to_one_that_has_none():
    waiting = {"channel": "webrtc"}
    async with running(shared(calls=10)) as client:
        taken = await statuses(client.http, "/call/dial", waiting, KEY, 9)
        left = await statuses(client.http, "/call/dial", waiting, OTHER, 1)
    assert taken == 8 * [200] + [503]
    assert left == [200]


async def test_the_last_fifth_is_kept_over_all_nodes():
    waiting = {"channel": "webrtc"}
    async with two_nodes(shared(calls=10)) as (first, second):
        taken = await statuses(first.http, "/call/dial", waiting, KEY, 4)
        taken += await statuses(second.http, "/call/dial", waiting, KEY, 5)
        left = await statuses(second.http, "/call/dial", waiting, OTHER, 1)
    assert taken == 8 * [200] + [503]
    assert left == [200]


async def test_the_only_line_may_have_all_calls():
    limits = Limits(calls=5, overload_seconds=0.0)
    async with running(settings(lines={"demo": LINES["demo"]}, limits=limits)) as client:
        taken = await statuses(client.http, "/call/dial", {"channel": "webrtc"}, KEY, 6)
    assert taken == 5 * [200] + [503]


async def test_a_line_takes_no_other_lines_decoders():
    async with running(shared(decoders_per_line=1)) as client:
        calls = [(await call_of(client, headers), headers) for headers in (KEY, KEY, OTHER)]
        played = [await play(client, *call) for call in calls]
    assert played == [200, 503, 200]


async def test_paused_playbacks_hold_no_decoder():
    async with running(shared(decoders=1)) as client:
        call_id = await call_of(client, KEY)
        for _ in range(6):
            await played_soon(client, call_id, KEY)
            await client.data("/call/play/pause", {"callId": call_id})
        await played_soon(client, await call_of(client, OTHER), OTHER)


@asynccontextmanager
async def unfinished_upload(port: int):
    """Say that a large body comes, and send none of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /call/play HTTP/1.1\r\nHost: localhost\r\ntoken: demo\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode())
    try:
        yield reader
    finally:
        writer.close()


async def test_a_line_that_sends_many_large_requests_holds_up_itself_alone():
    body = {"callId": "00" * 16, "audioBase64": SOUND}
    async with running(shared(large_bodies_per_line=2)) as client, AsyncExitStack() as stack:
        port = client.http.port or 0
        for _ in range(2):
            await stack.enter_async_context(unfinished_upload(port))

        await until(lambda: client.bridge.access.large_bodies.in_progress[LineName("demo")] == 2)
        more = KEY | {"Content-Length": "1000000"}
        third, _, _ = await typed(port, "POST", "/call/play", headers=more)
        other = (await client.post("/call/play", body, headers=OTHER)).status
        small = (await client.post("/call/hangup", {"callId": "00" * 16})).status
    assert (third, other, small) == (503, 404, 404)


async def test_a_body_that_its_route_does_not_take_needs_no_place_among_large_ones():
    async with running(shared(large_bodies_per_line=1)) as client, AsyncExitStack() as stack:
        port = client.http.port or 0
        await stack.enter_async_context(unfinished_upload(port))
        await until(lambda: client.bridge.access.large_bodies.in_progress[LineName("demo")] == 1)
        more = KEY | {"Content-Length": "1000000"}
        status, _, _ = await typed(port, "POST", "/call/participants/remove", headers=more)
    assert status == 413


async def test_a_line_keeps_as_many_assets_as_it_may():
    async def upload(client, headers) -> int:
        form = aiohttp.FormData()
        form.add_field("audio", wav_file(bytes(3200)), filename="a.wav", content_type="audio/wav")
        path = "/api/v1/call-audio-assets"
        return int((await client.http.post(path, data=form, headers=headers)).status)

    async with running(shared(assets_per_line=2)) as client:
        kept = [await upload(client, KEY) for _ in range(3)]
        other = await upload(client, OTHER)
    assert (kept[2], kept[0] == kept[1] == other) == (503, True)


async def test_a_line_with_many_legs_leaves_media_ports_to_others():
    first = free_udp_ports(5)
    rtc = Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + 4}")
    chosen = msgspec.structs.replace(shared(), rtc=rtc)
    async with running(chosen) as client:
        calls = {headers["token"]: await call_of(client, headers) for headers in (KEY, OTHER)}

        async def offer(headers) -> int:
            body = {"callID": calls[headers["token"]], "sdp": OFFER}
            response = await client.post("/call/webrtc/offer", body, headers=headers)
            return int(response.status)

        taken = [await offer(KEY) for _ in range(6)]
        left = await offer(OTHER)
    assert (taken, left) == (4 * [200] + 2 * [503], 200)
