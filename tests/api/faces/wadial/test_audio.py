"""WADial's audio assets: what is taken, what is refused, and that it is played."""

import io

import msgspec
import pytest
from aiohttp import FormData

from bridge.settings.model import Data
from tests.support.inprocess import KEY, running, settings
from tests.support.sound.sound_files import gsm_wav, write
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file

ASSETS = "/api/v1/call-audio-assets"
SILENT = "15550100008"
SOUND = wav_file(tone(0.5).tobytes())
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]


def at(folder):
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)))


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "content_type"),
    [
        ("aiff", "pcm_s16be", 44100, "audio/aiff"),
        ("amr", "libopencore_amrnb", 8000, "audio/amr"),
        ("mp4", "libopus", 48000, "audio/mp4"),
        ("webm", "libopus", 48000, "audio/webm"),
        ("adts", "aac", 44100, "audio/aac"),
        ("gsm", "", 8000, "audio/x-wav"),
    ],
)
async def test_an_asset_of_any_usual_audio_type_is_ready_and_played(
    tmp_path, kind, codec, rate, content_type
):
    path = tmp_path / "sound"
    if kind == "gsm":
        path.write_bytes(gsm_wav(seconds=1))
    else:
        write(path, kind, codec, rate=rate)
    form = FormData()
    form.add_field("audio", path.read_bytes(), filename="a", content_type=content_type)
    async with running(at(tmp_path / "data")) as client:
        kept = await client.http.post(ASSETS, data=form, headers=KEY)
        assert kept.status == 200, await kept.text()
        asset = (await kept.json())["data"]
        assert (asset["status"], asset["contentType"]) == ("ready", content_type)
        call_id = await client.dial(SILENT)
        played = await client.data("/call/play", {"callId": call_id, "assetId": asset["id"]})
        assert played["playbackId"]


@pytest.mark.parametrize("head", [b'name="\x00"', b'name="a\r\nb"', b'name="' + b"x" * 9000 + b'"'])
async def test_a_damaged_upload_is_a_400(tmp_path, head):
    body = b"--xx\r\nContent-Disposition: form-data; " + head + b"\r\n\r\nno\r\n--xx--\r\n"
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=xx"}
    async with running(at(tmp_path)) as client:
        response = await client.http.post(ASSETS, data=body, headers=headers)
        assert response.status == 400, await response.text()


async def upload(client, content, field="audio"):
    form = FormData()
    form.add_field(field, io.BytesIO(content), filename="welcome.wav", content_type="audio/wav")
    return await client.http.post(ASSETS, data=form, headers=KEY)


async def test_an_asset_is_kept_listed_played_and_deleted(tmp_path):
    async with running(at(tmp_path)) as client:
        answer = await upload(client, SOUND)
        assert answer.status == 200, await answer.text()
        asset = (await answer.json())["data"]
        assert (asset["durationMs"], asset["status"]) == (500, "ready")
        listed = await (await client.get(ASSETS)).json()
        assert [found["id"] for found in listed["data"]] == [asset["id"]]
        call_id = await client.dial(SILENT)
        path = f"/api/v1/sessions/demo/calls/{call_id}/audio"
        played = await client.post(f"{path}/play", {"assetId": asset["id"]})
        assert (await played.json())["data"]["status"] == "queued"
        stopped = await client.post(f"{path}/stop")
        assert (await stopped.json())["data"] == {"stopped": 1}
        one = f"{ASSETS}/{asset['id']}"
        assert (await client.http.delete(one, headers=KEY)).status == 200
        assert (await client.http.delete(one, headers=KEY)).status == 404
        assert list((tmp_path / "assets").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "field", "status"),
    [
        (b"", "audio", 400),
        (b"no sound", "audio", 400),
        (SOUND, "sound", 400),
    ],
    ids=["empty", "no sound", "wrong field"],
)
async def test_an_upload_that_is_no_sound_is_refused_and_not_kept(tmp_path, content, field, status):
    async with running(at(tmp_path)) as client:
        assert (await upload(client, content, field)).status == status
        assert list((tmp_path / "assets").iterdir()) == []


async def test_an_upload_over_32_mb_is_refused_and_not_kept(tmp_path):
    async with running(at(tmp_path)) as client:
        assert (await upload(client, bytes(33 * 1024 * 1024))).status == 413
        assert list((tmp_path / "assets").iterdir()) == []


async def test_a_remote_url_is_no_asset(tmp_path):
    async with running(at(tmp_path)) as client:
        body = {"url": "http://192.0.2.1/a.wav"}
        assert (await client.post(ASSETS, body)).status == 400
