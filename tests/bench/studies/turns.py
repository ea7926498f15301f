"""How exactly `turn` events tell what a caller waits: `make turns` compares them with a recording of both sides.

A scripted caller speaks, with noise, jitter and loss, and a stub bot behind a media stream answers after a known
delay. The truth is found offline, in what the caller said and heard, by a detector of its own. Time is virtual: 500 turns take
some minutes.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, Frame
from bridge.node.turns.meter import TurnMeter
from tests.support.clients.caller import Caller
from tests.support.clients.stream_line import LINE, stream_line
from tests.support.servers.stream_customer import RATE, Customer, customer_server
from tests.support.sound.voices import words
from tests.support.virtual_time import VirtualTimeLoop
from tests.support.waiting import until

DELAYS = (0.2, 3.0)
"""Seconds after which the bot answers, the shortest and the longest."""
SNR_DB = 20.0
LOSS = 0.02
JITTER = 0.01
LEAD_SECONDS = 2.5
"""Before the first word, so that the background is known."""
PAUSE_SECONDS = 1.6
HOP = 80
"""Samples of 5 ms."""
MARGIN_DB = 10.0
ANSWER_SECONDS = 1.0
MAX_ERROR = 0.03

Sound = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A turn: its true wait, and what the event says, in seconds."""

    truth: float
    told: float

    @property
    def error(self) -> float:
        return self.told - self.truth


def extent(sound: Sound, noise_rms: float) -> tuple[float, float]:
    """Find where a voice begins and ends, in seconds: the first and the last 5 ms well above the noise."""
    parts = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    floor = max(noise_rms * 10 ** (MARGIN_DB / 20), 60.0)
    loud = np.flatnonzero(np.sqrt(np.mean(parts**2, axis=1)) > floor)
    return float(loud[0]) * HOP / SAMPLE_RATE, float(loud[-1] + 1) * HOP / SAMPLE_RATE


class RecordedCaller(Caller):
    """A caller whose sound is recorded, both ways, each sample with its time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = np.random.default_rng(seed)
        self.noise_rms = 0.0
        self.ears: list[tuple[float, bytes]] = []

    @override
    def push(self, frame: Frame, now: float) -> None:
        self.ears.append((now, frame.pcm))

    async def speak(self, sound: Sound) -> float:
        """Send a sound over a network that loses and delays packets; return when its first sample was said."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        frames = len(sound) // FRAME_SAMPLES
        for number in range(frames):
            said = began + (number + 1) * FRAME_SECONDS
            jitter = self.chance.uniform(0, JITTER)
            await asyncio.sleep(max(0.0, said + jitter - loop.time()))
            part = sound[number * FRAME_SAMPLES :][:FRAME_SAMPLES]
            if self.to is not None and self.chance.random() >= LOSS:
                pcm = np.clip(part, -32768, 32767).astype("<i2").tobytes()
                self.to(Frame(pcm, self._pts, 1), loop.time())
            self._pts += FRAME_SAMPLES
        return began

    def noise(self, seconds: float) -> Sound:
        return self.chance.normal(0, self.noise_rms, round(seconds * SAMPLE_RATE))

    def heard_from(self, after: float) -> float:
        """Return when the first voice after a time was heard."""
        later = [(now, pcm) for now, pcm in self.ears if now >= after]
        for now, pcm in later:
            samples = np.frombuffer(pcm, "<i2").astype(float)
            if np.sqrt(np.mean(samples**2)) > 30 and np.abs(samples).max() > 200:
                return now + extent(samples, 0.0)[0]
        raise LookupError("nothing was heard")


async def measure(turns: int, seed: int = 1) -> list[Measured]:
    """Hold a talk of so many turns in one call, or several of 50."""
    found: list[Measured] = []
    while len(found) < turns:
        found += await _one_call(min(50, turns - len(found)), seed + len(found))
    return found


async def _one_call(turns: int, seed: int) -> list[Measured]:
    truths: list[float] = []
    async with customer_server() as server, stream_line(server.url) as line:
        caller = RecordedCaller(seed)
        await line.manager.receive(LINE, "15550100002", caller)
        customer = await server.customer()
        await until(lambda: customer.of("media"))
        voices = [words(index).astype(float) for index in range(3)]
        caller.noise_rms = float(np.sqrt(np.mean(voices[0] ** 2))) * 10 ** (-SNR_DB / 20)
        await caller.speak(caller.noise(LEAD_SECONDS))
        for number in range(turns):
            voice = voices[number % 3]
            sound = voice + caller.noise(len(voice) / SAMPLE_RATE)
            began = await caller.speak(sound)
            ended = began + extent(sound, caller.noise_rms)[1]
            delay = caller.chance.uniform(*DELAYS)
            answer = _at_rate(_beginning(voices[(number + 1) % 3]))
            answering = asyncio.create_task(_answer(customer, delay, answer))
            await caller.speak(caller.noise(delay + ANSWER_SECONDS + PAUSE_SECONDS))
            await answering
            truths.append(caller.heard_from(ended + DELAYS[0] / 2) - ended)
        caller.hang_up()
        await until(lambda: line.published.of("call.ended"))
        told = [float(str(turn["waitMs"])) / 1000 for turn in line.published.of("turn")]
    if len(told) != len(truths):
        raise AssertionError(f"{len(truths)} turns, but {len(told)} events: {truths} {told}")
    return [Measured(*pair) for pair in zip(truths, told, strict=True)]


async def _answer(customer: Customer, delay: float, pcm: bytes) -> None:
    await asyncio.sleep(delay)
    await customer.play(pcm)


def _beginning(voice: Sound) -> Sound:
    """Return an answer's length of a voice, faded out: what is cut off clicks, now or when the stream goes on."""
    cut = voice[: round(ANSWER_SECONDS * SAMPLE_RATE)].copy()
    cut[-SAMPLE_RATE // 10 :] *= np.linspace(1, 0, SAMPLE_RATE // 10) ** 2
    return cut


def _at_rate(sound: Sound) -> bytes:
    places = np.arange(round(len(sound) * RATE / SAMPLE_RATE)) * SAMPLE_RATE / RATE
    return np.interp(places, np.arange(len(sound)), sound).astype("<i2").tobytes()


class _Nobody:
    def answered(self, *_: object, **more: object) -> None:
        pass

    def over(self, *_: object) -> None:
        pass


def cost(seconds: int = 60) -> float:
    """Return the share of a core that metering a call takes: both sides talk all the time, the fastest of five rounds."""
    voice = words(0)
    frames = [voice[at : at + FRAME_SAMPLES].tobytes() for at in range(0, 50 * 320, FRAME_SAMPLES)]

    def run(*, metered: bool) -> float:
        now = [0.0]
        take = iter(frames * seconds)
        pull, push = partial(next, take), lambda _frame, _now: None
        if metered:
            meter = TurnMeter(
                pull,
                push,
                now=lambda: now[0],
                delay=lambda: 0.02,
                queues=None,
                filling=lambda: False,
                turns=_Nobody(),
            )
            pull, push = meter.pull, meter.push  # type: ignore[assignment]
        began = time.process_time()
        for pcm in frames * seconds:
            now[0] += FRAME_SECONDS
            pull()
            push(Frame(pcm, 0, 0), now[0])
        return time.process_time() - began

    return (
        min(run(metered=True) for _ in range(5)) - min(run(metered=False) for _ in range(5))
    ) / seconds


def report(found: list[Measured], share: float) -> str:
    errors = 1000 * np.array([one.error for one in found])
    size = np.abs(errors)
    return (
        f"{len(found)} turns: error p50 {np.percentile(size, 50):.1f} ms, p95 {np.percentile(size, 95):.1f} ms, "
        f"max {size.max():.1f} ms, mean {errors.mean():+.1f} ms; metering a call takes {100 * share:.3f} % of a core"
    )


def main() -> None:
    """Measure, print, and fail above 30 ms at p95."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=500)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        found = runner.run(measure(arguments.turns))
    print(report(found, cost()))
    if np.percentile([abs(one.error) for one in found], 95) > MAX_ERROR:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
