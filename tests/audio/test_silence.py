"""Packets of silence."""

import numpy as np
import pytest

from bridge.audio.frame import FRAME_SAMPLES
from bridge.audio.opus import Application, Decoder, Encoder, EncoderSettings
from bridge.audio.opus_packet import is_plain
from bridge.audio.silence import SilencePackets
from tests.support.rtp_party import OPUS, VOICE


def decoded(decoder: Decoder, packet: bytes) -> np.ndarray:
    return np.frombuffer(decoder.decode(packet), np.int16).astype(int)


@pytest.mark.parametrize("application", Application)
def test_it_is_one_mono_frame_of_20_ms_and_nobody_hears_it(application):
    packet = SilencePackets(OPUS).packet(application)
    assert is_plain(packet)
    decoder = Decoder(OPUS)
    for _ in range(50):
        sound = decoded(decoder, packet)
        assert len(sound) == FRAME_SAMPLES
        assert np.abs(sound).max() <= 2


@pytest.mark.parametrize("application", Application)
def test_after_speech_it_becomes_quiet_at_once(application):
    encoder = Encoder(OPUS, EncoderSettings(application, bitrate=20_000, complexity=5))
    packet, decoder = SilencePackets(OPUS).packet(application), Decoder(OPUS)
    for pcm in VOICE[:20]:
        decoded(decoder, encoder.encode(pcm))
    decoded(decoder, packet)
    later = np.concatenate([decoded(decoder, packet) for _ in range(10)])
    assert np.abs(later[-320:]).max() <= 8


def test_each_is_encoded_once():
    packets = SilencePackets(OPUS)
    assert packets.packet(Application.VOIP) is packets.packet(Application.VOIP)
