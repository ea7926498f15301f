"""What each judge of voices costs, takes for a voice, and misses: `make vads` writes the table anew.

Voices are mixed with noises and go frame by frame through the agent's own turn taking, so that the
figures are those a caller would see: when an agent pauses, stops, and takes an utterance as ended.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from bridge.agent.turns import TurnDetector, TurnEvent, VoiceDetector
from bridge.agent.voice_detector import Silero, silero
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE
from bridge.settings.agent import Agent
from tests.docs.measured import write_figures
from tests.support.peers.stock_peer import read_wav
from tests.support.sound.noises import Sound, noises, white
from tests.support.sound.voices import SPEECH

PAGE = Path(__file__).parents[3] / "docs" / "voice-activity.md"

SNRS = (None, 20, 10, 5)
"""dB between the voice and the noise; None: no noise."""
SPEECH_RMS = 0.1 * 32768
"""-20 dBFS, as loud as the voices are."""
LEAD_SECONDS = 3.0
TAIL_SECONDS = 2.0
NOISE_SECONDS = 60.0
NOISE_DB = -10.0
"""Of a noise without a voice, against the voices."""
FIRST_AFTER = 0.6
"""Seconds after the beginning of an utterance in which its start must be seen."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to judge."""

    name: str
    judge: Callable[[], VoiceDetector | None]


@dataclass(slots=True)
class Seen:
    """What turn taking made of one recording: when, in seconds, each moment came."""

    moments: list[tuple[float, TurnEvent]]
    microseconds: float
    """A frame."""

    def times(self, *which: TurnEvent) -> list[float]:
        return [at for at, moment in self.moments if moment in which]


@dataclass(frozen=True, slots=True)
class Utterance:
    """A voice in a noise, and when it speaks."""

    sound: bytes
    begins: float
    ends: float


class WebRtc:
    """Google's detector of 2011."""

    def __init__(self, strictness: int) -> None:
        self._vad = import_module("webrtcvad").Vad(strictness)

    def reset(self) -> None:
        pass

    def push(self, pcm: bytes) -> bool:
        return bool(self._vad.is_speech(pcm, SAMPLE_RATE))


def ways() -> list[Way]:
    """Return all that can be measured here."""
    found = [
        Way("energy", lambda: None),
    ]
    make = silero()
    if make is not None:
        found.append(Way("energy, then Silero", lambda: Silero(make())))
    try:
        import_module("webrtcvad")
    except ImportError:
        return found
    return [*found, *(Way(f"energy, then WebRTC {n}", lambda n=n: WebRtc(n)) for n in (1, 3))]  # type: ignore[misc]


# Measuring


def utterances(snr: int | None) -> Iterator[Utterance]:
    """Return every voice in every noise, as loud as that."""
    for number, path in enumerate(SPEECH):
        voice = read_wav(path).astype(float)
        begins, ends = _extent(voice)
        quiet = (
            np.zeros(round(LEAD_SECONDS * SAMPLE_RATE)),
            np.zeros(round(TAIL_SECONDS * SAMPLE_RATE)),
        )
        whole = np.concatenate([quiet[0], voice, quiet[1]])
        for make in noises().values():
            noise = make(len(whole) / SAMPLE_RATE + 1, number)[: len(whole)]
            power = 0.0 if snr is None else SPEECH_RMS * 10 ** (-snr / 20)
            hiss = 10 * white(len(whole) / SAMPLE_RATE + 1, number)[: len(whole)]  # no line is dead
            yield Utterance(
                _samples(whole + power * noise + hiss), LEAD_SECONDS + begins, LEAD_SECONDS + ends
            )
            if snr is None:
                break


def onset(voice: Sound) -> float:
    """Say when the first word begins."""
    return _extent(voice)[0]


def _extent(voice: Sound) -> tuple[float, float]:
    """Say when the first word begins and the last one ends."""
    frames = voice[: len(voice) // 160 * 160].reshape(-1, 160)
    loud = np.flatnonzero(np.sqrt(np.mean(frames**2, axis=1)) > SPEECH_RMS * 10 ** (-25 / 20))
    return float(loud[0]) * 0.01, float(loud[-1] + 1) * 0.01


def _samples(sound: Sound) -> bytes:
    return np.clip(sound, -32768, 32767).astype("<i2").tobytes()


def see(way: Way, sound: bytes, *, speaking: bool) -> Seen:
    """Take turns with a recording."""
    turns = TurnDetector(detector=way.judge())
    moments = []
    count = len(sound) // FRAME_BYTES
    began = time.process_time()
    for number in range(count):
        pcm = sound[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]
        moment = turns.push(pcm, busy=True, speaking=speaking)
        if moment is not None:
            moments.append(((number + 1) * FRAME_SECONDS, moment))
    return Seen(moments, 1e6 * (time.process_time() - began) / count)


@dataclass(frozen=True, slots=True)
class Heard:
    """How a way did with voices: in milliseconds, median and 95th percentile."""

    paused: tuple[float, float]
    """From the beginning of speech until we are still."""
    stopped: tuple[float, float]
    """Until it is certain."""
    missed: float
    """Share of the utterances that were not seen in `FIRST_AFTER`."""
    ended: tuple[float, float]
    """From the end of speech, beyond the silence that is waited for."""
    cut: float
    """Share that were taken as ended in the middle: of several sentences, or never."""


def hear(way: Way, snr: int | None) -> Heard:
    """Let a way hear all voices."""
    paused, stopped, ended = [], [], []
    missed = cut = count = 0
    for one in utterances(snr):
        count += 1
        seen = see(way, one.sound, speaking=True)
        before = one.begins - 0.05
        first = [at for at in seen.times(TurnEvent.NOTICED, TurnEvent.STARTED) if at > before]
        started = [at for at in seen.times(TurnEvent.STARTED) if at > before]
        last = [at for at in seen.times(TurnEvent.ENDED) if at > one.begins]
        if not started or started[0] > one.begins + FIRST_AFTER:
            missed += 1
        else:
            paused.append(1000 * (min(first) - one.begins))
            stopped.append(1000 * (started[0] - one.begins))
        ending = [at for at in last if at > one.ends + 0.1]
        cut += len(last) - len(ending) > 0 or not ending
        if ending:
            ended.append(1000 * (ending[0] - one.ends - Agent().end_seconds))
    return Heard(_spread(paused), _spread(stopped), missed / count, _spread(ended), cut / count)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return (float("nan"), float("nan"))
    return statistics.median(values), float(np.percentile(values, 95))


@dataclass(frozen=True, slots=True)
class Fooled:
    """What noises without a voice did in a minute."""

    pauses: float
    stops: float
    microseconds: float


def fool(way: Way, name: str) -> Fooled:
    """Let a way hear a minute of a noise."""
    noise = noises()[name](NOISE_SECONDS, 7) * SPEECH_RMS * 10 ** (NOISE_DB / 20)
    seen = see(way, _samples(noise), speaking=True)
    return Fooled(
        len(seen.times(TurnEvent.NOTICED)), len(seen.times(TurnEvent.STARTED)), seen.microseconds
    )


# The page


def voices_table(measured: Sequence[tuple[Way, int | None, Heard]]) -> str:
    lines = [
        "| way | SNR | still after ms (median / p95) | certain after ms | missed | "
        "ended late by ms | cut or endless |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, snr, got in measured:
        spreads = [f"{one[0]:.0f} / {one[1]:.0f}" for one in (got.paused, got.stopped, got.ended)]
        noise = "no noise" if snr is None else f"{snr} dB"
        lines.append(
            f"| {way.name} | {noise} | {spreads[0]} | {spreads[1]} | {got.missed:.0%} | "
            f"{spreads[2]} | {got.cut:.0%} |"
        )
    return "\n".join(lines) + "\n"


def noises_table(measured: Sequence[tuple[Way, dict[str, Fooled]]]) -> str:
    names = list(noises())
    lines = [
        "| way | " + " | ".join(names) + " | µs a frame in them |",
        "|---" * (len(names) + 2) + "|",
    ]
    for way, got in measured:
        cells = [f"{got[name].pauses:.0f} / {got[name].stops:.0f}" for name in names]
        cost = statistics.fmean(got[name].microseconds for name in names)
        lines.append(f"| {way.name} | " + " | ".join(cells) + f" | {cost:.0f} |")
    return "\n".join(lines) + "\n"


def cost(way: Way) -> tuple[float, float]:
    """Measure microseconds a frame, the fastest of five rounds: of silence, and of a voice."""
    hush = _samples(5 * white(10.0, 1))
    voice = b"".join(read_wav(path).tobytes() for path in SPEECH)
    rounds = [(see(way, hush, speaking=False), see(way, voice, speaking=False)) for _ in range(5)]
    return min(one.microseconds for one, _ in rounds), min(two.microseconds for _, two in rounds)


def costs_table(all_ways: Sequence[Way]) -> str:
    lines = ["| way | µs a frame of silence | of speech |", "|---|---|---|"]
    for way in all_ways:
        silence, speech = cost(way)
        lines.append(f"| {way.name} | {silence:.0f} | {speech:.0f} |")
    return "\n".join(lines) + "\n"


def report() -> str:
    """Measure everything."""
    chosen = ways()
    heard = [(way, snr, hear(way, snr)) for snr in SNRS for way in chosen]
    fooled = [(way, {name: fool(way, name) for name in noises()}) for way in chosen]
    return (
        f"Measured on: {platform.processor() or platform.machine()}, {platform.system()} "
        f"{platform.release()}, one core.\n\n"
        f"Voice detectors in noises:\n\n{voices_table(heard)}\n"
        f"A minute of each noise alone, 10 dB under a voice; pauses / stops:\n\n"
        f"{noises_table(fooled)}\nCost:\n\n{costs_table(chosen)}"
    )


def main() -> None:
    """Measure, and write the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="print the tables; write no file")
    arguments = parser.parse_args()
    written = report()
    if arguments.print:
        print(written)
        return
    write_figures(PAGE, written)


if __name__ == "__main__":
    main()
