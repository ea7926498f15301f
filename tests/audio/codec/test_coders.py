"""The decoder and the encoder of each codec."""

import pytest

from bridge.audio.codec import codec
from bridge.audio.codec.coders import make_decoder, make_encoder
from bridge.audio.frame import FRAME_BYTES, SILENCE
from tests.support.packets.rtp_party import OPUS, PAYLOADS, VOICE


@pytest.mark.parametrize("kind", [codec.PCMU, codec.PCMA, codec.G722], ids=lambda kind: kind.name)
def test_a_frame_is_a_packet_of_20_ms_and_becomes_a_frame_again(kind):
    payload = make_encoder(kind).encode(VOICE[0])
    assert kind.is_frame(payload)
    decoder = make_decoder(kind, OPUS)
    assert len(decoder.decode(payload)) == FRAME_BYTES
    assert len(decoder.conceal(320)) == len(decoder.recover(payload, 320)) == FRAME_BYTES
    assert len(decoder.conceal(160)) == FRAME_BYTES // 2
    decoder.reset()
    assert make_decoder(kind, OPUS).decode(payload) == decoder.decode(payload)


@pytest.mark.parametrize("kind", [codec.PCMU, codec.PCMA, codec.G722], ids=lambda kind: kind.name)
def test_silence_is_what_its_encoder_makes_of_silence(kind):
    assert make_encoder(kind).silence() == make_encoder(kind).encode(SILENCE)


def test_opus_is_decoded_like_the_others():
    assert len(make_decoder(codec.OPUS, OPUS).decode(PAYLOADS[0])) == FRAME_BYTES
