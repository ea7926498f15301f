"""What cannot be played is told in the reply to the request, and leaves nothing behind."""

import base64
import io
import json
import os
from typing import Any

import msgspec
import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestServer

from bridge.settings.model import Data, Media, Net
from tests.http.test_address_guard import CLOSED, NO_URLS
from tests.support.decoder_processes import decoders
from tests.support.inprocess import KEY, one_node, running, settings
from tests.support.sound.sound_files import wav_claiming
from tests.support.sound.wav import wav_file
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

SILENT = "15550100008"
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]
NAMES = [
    "http://localhost/",
    "http://LOCALHOST:8080/",
    "http://localhost./",
    "http://user@localhost/",
    "http://93.184.215.14:80@localhost/",
    "http://localhost#@93.184.215.14/",
    "http://localhost?@93.184.215.14/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/",
]
SCHEMES = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://93.184.215.14/a.wav",
    "data:audio/wav;base64,AAAA",
    "concat:/etc/passwd|/etc/hosts",
    "subfile,,start,0,end,100,,:/etc/passwd",
    "rtsp://93.184.215.14/",
    "rtmp://93.184.215.14/",
    "udp://127.0.0.1:1",
    "unix:/run/docker.sock",
    "javascript:alert(1)",
    "jar:http://127.0.0.1!/",
    "pipe:0",
    "/etc/passwd",
]


def at(folder, **more):
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)), **more)


def left(folder):
    """What lies in the spools and among the assets."""
    found = [*(folder / "spool").rglob("*"), *(folder / "assets").rglob("*")]
    return [path for path in found if path.is_file()]


def encoded(content):
    return base64.b64encode(content).decode()


async def statuses(client, name, values):
    """Ask to play each of these into one call; gives the status of each reply."""
    call_id = await client.dial(SILENT)
    told = {}
    for value in values:
        answer = await client.post("/call/play", {"callId": call_id, name: value})
        told[value] = answer.status
    [runner] = client.bridge.manager.calls()
    assert [leg.kind for leg in runner.legs()] == ["simulator"]
    return told


def refused_otherwise(told, *expected):
    return {value: status for value, status in told.items() if status not in expected}


async def test_a_url_that_leads_to_our_own_network_is_blocked_in_every_spelling(tmp_path):
    async with running(at(tmp_path)) as client:
        told = await statuses(client, "audioUrl", CLOSED + NAMES[:-1])
    assert len(told) >= 40
    assert refused_otherwise(told, 422) == {}
    assert left(tmp_path) == []


async def test_what_is_no_url_of_the_web_is_refused(tmp_path):
    async with running(at(tmp_path)) as client:
        told = await statuses(client, "audioUrl", [*filter(None, NO_URLS), *SCHEMES])
        last = await statuses_of_one(client, NAMES[-1])
    assert refused_otherwise(told, 400, 422) == {}
    assert last in (400, 422)
    assert left(tmp_path) == []


async def statuses_of_one(client, url):
    call_id = (await client.calls())[0]["callId"]
    return (await client.post("/call/play", {"callId": call_id, "audioUrl": url})).status


NAMING_OTHERS = {
    "a playlist": b"#EXTM3U\nfile:///etc/passwd\n",
    "an SDP": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
    "a concat file": b"ffconcat version 1.0\nfile /etc/passwd\n",
}
"""Media that have a decoder open something else."""
DAMAGED = {
    "nothing": b"",
    "a byte": b"\0",
    "text": b"no sound",
    "MP3 without a frame": b"\xff\xfb" + bytes(50),
    "Ogg without a page": b"OggS" + bytes(5000),
    "FLAC without a header": b"fLaC" + bytes(5000),
    "M4A without atoms": b"\0\0\0\x20ftypM4A " + bytes(5000),
    "WAV without sound": wav_claiming(data=b""),
    "WAV of 2 GHz": wav_claiming(rate=0x7FFFFFFF),
    "WAV of 1 Hz": wav_claiming(rate=1),
    "WAV of 65,535 channels": wav_claiming(channels=65_535),
}


@one_node_only  # the node that has the call looks into its media, as in the next test
async def test_damaged_media_are_a_400(tmp_path):
    async with running(at(tmp_path)) as client:
        told = await statuses(client, "audioBase64", map(encoded, DAMAGED.values()))
    assert dict(zip(DAMAGED, told.values(), strict=True)) == dict.fromkeys(DAMAGED, 400)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "content", [b"no sound", *NAMING_OTHERS.values()], ids=["text", *NAMING_OTHERS]
)
async def test_media_that_cannot_be_played_is_a_400_from_every_source(tmp_path, content):
    async def file(_):
        return web.Response(body=content, content_type="audio/wav")

    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.wav").write_bytes(content)
    there = web.Application()
    there.add_routes([web.get("/a.wav", file)])
    allowed = at(tmp_path, net=Net(allow=["127.0.0.0/8"]))
    async with running(allowed) as client, TestServer(there) as server:
        call_id = await client.dial(SILENT)
        for name, value in (
            ("audioBase64", encoded(content)),
            ("AudioFile", "a.wav"),
            ("audioUrl", str(server.make_url("/a.wav"))),
        ):
            answer = await client.post("/call/play", {"callId": call_id, name: value})
            assert (name, answer.status) == (name, 400)
        form = FormData()
        form.add_field("audio", io.BytesIO(content), filename="a.wav", content_type="audio/wav")
        answer = await client.http.post("/api/v1/call-audio-assets", data=form, headers=KEY)
        assert answer.status == 400
    assert left(tmp_path) == []


async def test_a_path_that_is_no_file_of_the_media_folder_is_refused(tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    (tmp_path / "secret.wav").write_bytes(wav_file(bytes(32_000)))
    (root / "out").symlink_to("../secret.wav")
    (root / "up").symlink_to("..")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    names = {
        "..": 400,
        "../secret.wav": 400,
        "x/../../secret.wav": 400,
        "/etc/passwd": 400,
        "/dev/zero": 400,
        "/proc/self/environ": 400,
        "out": 404,
        "up/secret.wav": 404,
        "a\0.wav": 400,
        "circle": 404,
        "pipe": 404,
        "none": 404,
        ".": 400,
        "x" * 5000: 400,
    }
    async with running(at(tmp_path)) as client:
        assert await statuses(client, "AudioFile", names) == names


async def test_a_sound_of_the_wrong_type_and_name_is_played_for_what_it_is(tmp_path):
    async def file(_):
        return web.Response(body=wav_file(bytes(32_000)), content_type="text/html")

    there = web.Application()
    there.add_routes([web.get("/a.html", file)])
    allowed = at(tmp_path, net=Net(allow=["127.0.0.0/8"]))
    async with running(allowed) as client, TestServer(there) as server:
        call_id = await client.dial(SILENT)
        body = {"callId": call_id, "audioUrl": str(server.make_url("/a.html"))}
        assert (await client.post("/call/play", body)).status == 200


async def test_nothing_is_fetched_for_a_call_that_is_not_there(tmp_path):
    asked = []

    async def file(request):
        asked.append(request.path)
        return web.Response(body=wav_file(bytes(32_000)))

    there = web.Application()
    there.add_routes([web.get("/a.wav", file)])
    allowed = at(tmp_path, net=Net(allow=["127.0.0.0/8"]))
    async with running(allowed) as client, TestServer(there) as server:
        body = {"callId": "0" * 32, "audioUrl": str(server.make_url("/a.wav"))}
        assert (await client.post("/call/play", body)).status == 404
    assert asked == []


BAD_OPTIONS: list[dict[str, Any]] = [
    {"duck": -1},
    {"duck": 61},
    {"duck": "12"},
    {"duck": 1.5},
    {"repeat": 0},
    {"repeat": 1001},
    {"delayMs": -1},
    {"delayMs": 10_001},
    {"hear": "nobody"},
    {"hear": 1},
    {"assetId": 1},
    {"audioBase64": None},
]


async def test_options_that_are_none_are_refused(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        body = {"callId": call_id, "audioBase64": encoded(wav_file(bytes(32_000)))}
        for options in BAD_OPTIONS:
            answer = await client.post("/call/play", body | options)
            assert (options, answer.status) == (options, 400)
    assert left(tmp_path) == []


async def test_urls_can_be_switched_off(tmp_path):
    chosen = at(tmp_path, media=Media(urls=False), net=Net(allow=["127.0.0.0/8"]))
    async with running(chosen) as client:
        assert await statuses(client, "audioUrl", ["http://127.0.0.1:9/"]) == {
            "http://127.0.0.1:9/": 400
        }


async def test_more_sound_in_a_request_than_is_allowed_is_too_much(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        body = {"callId": call_id, "audioBase64": encoded(bytes(33 * 1024 * 1024))}
        sent = io.BytesIO(json.dumps(body).encode())
        assert (await client.post("/call/play", data=sent)).status == 413
    assert left(tmp_path) == []


async def test_a_decoder_waits_for_the_first_playback_that_ever_is(tmp_path):
    async with one_node(at(tmp_path), None, warm_decoder=True) as client:
        await until(decoders)
        [waiting, *_] = decoders()
        call_id = await client.dial(SILENT)
        body = {"callId": call_id, "audioBase64": encoded(wav_file(bytes(640_000)))}
        await client.data("/call/play", body)
        assert waiting in decoders()
    assert decoders() == set()
