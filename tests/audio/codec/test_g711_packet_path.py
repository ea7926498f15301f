"""G.711 of the compiled packet path: sample for sample what Python makes of the same packets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.codec.g711 import ALAW, MULAW, G711Decoder, G711Encoder
from tests.support.examples import examples
from tests.support.packets.packet_path import library
from tests.support.packets.rtp_party import VOICE

pytestmark = pytest.mark.compiled

LAWS = {"PCMU": MULAW, "PCMA": ALAW}
names = st.sampled_from(sorted(LAWS))


class Compiled:
    """The functions of the library, with the past of one stream."""

    def __init__(self, name):
        self.ffi, self.lib = library().ffi, library().lib
        self.codec = getattr(self.lib, f"CODEC_{name}")
        self.codes = self.ffi.new("int16_t[]", self.lib.G711_PAST_CODES)
        self.samples = self.ffi.new("int16_t[]", self.lib.G711_PAST_SAMPLES)

    def decode(self, payload):
        pcm = self.ffi.new("int16_t[]", self.lib.PACKET_FRAME)
        self.lib.g711_decode(self.codec, self.codes, payload, pcm)
        return bytes(self.ffi.buffer(pcm))

    def encode(self, pcm):
        codes = self.ffi.new("uint8_t[]", self.lib.G711_OCTETS)
        frame = self.ffi.from_buffer("int16_t *", pcm)
        self.lib.g711_encode(self.codec, self.samples, frame, codes)
        return bytes(self.ffi.buffer(codes))


def check(name, payloads, frames):
    compiled, decoder, encoder = Compiled(name), G711Decoder(LAWS[name]), G711Encoder(LAWS[name])
    for payload in payloads:
        assert compiled.decode(payload) == decoder.decode(payload)
    for frame in frames:
        assert compiled.encode(frame) == encoder.encode(frame)


@settings(max_examples=examples(100), deadline=None)
@given(
    names,
    st.lists(st.binary(min_size=160, max_size=160), max_size=4),
    st.lists(st.binary(min_size=640, max_size=640), max_size=4),
)
def test_any_packet_and_any_frame_become_the_same(name, payloads, frames):
    check(name, payloads, frames)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_speech_and_full_scale_become_the_same(name):
    square = np.where(np.arange(320 * 8) % 32 < 16, 32767, -32768).astype("<i2").tobytes()
    frames = [*VOICE, *(square[at : at + 640] for at in range(0, len(square), 640))]
    encoder = G711Encoder(LAWS[name])
    check(name, [encoder.encode(frame) for frame in frames], frames)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_each_code_and_each_sample_become_the_same(name):
    every_code = bytes(range(256)) * 5
    every_sample = np.repeat(np.arange(-32768, 32768), 65).astype("<i2").tobytes()
    check(
        name,
        [every_code[at : at + 160] for at in range(0, len(every_code), 160)],
        # Steps that are longer than the filter, so that each sample is encoded as it is.
        [every_sample[at : at + 640] for at in range(0, len(every_sample), 640)],
    )
