import numpy as np
import pytest

from bridge.audio.codec.sample_encoding import MIN_BYTES, guess_encoding
from bridge.legs.simulator import parse_speech
from bridge.providers.simulator.provider import SPEECH
from bridge.wire.stream.media_format import Encoding, MediaEncoder, MediaFormat

VOICE = parse_speech(SPEECH.read_bytes())


def encoded(encoding: Encoding, rate: int) -> bytes:
    encoder = MediaEncoder(MediaFormat(encoding, rate))
    frames = (VOICE[at : at + 640] for at in range(0, len(VOICE), 640))
    return b"".join(message for frame in frames for message in encoder.encode(frame))


def guesses(data: bytes, length: int) -> list[str | None]:
    return [guess_encoding(data[at : at + length]) for at in range(0, len(data) - length, length)]


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_speech_is_recognised_in_every_encoding_and_never_taken_for_another(
    encoding: Encoding, rate: int
) -> None:
    found = guesses(encoded(encoding, rate), rate * encoding.sample_bytes // 2)
    assert set(found) <= {encoding.value, None}
    assert found.count(encoding.value) > len(found) / 2


def test_swapped_bytes_are_recognised() -> None:
    swapped = np.frombuffer(VOICE, "<i2").astype(">i2").tobytes()
    found = guesses(swapped, 16000)
    assert set(found) <= {"s16be", None}
    assert found.count("s16be") > len(found) / 2


@pytest.mark.parametrize(
    "data",
    [
        bytes(32000),
        np.random.default_rng(1).integers(-9000, 9000, 16000).astype("<i2").tobytes(),
        np.random.default_rng(1).integers(-20, 20, 16000).astype("<i2").tobytes(),
        VOICE[: MIN_BYTES - 2],
    ],
    ids=["silence", "noise", "room", "short"],
)
def test_what_is_no_speech_tells_nothing(data: bytes) -> None:
    assert guess_encoding(data) is None
