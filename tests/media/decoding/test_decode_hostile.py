"""Broken, cut off and hostile sound files, decoded in the test's own process."""

import io
import json
import random
import struct

import av
import numpy as np
import pytest

from bridge.media.decoding import decode
from tests.support.sound.sound_files import wav_claiming, write

FORMATS = {
    "wav": ("wav", "pcm_s16le", 44100),
    "mp3": ("mp3", "libmp3lame", 44100),
    "flac": ("flac", "flac", 44100),
    "m4a": ("ipod", "aac", 44100),
    "opus": ("ogg", "libopus", 48000),
    "aiff": ("aiff", "pcm_s16be", 44100),
    "aac": ("adts", "aac", 44100),
    "webm": ("webm", "libopus", 48000),
    "amr": ("amr", "libopencore_amrnb", 8000),
    "adpcm": ("wav", "adpcm_ms", 8000),
}
ONE_SECOND = 16_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A second of a tone in every format."""
    folder = tmp_path_factory.mktemp("formats")
    return {
        name: write(folder / name, kind, codec, rate=rate).read_bytes()
        for name, (kind, codec, rate) in FORMATS.items()
    }


def served(path):
    """Ask for a file; gives the status, the answer, and how many samples came."""
    answer = io.BytesIO()
    request = io.BytesIO(json.dumps({"path": str(path)}).encode() + b"\n")
    status = decode.serve(request, answer, lambda: None)
    head, _, pcm = answer.getvalue().partition(b"\n")
    return status, json.loads(head), len(pcm) // 2


@pytest.fixture
def serve(tmp_path):
    def asked(content):
        path = tmp_path / "sound"
        path.write_bytes(content)
        return served(path)

    return asked


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_file_that_is_cut_off_gives_what_it_has_or_is_refused(files, serve, name, share):
    whole = files[name]
    _, answer, samples = serve(whole[: int(len(whole) * share)])
    assert ("error" in answer) == (samples == 0)
    assert samples <= 1.1 * ONE_SECOND


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_with_damage_anywhere_gives_sound_or_is_refused_and_nothing_else(files, serve, name):
    chance = random.Random(f"damage of {name}")
    for _ in range(20):
        content = bytearray(files[name])
        for _ in range(chance.choice([1, 10, 200])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        _, answer, samples = serve(bytes(content))
        assert ("error" in answer) == (samples == 0)


def test_a_hole_in_an_mp3_is_passed_over(files, serve):
    content = bytearray(files["mp3"] * 3)
    middle = len(content) // 2
    content[middle : middle + 700] = bytes(700)
    status, _, samples = serve(bytes(content))
    assert status == 0
    assert samples > 2.5 * ONE_SECOND


def test_the_rate_may_change_within_a_file(files, serve, tmp_path):
    low = write(tmp_path / "low", "mp3", "libmp3lame", rate=32000).read_bytes()
    status, _, samples = serve(files["mp3"] + low)
    assert status == 0
    assert samples == pytest.approx(2 * ONE_SECOND, rel=0.15)


def test_the_absurd_length_of_a_flac_file_is_only_a_claim(files, serve):
    content = bytearray(files["flac"])
    content[21] |= 0x0F  # the 36 bits of STREAMINFO that tell how many samples there are
    content[22:26] = b"\xff" * 4
    _, answer, samples = serve(bytes(content))
    assert answer["duration"] > 1_000_000
    assert samples <= 1.1 * ONE_SECOND


def test_the_absurd_length_of_a_wav_file_is_only_a_claim(serve):
    _, _, samples = serve(wav_claiming(claims=0xFFFFFFFF))
    assert samples == ONE_SECOND


def test_a_wav_file_of_no_length_holds_no_sound(serve):
    status, answer, _ = serve(wav_claiming(data=b""))
    assert (status, list(answer)) == (1, ["error"])


@pytest.mark.parametrize("rate", [1, 100, 3_999, 384_001, 0x7FFFFFFF])
def test_a_rate_that_is_no_sound_is_refused(serve, rate):
    status, answer, _ = serve(wav_claiming(rate=rate))
    assert (status, list(answer)) == (1, ["error"])


@pytest.mark.parametrize("channels", [0, 9, 64, 65_535])
def test_more_channels_than_are_played_are_refused(serve, channels):
    status, answer, _ = serve(wav_claiming(channels=channels, data=bytes(1 << 20)))
    assert (status, list(answer)) == (1, ["error"])


def test_eight_channels_are_played_as_one(serve):
    status, _, samples = serve(wav_claiming(channels=8, data=bytes(8 * 32_000)))
    assert (status, samples) == (0, ONE_SECOND)


@pytest.mark.parametrize(("code", "bits"), [(0x160, 16), (0x55, 16), (0x1234, 16), (1, 0), (3, 16)])
def test_sound_of_a_kind_that_is_not_played_is_refused(serve, code, bits):
    status, answer, _ = serve(wav_claiming(code=code, bits=bits))
    assert (status, list(answer)) == (1, ["error"])


def test_a_film_without_sound_is_refused(tmp_path):
    path = tmp_path / "film.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    assert served(path)[1] == {"error": "the file has no audio"}


def atom(kind, content):
    return struct.pack(">I", len(content) + 8) + kind + content


HOSTILE_MP4 = {
    "an atom longer than the file": struct.pack(">I", 0x7FFFFFFF) + b"moov",
    "atoms in atoms in atoms": None,
    "four thousand million samples": atom(
        b"moov",
        atom(
            b"trak",
            atom(
                b"mdia",
                atom(b"minf", atom(b"stbl", atom(b"stsz", struct.pack(">III", 0, 0, 0xFFFFFFFF)))),
            ),
        ),
    ),
    "an atom of no length": struct.pack(">I", 0) + b"moov",
}


def replaced(content, old, new):
    """Put another atom into an MP4 file, and give all those around it their new lengths."""
    found, place = b"", 0
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        kind, inner = content[place + 4 : place + 8], content[place + 8 : place + length]
        if content[place : place + length] == old:
            found += new
        elif kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
            found += atom(kind, replaced(inner, old, new))
        elif kind == b"dref":
            found += atom(kind, inner[:8] + replaced(inner[8:], old, new))
        else:
            found += content[place : place + length]
        place += length
    return found


@pytest.mark.parametrize("name", HOSTILE_MP4)
def test_an_m4a_made_to_do_harm_is_refused(serve, name):
    content = HOSTILE_MP4[name]
    if content is None:
        content = b""
        for _ in range(2000):
            content = atom(b"moov", content)
    _, answer, _ = serve(atom(b"ftyp", b"M4A \0\0\0\0") + content)
    assert list(answer) == ["error"]


def test_a_file_that_the_m4a_says_its_sound_lies_in_is_not_opened(files, serve, tmp_path):
    """QuickTime's data references; the sound would be a file of ours."""
    secret = tmp_path / "secret"
    secret.write_bytes(files["m4a"])
    content = files["m4a"]
    name = str(secret).encode() + b"\0"
    own = struct.pack(">I", 12) + b"url \0\0\0\1"
    assert own in content
    other = struct.pack(">I", 12 + len(name)) + b"url \0\0\0\0" + name
    hostile = replaced(content, own, other)
    assert len(hostile) == len(content) + len(name)
    found = serve(hostile)
    secret.unlink()
    assert serve(hostile) == found


@pytest.mark.parametrize(
    "text",
    [
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
        "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://169.254.169.254/\n",
        "ffconcat version 1.0\nfile '/etc/passwd'\n",
        "[playlist]\nFile1=http://127.0.0.1/\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>',
        "<asx><entry><ref href='http://127.0.0.1/'/></entry></asx>",
        ";FFMETADATA1\ntitle=x\n",
        "#!/bin/sh\nid\n",
        "RIFF....AVI LIST",
        "caff\0\1\0\0",
        "FORM....8SVX",
        ".snd\0\0\0\x18",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_only_names_sound_or_is_of_another_kind_is_refused(serve, text):
    _, answer, _ = serve(text.encode("latin-1"))
    assert answer["error"].startswith("not an audio file that can be played")


@pytest.mark.parametrize("start", [b"\x1aE\xdf\xa3webm", b"FORM....AIFF", b"#!AMR\n"])
def test_the_beginning_of_a_file_without_its_sound_is_refused(serve, start):
    assert list(serve(start)[1]) == ["error"]


@pytest.mark.parametrize("start", [b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb", b"ID3", b"\xff\xe0"])
def test_a_playlist_with_the_beginning_of_an_mp3_opens_nothing(serve, start):
    _, answer, _ = serve(start + b"\n#EXTM3U\nfile:///etc/passwd\n")
    assert list(answer) == ["error"]


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/self/mem", "/", "/none"])
def test_what_is_no_file_is_refused(path):
    assert list(served(path)[1]) == ["error"]
