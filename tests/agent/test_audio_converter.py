"""What providers send, made the sound of calls."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.agent.audio_converter import CallAudio, to_call_audio
from bridge.errors import RemoteProtocolError
from tests.support.examples import examples

LONGEST = 2.0


async def in_pieces(data, size):
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def made_of(data, size=1 << 20, most=LONGEST):
    pieces = in_pieces(data, size)
    return b"".join([pcm async for pcm in to_call_audio(pieces, max_seconds=most)])


def wav(rate, channels, seconds=1.0):
    count = round(rate * seconds)
    sound = (6000 * np.sin(2 * np.pi * 400 * np.arange(count) / rate)).astype("<i2")
    pcm = np.repeat(sound, channels).tobytes()
    block = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000, 22051])
@pytest.mark.parametrize("channels", [1, 2])
async def test_a_wav_file_of_any_rate_keeps_its_pitch_length_and_loudness(rate, channels):
    made = np.frombuffer(await made_of(wav(rate, channels)), "<i2")
    assert abs(len(made) - 16000) <= 160
    assert abs(np.argmax(np.abs(np.fft.rfft(made[:16000], 16000))) - 400) <= 1
    assert abs(made[2000:14000].astype(float).std() - 6000 / np.sqrt(2)) < 60


async def test_raw_samples_are_taken_as_they_are():
    assert await made_of(b"\x01\x02" * 50) == b"\x01\x02" * 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        b'{"error": 1}',
        b"<html></html>!",
        b"RIFF",
        wav(8000, 1, 0.0),
        b"Internal server error: nothing to hear here, nothing at all",
        b"ID3" + bytes(range(200)),
        b"OggS" + bytes(range(200)),
        b"RIFF" + bytes(100_000),
        b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\x7f" + bytes(100_000),
    ],
)
async def test_what_is_no_sound_is_refused(data):
    with pytest.raises(RemoteProtocolError):
        await made_of(data)


@pytest.mark.parametrize("size", [1, 7, 44, 1000])
@pytest.mark.parametrize("rate", [16000, 24000])
async def test_the_pieces_it_comes_in_change_nothing(size, rate):
    data = wav(rate, 2, 0.3)
    assert await made_of(data, size) == await made_of(data)


async def test_half_a_sample_at_the_end_is_left_out():
    assert await made_of(b"\x01\x82" * 50 + b"\x01") == b"\x01\x82" * 50


async def test_what_follows_the_samples_is_no_sound():
    data = wav(16000, 1, 0.1) + b"LIST" + b"\x04\0\0\0abcd"
    assert len(await made_of(data, 100)) == 3200


async def test_a_sound_without_an_end_is_cut():
    async def endless():
        while True:
            yield b"\x01\x82" * 1000

    sound = [pcm async for pcm in to_call_audio(endless(), max_seconds=LONGEST)]
    assert len(b"".join(sound)) == LONGEST * 32000


def test_a_sound_is_given_with_its_first_bytes():
    sound = CallAudio(max_seconds=LONGEST)
    assert list(sound.feed(b"\x01\x82" * 10)) == []
    assert b"".join(sound.feed(b"\x01\x82" * 10)) == b"\x01\x82" * 20


@settings(max_examples=examples(200), deadline=None)
@given(
    sound=st.binary(max_size=2000),
    spoilt=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
    size=st.integers(1, 500),
)
def test_hostile_files_are_sound_or_refused_and_nothing_else(sound, spoilt, size):
    data = bytearray(wav(16000, 1, 0.0)[:44] + sound)
    for place, value in spoilt:
        data[place % len(data)] = value
    taken = CallAudio(max_seconds=LONGEST)
    made = 0
    with suppress(RemoteProtocolError):
        for at in range(0, len(data), size):
            made += sum(map(len, taken.feed(bytes(data[at : at + size]))))
        made += sum(map(len, taken.feed(b"", last=True)))
    assert made <= LONGEST * 32000
