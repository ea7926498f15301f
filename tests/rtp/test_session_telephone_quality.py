"""What speech sounds like after a session with a codec of the telephone, beside the codec alone."""

import random
import wave
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from scipy.signal import resample_poly

from bridge.audio.codec.codec import G722, PCMA, PCMU
from bridge.audio.codec.coders import make_decoder, make_encoder
from bridge.audio.frame import FRAME_SAMPLES, SILENCE, Frame
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from tests.support.packets.rtp_party import OPUS, Party
from tests.support.sound import speech_compare
from tests.support.sound.speech_compare import clearness, compare

CODECS = pytest.mark.parametrize("codec", [PCMU, PCMA, G722], ids=lambda codec: codec.name)
NAMES = {PCMU: "pcm_mulaw", PCMA: "pcm_alaw", G722: "g722"}
FOLDER = Path(speech_compare.__file__).parent / "speech"
VOICES = ("female_us", "male_gb", "woman_scotland")


@cache
def speech(voice="female_us"):
    with wave.open(str(FOLDER / f"{voice}.wav")) as file:
        said = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return said[: len(said) // FRAME_SAMPLES * FRAME_SAMPLES]


def call(codec, said, *, lost=(), drift=0.0):
    """Say it in one session and bring what another one heard; `drift` is of the sender's clock."""
    audio = NegotiatedAudio(codec=codec, payload_type=codec.payload_type, direction="sendrecv")
    one, other = Party(audio), Party(audio)
    for number in range(len(said) // FRAME_SAMPLES):
        start = number * FRAME_SAMPLES
        pcm = said[start : start + FRAME_SAMPLES].tobytes()
        one.session.push(Frame(pcm, start, "line"), 0.02 * number)
        (data,) = one.rtp
        one.rtp.clear()
        if number not in lost:
            other.session.receive_rtp(data, 0.02 * number * (1 + drift))
    return np.frombuffer(b"".join(frame.pcm for frame in other.frames), "<i2"), other


def alone(codec, said):
    """Encode and decode with FFmpeg, its samples converted by SciPy."""
    wide = codec is G722
    pcm = said if wide else to_pcm(resample_poly(said.astype(float), 1, 2))
    encoder = av.CodecContext.create(NAMES[codec], "w")
    decoder = av.CodecContext.create(NAMES[codec], "r")
    assert isinstance(encoder, AudioCodecContext)
    assert isinstance(decoder, AudioCodecContext)
    for context in (encoder, decoder):
        context.sample_rate = 16_000 if wide else 8_000
        context.layout = "mono"
    encoder.format = "s16"
    frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = encoder.sample_rate
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    pieces = [heard.to_ndarray()[0] for packet in packets for heard in decoder.decode(packet)]
    heard = np.concatenate(pieces)
    return heard if wide else to_pcm(resample_poly(heard.astype(float), 2, 1))


def to_pcm(samples):
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def silenced(codec, said, lost):
    """Decode what is not lost, with silence in the place of the rest."""
    encoder, decoder = make_encoder(codec), make_decoder(codec, OPUS)
    pieces = []
    for number in range(len(said) // FRAME_SAMPLES):
        start = number * FRAME_SAMPLES
        payload = encoder.encode(said[start : start + FRAME_SAMPLES].tobytes())
        pieces.append(SILENCE if number in lost else decoder.decode(payload))
    return np.frombuffer(b"".join(pieces), "<i2")


def losses(said, share):
    chance = random.Random(1)
    frames = len(said) // FRAME_SAMPLES
    return {number for number in range(10, frames - 5) if chance.random() < share}


@CODECS
def test_speech_is_as_clear_as_through_the_codec_alone(codec):
    said = speech()
    heard, _ = call(codec, said)
    assert clearness(said, heard) > clearness(said, alone(codec, said)) - 0.005


@CODECS
def test_speech_with_lost_packets_is_clearer_than_with_silence_in_their_place(codec):
    said, lost = speech(), losses(speech(), 0.05)
    concealed, party = call(codec, said, lost=lost)
    assert party.received.lost == party.received.concealed_frames == len(lost) > 10
    assert clearness(said, concealed) > clearness(said, silenced(codec, said, lost)) + 0.02


@pytest.mark.parametrize("drift", [-2e-4, 2e-4])
def test_a_sender_whose_clock_drifts_loses_nothing(drift):
    said = np.tile(speech(), 4)
    heard, party = call(PCMU, said, drift=drift)
    received = party.received
    assert len(heard) == len(said)
    assert (received.lost, received.late, received.concealed_frames) == (0, 0, 0)
    assert len({frame.epoch for frame in party.frames}) == 1


@pytest.mark.long
@pytest.mark.pesq
@CODECS
def test_three_minutes_sound_as_good_as_through_the_codec_alone(codec):
    said = np.concatenate([speech(voice) for voice in VOICES] * 7)
    heard, party = call(codec, said)
    assert len(said) > 180 * speech_compare.RATE
    assert party.received.frames == len(said) // FRAME_SAMPLES
    begin = 0
    worse = []
    for voice in VOICES * 7:
        piece = speech(voice)
        lag = 16 * 6
        ours = compare(piece, heard[begin : begin + len(piece) + lag])
        worse.append(compare(piece, alone(codec, piece)).pesq - ours.pesq)
        begin += len(piece)
    assert max(worse) < 0.15


@pytest.mark.long
@pytest.mark.pesq
@CODECS
@pytest.mark.parametrize("voice", VOICES)
def test_lost_packets_sound_better_than_silence_in_their_place(codec, voice):
    said, lost = speech(voice), losses(speech(voice), 0.05)
    concealed, _ = call(codec, said, lost=lost)
    assert compare(said, concealed).pesq > compare(said, silenced(codec, said, lost)).pesq + 0.05
