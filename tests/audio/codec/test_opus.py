import importlib.util
from importlib.machinery import ModuleSpec

import numpy as np
import pytest

from bridge.audio.codec.encoder_level import NORMAL, choose
from bridge.audio.codec.opus import (
    SYSTEM_NAME,
    Application,
    Decoder,
    Encoder,
    EncoderSettings,
    candidates,
    load,
)
from bridge.errors import LocalProtocolError, OpusMissing, RemoteProtocolError
from tests.support.sound.lookahead import lookahead

FEC = EncoderSettings(Application.VOIP, bitrate=32_000, complexity=5, fec=True, expected_loss=20)


@pytest.fixture(scope="module")
def opus():
    return load(candidates())


def voice(seconds: float) -> np.ndarray:
    """A voice-like tone that changes all the time, so that a lost frame cannot be guessed well."""
    times = np.arange(int(16_000 * seconds)) / 16_000
    pitch = 130 + 40 * np.sin(2 * np.pi * 1.7 * times) + 25 * np.sin(2 * np.pi * 6.1 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 16))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 3.3 * times)
    return (4000 * harmonics * envelope).astype(np.int16)


def frames(samples: np.ndarray) -> list[bytes]:
    return [samples[start : start + 320].tobytes() for start in range(0, len(samples) - 319, 320)]


def samples(pieces: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(pieces), np.int16).astype(float)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.dot(one, other) / np.sqrt(np.dot(one, one) * np.dot(other, other)))


def signal_to_noise(reference: np.ndarray, heard: np.ndarray) -> float:
    noise = heard - reference
    return float(10 * np.log10(np.dot(reference, reference) / np.dot(noise, noise)))


def test_the_library_names_its_version(opus):
    assert opus.version.startswith("libopus ")


def test_a_missing_library_says_what_to_install():
    with pytest.raises(OpusMissing, match=r"libopus0.*no-such-library\.so"):
        load(["no-such-library.so"])


def test_a_library_that_is_not_opus_is_passed_over(opus):
    assert load(["libc.so.6", opus.path]).path == opus.path


def test_the_normal_level_keeps_the_waveform(opus):
    reference = voice(1.0)
    encoder, decoder = Encoder(opus, NORMAL), Decoder(opus)
    heard = samples([decoder.decode(encoder.encode(frame)) for frame in frames(reference)])
    delay = lookahead(opus, encoder)
    assert signal_to_noise(reference[3200:-delay].astype(float), heard[3200 + delay :]) > 15


def test_the_normal_level_looks_ahead_2_5_ms(opus):
    assert lookahead(opus, Encoder(opus, NORMAL)) == 40


def test_silk_looks_ahead_6_5_ms(opus):
    assert lookahead(opus, Encoder(opus, choose(20_000))) == 104


def test_a_packet_decodes_to_20_ms(opus):
    packet = Encoder(opus, NORMAL).encode(bytes(640))
    assert len(Decoder(opus).decode(packet)) == 640


def test_a_low_rate_is_kept(opus):
    encoder = Encoder(opus, choose(20_000))
    sizes = [len(encoder.encode(frame)) for frame in frames(voice(2.0))]
    assert sum(sizes) * 8 / 2.0 < 22_000


def test_a_stereo_packet_is_decoded_to_mono(opus):
    # TOC: CELT fullband 20 ms, stereo; an empty frame is silence.
    assert len(Decoder(opus).decode(bytes([31 << 3 | 4, 0xFF, 0xFE]))) == 640


def test_a_concealed_frame_goes_on_with_the_sound(opus):
    tone = (8000 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)).astype(np.int16)
    encoder, decoder = Encoder(opus, NORMAL), Decoder(opus)
    heard = [decoder.decode(encoder.encode(frame)) for frame in frames(tone)[:25]]
    made_up = samples([decoder.conceal()])
    before = samples([heard[-1]])
    assert np.abs(made_up).mean() > 0.5 * np.abs(before).mean()
    assert correlation(made_up, before) > 0.9


@pytest.mark.parametrize("wanted", [40, 80, 160, 320, 640, 960, 1920])
def test_concealment_has_the_length_asked_for(opus, wanted):
    decoder = Decoder(opus)
    decoder.decode(Encoder(opus, NORMAL).encode(bytes(640)))
    assert len(decoder.conceal(wanted)) == 2 * wanted


def test_concealment_before_the_first_packet_is_silence(opus):
    assert Decoder(opus).conceal() == bytes(640)


def lossy(opus, *, use_fec: bool) -> tuple[np.ndarray, np.ndarray]:
    """Lose every fifth packet; give what should have been heard in the holes, and what was."""
    reference = voice(4.0)
    encoder, decoder, whole = Encoder(opus, FEC), Decoder(opus), Decoder(opus)
    packets = [encoder.encode(frame) for frame in frames(reference)]
    wanted, got = [], []
    skip = False
    for index, packet in enumerate(packets):
        expected = whole.decode(packet)
        if index > 10 and index % 5 == 0:
            wanted.append(expected)
            skip = True
            continue
        if skip:
            got.append(decoder.recover(packet) if use_fec else decoder.conceal())
            skip = False
        decoder.decode(packet)
    return samples(wanted[: len(got)]), samples(got)


def test_fec_recovers_what_concealment_can_only_guess(opus):
    with_fec = correlation(*lossy(opus, use_fec=True))
    without = correlation(*lossy(opus, use_fec=False))
    assert with_fec > 0.9
    assert with_fec > without + 0.1


def test_recovery_without_fec_in_the_packet_is_concealment(opus):
    encoder, decoder = Encoder(opus, NORMAL), Decoder(opus)
    packets = [encoder.encode(frame) for frame in frames(voice(0.5))]
    for packet in packets[:10]:
        decoder.decode(packet)
    recovered = samples([decoder.recover(packets[11])])
    assert len(recovered) == 320
    assert np.abs(recovered).max() > 0


def test_a_reset_decoder_has_forgotten_the_sound(opus):
    encoder, decoder = Encoder(opus, NORMAL), Decoder(opus)
    for frame in frames(voice(0.5)):
        decoder.decode(encoder.encode(frame))
    decoder.reset()
    assert decoder.conceal() == bytes(640)


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\xff\x40", b"\x02\xff"])
def test_a_broken_packet_is_the_senders_fault(opus, payload):
    with pytest.raises(RemoteProtocolError):
        Decoder(opus).decode(payload)


def test_an_empty_packet_cannot_be_recovered_from(opus):
    with pytest.raises(RemoteProtocolError):
        Decoder(opus).recover(b"")


def test_only_whole_frames_are_encoded(opus):
    with pytest.raises(LocalProtocolError, match="640"):
        Encoder(opus, NORMAL).encode(bytes(320))


def test_settings_libopus_refuses_are_our_fault(opus):
    with pytest.raises(LocalProtocolError):
        Encoder(opus, EncoderSettings(Application.VOIP, bitrate=20_000, complexity=11))


def test_the_bundled_library_is_tried_before_the_systems():
    names = candidates()
    assert "av.libs" in names[0]
    assert names[-1] == SYSTEM_NAME


def test_the_operators_choice_is_the_only_one_tried():
    assert candidates("/opt/opus/libopus.so") == ("/opt/opus/libopus.so",)


def test_the_bundled_library_can_be_loaded():
    path = candidates()[0]
    assert load([path]).path == path


def test_without_pyav_the_systems_library_is_left(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert candidates() == (SYSTEM_NAME,)


def test_a_pyav_without_a_bundled_library_leaves_the_systems(monkeypatch, tmp_path):
    spec = ModuleSpec("av", None, origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    assert candidates() == (SYSTEM_NAME,)
