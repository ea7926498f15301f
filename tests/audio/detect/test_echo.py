"""Echo, from the sizes of packets of real speech."""

import random

import numpy as np
import pytest

from bridge.audio.codec.opus import Application, EncoderSettings
from bridge.audio.detect.echo import (
    AGAIN_SECONDS,
    CHECK_SECONDS,
    MAX_PACKETS,
    EchoDetector,
    PacketSizes,
    Run,
)
from bridge.audio.frame import FRAME_BYTES
from tests.support.packets.rtp_party import encoded
from tests.support.sound.voices import words

SPEECH = EncoderSettings(Application.VOIP, bitrate=24_000, complexity=0)
SECONDS = 20


def talk(voice: int, seed: int) -> np.ndarray:
    """What somebody says in a lively conversation, over the noise of a room."""
    rng = random.Random(seed)
    sound = np.random.default_rng(seed).normal(0.0, 10.0, SECONDS * 16_000)
    at = round(rng.uniform(0.0, 1.0) * 16_000)
    while at < len(sound):
        said = words(voice)
        length = round(rng.uniform(0.5, 4.0) * 16_000)
        begin = rng.randrange(len(said) - length)
        piece = said[begin : begin + length][: len(sound) - at]
        sound[at : at + len(piece)] += piece
        at += length + round(rng.uniform(0.2, 2.0) * 16_000)
    return sound


def packets(sound: np.ndarray, seed: int) -> list[tuple[float, int]]:
    """When each packet of a sound comes over a network, and its size."""
    rng = random.Random(seed)
    pcm = np.clip(sound, -32_768, 32_767).astype("<i2").tobytes()
    frames = [pcm[begin : begin + FRAME_BYTES] for begin in range(0, len(pcm), FRAME_BYTES)]
    sizes = [len(payload) for payload in encoded(SPEECH, frames)]
    return [(0.02 * number + rng.uniform(0.0, 0.02), size) for number, size in enumerate(sizes)]


def found(sent: np.ndarray, received: np.ndarray) -> list[float | None]:
    """The delays that are known after each check."""
    there, back = packets(sent, 1), packets(received, 2)
    detector, delays = EchoDetector(), []
    for now in np.arange(10.0, SECONDS, AGAIN_SECONDS):
        detector.check(before(there, now), before(back, now), now)
        delays.append(detector.delay_seconds)
    return delays


def before(packets: list[tuple[float, int]], now: float) -> PacketSizes:
    sizes = PacketSizes()
    for time, size in packets:
        if time < now:
            sizes.append(time, size)
    return sizes


def delayed(sound: np.ndarray, seconds: float, gain: float) -> np.ndarray:
    count = round(seconds * 16_000)
    room = np.random.default_rng(9).normal(0.0, 10.0, len(sound))
    return room + gain * np.concatenate([np.zeros(count), sound[:-count]])


@pytest.mark.parametrize("voice", [0, 1, 2])
@pytest.mark.parametrize(("seconds", "gain"), [(0.1, 0.3), (0.35, 0.1), (0.75, 0.1)])
def test_what_comes_back_later_and_softer_is_an_echo(
    voice: int, seconds: float, gain: float
) -> None:
    said = talk(voice, seed=voice)
    assert found(said, delayed(said, seconds, gain))[-1] == pytest.approx(seconds, abs=0.06)


@pytest.mark.parametrize("seed", range(8))
def test_people_in_a_lively_conversation_are_no_echo_of_each_other(seed: int) -> None:
    one, other = talk(seed % 3, seed), talk((seed + 1) % 3, seed + 100)
    assert found(one, other) == [None, None, None]


def test_a_party_whose_words_are_repeated_to_it_at_once_is_no_echo() -> None:
    said = talk(0, seed=3)
    assert found(said, said) == [None, None, None]
    assert found(delayed(said, 0.3, 1.0), said) == [None, None, None]


def test_sizes_that_never_change_tell_nothing() -> None:
    steady = [(0.02 * number, 120) for number in range(1000)]
    detector = EchoDetector()
    for now in (10.0, 19.0):
        detector.check(before(steady, now), before(steady, now), now)
    assert detector.delay_seconds is None


def test_a_call_without_packets_has_no_echo() -> None:
    detector = EchoDetector()
    detector.check(PacketSizes(), PacketSizes(), 10.0)
    assert detector.delay_seconds is None


def test_the_checks_of_many_parties_are_spread_over_their_period() -> None:
    begin, detector = 100.0, EchoDetector(phase=0.5)
    said = talk(0, seed=0)
    there, back = packets(said, 1), packets(delayed(said, 0.35, 0.3), 2)
    checked = []
    for now in np.arange(begin, begin + 13.0):
        shifted = [[(begin - 10.0 + time, size) for time, size in one] for one in (there, back)]
        detector.check(before(shifted[0], now), before(shifted[1], now), now)
        if detector.delay_seconds is not None:
            checked.append(float(now - begin))
    assert checked[0] == CHECK_SECONDS / 2 + AGAIN_SECONDS


def test_the_newest_packets_are_kept() -> None:
    sizes = PacketSizes()
    sizes.append(0.0, 1)
    sizes.extend(Run([0.02 * number for number in range(1, 500)], [60] * 499))
    assert sizes.times[-1] == 0.02 * 499
    assert len(sizes.times) == len(sizes.sizes) == MAX_PACKETS
