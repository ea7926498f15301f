import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.file.wav import Wav, WavHeader, make_header, parse_header, parse_wav
from bridge.errors import RemoteProtocolError
from tests.support.sound.wav import wav_file

PCM = bytes(range(200)) * 4


def riff(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name, content, *, length=None):
    size = len(content) if length is None else length
    return name + struct.pack("<I", size) + content + b"\0" * (len(content) & 1)


def pcm_format(*, tag=1, channels=1, rate=16000, bits=16, more=b""):
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate, (rate * block) & 0xFFFFFFFF, block, bits)
    return chunk(b"fmt ", head + more)


def test_pythons_own_files_are_read():
    assert parse_wav(wav_file(PCM, rate=44100, channels=2)) == Wav(PCM, rate=44100, channels=2)


def test_other_chunks_are_passed_over_with_their_padding():
    data = riff(chunk(b"LIST", b"odd"), pcm_format(), chunk(b"note", b"x"), chunk(b"data", PCM))
    assert parse_wav(data).pcm == PCM


def test_the_extensible_format_is_read():
    more = struct.pack("<HHI", 22, 16, 4) + bytes.fromhex("0100000000001000800000aa00389b71")
    data = riff(pcm_format(tag=0xFFFE, more=more), chunk(b"data", PCM))
    assert parse_wav(data).pcm == PCM


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 5000])
def test_samples_of_unknown_or_too_great_length_end_with_the_file(length):
    assert parse_wav(riff(pcm_format(), chunk(b"data", PCM, length=length))).pcm == PCM


def test_half_a_sample_at_the_end_is_left_out():
    assert parse_wav(riff(pcm_format(channels=2), chunk(b"data", PCM + b"abc"))).pcm == PCM


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"OggS" + bytes(100),
        riff(),
        riff(pcm_format()),
        riff(chunk(b"data", PCM)),
        riff(chunk(b"fmt ", b"short"), chunk(b"data", PCM)),
        riff(pcm_format(bits=8), chunk(b"data", PCM)),
        riff(pcm_format(tag=3, bits=32), chunk(b"data", PCM)),
        riff(pcm_format(tag=0xFFFE), chunk(b"data", PCM)),
        riff(pcm_format(channels=0), chunk(b"data", PCM)),
        riff(pcm_format(rate=0), chunk(b"data", PCM)),
        riff(chunk(b"LIST", b"", length=0xFFFFFFFF)),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(RemoteProtocolError, match="WAV"):
        parse_wav(data)


def test_a_head_is_read_as_soon_as_it_is_whole():
    data = wav_file(PCM, rate=8000)
    assert [parse_header(data[:size]) for size in range(44)] == [None] * 44
    assert parse_header(data[:44]) == WavHeader(8000, 1, 44, len(PCM))
    assert parse_header(riff(pcm_format(), chunk(b"data", b"", length=0xFFFFFFFF))) == WavHeader(
        16000, 1, 44, None
    )


@given(st.binary(max_size=200), st.integers(0, 60))
def test_garbage_is_read_or_refused_and_nothing_else(garbage, position):
    good = wav_file(PCM)
    data = good[:position] + garbage + good[position + len(garbage) :]
    with suppress(RemoteProtocolError):
        assert len(parse_wav(data).pcm) <= len(data)


def test_a_header_we_write_is_read_back():
    pcm = bytes(range(200)) * 2
    wav = parse_wav(make_header(len(pcm)) + pcm)
    assert (wav.pcm, wav.rate, wav.channels) == (pcm, 16000, 1)
    assert len(make_header(0)) == 44


@pytest.mark.parametrize("pcm_bytes", [(1 << 32) - 1, 1 << 32, 1 << 40])
def test_the_header_of_a_file_beyond_4_gb_says_as_much_as_it_can(pcm_bytes):
    head = make_header(pcm_bytes)
    assert len(head) == 44
    riff, data = struct.unpack_from("<I", head, 4)[0], struct.unpack_from("<I", head, 40)[0]
    assert riff == 0xFFFFFFFF
    assert data == riff - 36  # what is left of the RIFF chunk behind the other 36 bytes


def test_a_file_beyond_4_gb_is_read_as_far_as_its_header_says():
    wav = parse_wav(make_header(1 << 40) + bytes(640))
    assert wav.pcm == bytes(640)
