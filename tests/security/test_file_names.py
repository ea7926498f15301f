"""Names of uploaded files: they are shown again, so they are short, printable, and no paths."""

import pytest

from tests.support.inprocess import running
from tests.support.sound.wav import wav_file

KEY = {"Authorization": "Bearer demo"}
PATH = "/api/v1/call-audio-assets"
SOUND = wav_file(bytes(3200))


@pytest.fixture
async def client():
    async with running() as running_client:
        yield running_client


async def upload(client, name, kind=b"audio/wav"):
    """Upload a sound whose part of the form has this parameter, and this type."""
    head = b'--B\r\nContent-Disposition: form-data; name="audio"; ' + name
    body = head + b"\r\nContent-Type: " + kind + b"\r\n\r\n" + SOUND + b"\r\n--B--\r\n"
    headers = KEY | {"Content-Type": "multipart/form-data; boundary=B"}
    async with client.http.post(PATH, data=body, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"filename*=utf-8''a%00b.wav", b"audio/wav"),
        (b"filename*=utf-8''a%0Ab.wav", b"audio/wav"),
        (b'filename="' + b"x" * 256 + b'"', b"audio/wav"),
        (b'filename="a\x00.wav"', b"audio/wav"),
        (b'filename="\xff.wav"', b"audio/wav"),
        (b'filename="a.wav"', b"audio/" + b"x" * 300),
    ],
)
async def test_a_file_name_that_is_none_is_a_400_that_names_the_field(client, name, kind):
    status, answer = await upload(client, name, kind)
    assert status == 400
    assert answer["error"]["field"] == "audio"
    async with client.http.get(PATH, headers=KEY) as response:
        assert (await response.json())["data"] == []


@pytest.mark.parametrize("path", [b"../../etc/hello.wav", b"C:\\\\Users\\\\me\\\\hello.wav"])
async def test_of_a_path_the_files_name_is_kept(client, path):
    status, answer = await upload(client, b'filename="' + path + b'"')
    assert status == 200
    assert answer["data"]["filename"] == "hello.wav"
