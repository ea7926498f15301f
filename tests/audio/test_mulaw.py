"""µ-law against an independent codec."""

import av
import numpy as np

from bridge.audio import mulaw

EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")


def test_mulaw_is_what_an_independent_codec_makes_of_it():
    codes = bytes(range(256))
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate = 8000
    decoder.layout = "mono"
    frames = decoder.decode(av.Packet(codes))
    wanted = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    assert np.frombuffer(mulaw.decode(codes), "<i2").tolist() == [int(value) for value in wanted]


def test_mulaw_gives_back_its_own_codes_and_is_never_far_off():
    codes = bytes(range(256))
    again = mulaw.encode(mulaw.decode(codes))
    # 0x7f is minus nothing, which is nothing.
    assert again.replace(b"\x7f", b"\xff") == codes.replace(b"\x7f", b"\xff")
    back = mulaw.decode(mulaw.encode(EVERY_SAMPLE.tobytes()))
    apart = np.abs(np.frombuffer(back, "<i2").astype(int) - EVERY_SAMPLE)
    assert (apart <= np.maximum(8, np.abs(EVERY_SAMPLE.astype(int)) / 16 + 8)).all()
    assert mulaw.decode(b"\xff") == b"\0\0"
