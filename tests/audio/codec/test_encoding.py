import numpy as np
import pytest

from bridge.audio.codec.encoder_level import NORMAL, choose
from bridge.audio.codec.encoding import Encoding
from bridge.audio.codec.opus import Application, Decoder, Encoder, EncoderSettings, candidates, load
from bridge.audio.codec.opus_packet import has_fec, is_plain
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES
from tests.support.packets.rtp_party import OPUS, VOICE
from tests.support.sound.voices import words

PROTECTED = choose(None, expected_loss=10)
LITTLE = choose(20_000)


@pytest.fixture(scope="module")
def opus():
    return load(candidates())


@pytest.fixture(scope="module")
def speech():
    data = words(seconds=6.0).tobytes()
    return [data[at : at + FRAME_BYTES] for at in range(0, len(data), FRAME_BYTES)]


def power(pcm):
    return float(np.mean(np.frombuffer(pcm, np.int16).astype(float) ** 2)) + 1.0


LOUD = 200_000.0


def places(speech):
    """Where somebody is in the middle of a word."""
    return [
        at for at in range(30, len(speech) - 6, 7) if min(map(power, speech[at : at + 4])) > LOUD
    ]


def levels(opus, speech, before, after, *, at):
    """How loud the four frames from `at` on are heard, when the settings change there."""
    encoding, decoder = Encoding(opus, before), Decoder(opus)
    heard = []
    for number, pcm in enumerate(speech[: at + 4]):
        if number == at:
            encoding.switch_to(after)
        heard.append(power(decoder.decode(encoding.encode(pcm))))
    return np.array(heard[at:])


def test_the_settings_asked_for_are_used(opus):
    encoding = Encoding(opus, NORMAL)
    for settings in (PROTECTED, LITTLE, NORMAL):
        encoding.switch_to(settings)
        assert encoding.settings == settings


def test_the_same_settings_change_nothing(opus, speech):
    encoding, plain = Encoding(opus, LITTLE), Encoder(opus, LITTLE)
    for pcm in speech[:50]:
        encoding.switch_to(LITTLE)
        assert encoding.encode(pcm) == plain.encode(pcm)


def test_fec_that_is_switched_on_is_in_the_packets(opus, speech):
    encoding = Encoding(opus, NORMAL)
    before = [has_fec(encoding.encode(pcm)) for pcm in speech]
    encoding.switch_to(PROTECTED)
    after = [has_fec(encoding.encode(pcm)) for pcm in speech]
    assert sum(before) == 0
    assert sum(after) > 0.6 * len(speech)


@pytest.mark.parametrize(
    ("before", "after"),
    [(NORMAL, PROTECTED), (PROTECTED, NORMAL), (NORMAL, LITTLE), (LITTLE, PROTECTED)],
)
def test_a_change_is_not_heard_as_a_dip(opus, speech, before, after):
    found = places(speech)
    assert len(found) > 20
    dips = [
        10
        * np.log10(
            levels(opus, speech, before, after, at=at) / levels(opus, speech, after, after, at=at)
        )
        for at in found
    ]
    assert np.abs(np.mean(dips, axis=0)).max() < 0.5


def test_frames_join_on_to_what_another_encoder_sent(opus, speech):
    dips = []
    for at in places(speech):
        other, decoder, encoding = Encoder(opus, NORMAL), Decoder(opus), Encoding(opus, LITTLE)
        for pcm in speech[:at]:
            decoder.decode(other.encode(pcm))
        encoding.continue_from([b"".join(speech[at - 5 : at - 1]), speech[at - 1]])
        heard = [power(decoder.decode(encoding.encode(pcm))) for pcm in speech[at : at + 4]]
        expected = levels(opus, speech, LITTLE, LITTLE, at=at)
        dips.append(10 * np.log10(np.array(heard) / expected))
    assert np.abs(np.mean(dips, axis=0)).max() < 0.5


def silence(application: Application) -> bytes:
    return Encoding(OPUS, EncoderSettings(application, bitrate=20_000, complexity=5)).silence()


def decoded(decoder: Decoder, packet: bytes) -> np.ndarray:
    return np.frombuffer(decoder.decode(packet), np.int16).astype(int)


@pytest.mark.parametrize("application", Application)
def test_silence_is_one_inaudible_mono_frame_of_20_ms(application):
    packet = silence(application)
    assert is_plain(packet)
    decoder = Decoder(OPUS)
    for _ in range(50):
        sound = decoded(decoder, packet)
        assert len(sound) == FRAME_SAMPLES
        assert np.abs(sound).max() <= 2


@pytest.mark.parametrize("application", Application)
def test_after_speech_silence_is_quiet_at_once(application):
    encoder = Encoder(OPUS, EncoderSettings(application, bitrate=20_000, complexity=5))
    packet, decoder = silence(application), Decoder(OPUS)
    for pcm in VOICE[:20]:
        decoded(decoder, encoder.encode(pcm))
    decoded(decoder, packet)
    later = np.concatenate([decoded(decoder, packet) for _ in range(10)])
    assert np.abs(later[-320:]).max() <= 8


def test_silence_is_encoded_once():
    encoding = Encoding(OPUS, NORMAL)
    assert encoding.silence() is encoding.silence()
