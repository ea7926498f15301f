from typing import Any

import cffi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.codec.opus import Application, Decoder, Encoder, EncoderSettings, candidates, load
from bridge.audio.codec.opus_packet import duration, has_fec
from bridge.errors import RemoteProtocolError

OPUS = load(candidates())
DECODER = Decoder(OPUS)

# libopus 1.4 and later, thus the bundled one, can tell by itself; older ones cannot.
FFI = cffi.FFI()
FFI.cdef("int opus_packet_has_lbrr(const unsigned char *packet, int32_t size);")
LIBRARY: Any = FFI.dlopen(OPUS.path)


def packets(settings: EncoderSettings) -> list[bytes]:
    noise = np.random.default_rng(7).normal(0, 3000, 16_000 * 2)
    times = np.arange(len(noise)) / 16_000
    loud = noise * (np.sin(2 * np.pi * 2 * times) > 0)
    encoder = Encoder(OPUS, settings)
    frames = loud.astype(np.int16).tobytes()
    return [encoder.encode(frames[start : start + 640]) for start in range(0, len(frames), 640)]


@pytest.mark.parametrize(
    ("first_bytes", "milliseconds"),
    [
        ((0 << 3,), 10),
        ((1 << 3,), 20),
        ((2 << 3,), 40),
        ((3 << 3,), 60),
        ((9 << 3 | 4,), 20),
        ((12 << 3,), 10),
        ((15 << 3,), 20),
        ((16 << 3,), 2.5),
        ((29 << 3,), 5),
        ((30 << 3 | 1,), 20),
        ((31 << 3 | 2,), 40),
        ((31 << 3 | 3, 3), 60),
        ((31 << 3 | 3, 0xC6), 120),
        ((28 << 3 | 3, 48), 120),
    ],
)
def test_the_first_bytes_tell_the_duration(first_bytes, milliseconds):
    assert duration(bytes(first_bytes) + b"xx") == milliseconds * 48


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"\xff\x00", b"\xff\x07", b"\x1b\x03", b"\xe3\x3f"]
)
def test_impossible_durations_are_refused(payload):
    with pytest.raises(RemoteProtocolError):
        duration(payload)


@given(st.binary(min_size=1, max_size=60))
def test_the_duration_is_what_libopus_decodes(payload):
    try:
        pcm = DECODER.decode(payload)
    except RemoteProtocolError:
        return
    assert duration(payload) == len(pcm) // 2 * 3


@given(st.binary(max_size=60))
def test_looking_for_fec_never_raises(payload):
    assert has_fec(payload) in (True, False)


EMPTY_FIRST_FRAMES = (
    b"\x02\x00@",  # two frames, the first of length 0
    b"\x03\x41\x01@",  # one frame of no bytes, and padding behind it
    b"\x03\x42\x02@@",
    b"\x03\xc1\x01@",
    b"\x03\x82\x00@",
)


@pytest.mark.parametrize("payload", EMPTY_FIRST_FRAMES, ids=bytes.hex)
def test_an_empty_first_frame_has_no_fec_whatever_follows_it(payload):
    DECODER.decode(payload)
    assert not LIBRARY.opus_packet_has_lbrr(payload, len(payload))
    assert not has_fec(payload)


@given(st.binary(min_size=1, max_size=60))
def test_fec_is_found_where_libopus_finds_it(payload):
    try:
        DECODER.decode(payload)
    except RemoteProtocolError:
        return
    assert has_fec(payload) == bool(LIBRARY.opus_packet_has_lbrr(payload, len(payload)))


def test_an_encoder_with_fec_puts_it_into_most_packets():
    settings = EncoderSettings(
        Application.VOIP, bitrate=32_000, complexity=5, fec=True, expected_loss=20
    )
    assert sum(map(has_fec, packets(settings))) > 25


def test_an_encoder_without_fec_puts_it_nowhere():
    settings = EncoderSettings(Application.VOIP, bitrate=32_000, complexity=5)
    assert not any(map(has_fec, packets(settings)))


def test_celt_has_no_fec():
    assert not any(map(has_fec, packets(EncoderSettings(Application.LOW_DELAY, 40_000, 0))))
