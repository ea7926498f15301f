"""What callers say over and over, and what can be measured of the echo that they hear.

A second of a tone whose first tenth is of another frequency, which marks the time. With pauses,
the second half is silent.
"""

import base64
import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bridge.audio.codec.opus import Decoder
from tests.support.packets.opus_packets import encode
from tests.support.peers.bridge_peer import opus
from tests.support.sound.speech_compare import RATE, Pcm, level_db, longest_gap, tone

TONE, MARK = 440.0, 1000.0
SECONDS = 1.0
PACKET_SECONDS = 0.02
_MARK_SECONDS = 0.1
_STEP = RATE // 200
_WINDOW = RATE // 50


@cache
def said(*, pauses: bool = False) -> Pcm:
    """Make the second that is said."""
    mark, rest = tone(_MARK_SECONDS, MARK), tone(SECONDS - _MARK_SECONDS, TONE)
    sound = np.concatenate([mark, rest])
    if pauses:
        sound = sound.copy()
        sound[len(sound) // 2 :] = 0
    return sound


def recorded(sound: Pcm | None = None, *, pauses: bool = False) -> dict[str, Any]:
    """Describe the second, or another sound, for a program: its samples and its packets."""
    sound = said(pauses=pauses) if sound is None else sound
    packets: list[str | None] = [base64.b64encode(one).decode() for one in encode(sound)]
    if pauses:
        half = len(packets) // 2 + 1  # the first packet after the sound says that it is over
        packets[half:] = [None] * (len(packets) - half)
    pcm = base64.b64encode(sound.astype("<i2").tobytes()).decode()
    return {"rate": RATE, "pcm": pcm, "packets": packets}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a caller heard, and how much later than `said` began over its first sample came out."""

    sound: Pcm
    offset: float
    pause: float = 0.0
    """Seconds that the latest packet came too late by, where packets were heard."""

    @property
    def level(self) -> float:
        """Level in dB below full scale."""
        return level_db(self.sound)

    @property
    def tone(self) -> float:
        """Amplitude of the tone, 0 to 1."""
        return float(np.median(_amplitudes(self.sound, TONE))) if len(self.sound) else 0.0

    @property
    def delay(self) -> float:
        """Seconds there and back, up to one second; NaN if the mark was not heard."""
        marks = _amplitudes(self.sound, MARK)
        if not len(marks) or marks.max() < 0.02:
            return float("nan")
        period = round(SECONDS * RATE / _STEP)
        folded = np.zeros(period)
        for index, amplitude in enumerate(marks):
            folded[index % period] = max(folded[index % period], amplitude)
        length = round(_MARK_SECONDS * RATE / _STEP)
        sums = [np.roll(folded, -begin)[:length].sum() for begin in range(period)]
        # A window of the spectrum is 20 ms long: its middle is 10 ms after its beginning.
        return float((int(np.argmax(sums)) * _STEP / RATE + self.offset + 0.01) % SECONDS)

    @property
    def gap(self) -> float:
        """Seconds of the longest silence, or of the longest wait for a packet."""
        return max(self.pause, longest_gap(self.sound))


def heard(reply: dict[str, Any]) -> Heard:
    """Read a caller's reply to `hear`: packets with their arrival, or samples."""
    if "packets" in reply:
        return _heard_packets(reply["packets"])
    sound = np.frombuffer(base64.b64decode(reply["pcm"]), "<i2")
    factor = reply["rate"] / RATE
    picked = np.round(np.arange(0, len(sound) - 1, factor)).astype(int)
    return Heard(sound[picked].astype(np.int16), reply["offset"] % SECONDS)


def _heard_packets(packets: list[tuple[float, str]]) -> Heard:
    decoder = Decoder(opus())
    pieces = [np.frombuffer(decoder.decode(base64.b64decode(text)), "<i2") for _, text in packets]
    whole = [np.zeros(0, np.int16), *pieces]
    # Of packets that came at once some were late: the least delayed tells the time.
    lead = [at - sum(map(len, pieces[:index])) / RATE for index, (at, _) in enumerate(packets)]
    times = [at for at, _ in packets]
    waits = [later - at - PACKET_SECONDS for at, later in itertools.pairwise(times)]
    offset = min(lead, default=0.0) % SECONDS
    return Heard(np.concatenate(whole), offset, max(waits, default=0.0))


def _amplitudes(sound: Pcm, hertz: float) -> Any:
    """Measure the amplitude of a frequency, 0 to 1, in windows of 20 ms every 5 ms."""
    if len(sound) < _WINDOW:
        return np.zeros(0)
    wave = np.exp(-2j * np.pi * hertz * np.arange(_WINDOW) / RATE) * np.hanning(_WINDOW)
    windows = np.lib.stride_tricks.sliding_window_view(sound / 32768, _WINDOW)[::_STEP]
    return np.abs(windows @ wave) * 4 / _WINDOW
