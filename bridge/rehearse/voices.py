"""The speech of scripted callers: synthesized by espeak-ng and cached on disk, or read from WAV files."""

import asyncio
import hashlib
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from bridge.audio.codec.resample import Resampler
from bridge.audio.file.wav import parse_wav
from bridge.audio.frame import SAMPLE_RATE
from bridge.errors import BridgeError
from bridge.rehearse.background import at_level
from bridge.rehearse.scenario import (
    Backchannel,
    BargeIn,
    Caller,
    Loss,
    Noise,
    Play,
    Say,
    Scenario,
    Step,
)
from bridge.rehearse.scenario_file import ScenarioError
from bridge.rehearse.talk import Cue

SPEAK_SECONDS: Final = 30.0
EDGE: Final = 0.01
"""Of its peak: softer sound before the first word and after the last is cut."""
BLOCK: Final = 80
"""Samples of 5 ms, in which the first and the last word are looked for."""
VERSION: Final = "1"
"""Of what is cached."""
BABBLE: Final = (
    (
        "en-us+m1",
        "The train to the north leaves at seven, and we have not packed a single bag yet.",
    ),
    ("en-us+f2", "I told her twice that the meeting was moved, but she never reads what I write."),
    (
        "en-us+m4",
        "Two coffees, please, and one of these with sugar. No, the other one, on the left.",
    ),
    ("en-us+f4", "It has rained since Monday, and they say that it will go on until the weekend."),
)
NO_ESPEAK: Final = (
    "espeak-ng, which synthesizes the caller's speech, is not installed: install it (apt-get install espeak-ng), "
    "or let the caller play WAV files"
)


def default_cache() -> Path:
    """Return the folder of the user's caches for spoken texts."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "media-bridge" / "voices"


class Voices:
    """Synthesizes texts, each once for all runs."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._program = shutil.which("espeak-ng")
        self._at_once = asyncio.Semaphore(os.cpu_count() or 1)

    async def cues(self, scenario: Scenario) -> tuple[Cue, ...]:
        """Return the steps with their sounds, after two for the caller's initial noise and loss.

        Raises:
            ScenarioError: a text cannot be synthesized, or a file not read.
        """
        caller = scenario.caller
        first = (Noise(noise=caller.noise, snr=caller.snr), Loss(loss=caller.loss))
        steps: tuple[Step, ...] = (*first, *scenario.steps)
        try:
            sounds = await asyncio.gather(*(self._sound(scenario, step) for step in steps))
        except ScenarioError as error:
            raise ScenarioError(f"{scenario.file}: {error}") from None
        return tuple(Cue(step, sound) for step, sound in zip(steps, sounds, strict=True))

    async def _sound(self, scenario: Scenario, step: Step) -> bytes:
        folder, caller = Path(scenario.file).parent, scenario.caller
        match step:
            case Say():
                return await self._spoken(caller, step, step.say)
            case Backchannel():
                return await self._spoken(caller, step, step.backchannel)
            case BargeIn():
                return await self._spoken(caller, step, step.barge_in)
            case Play():
                sound = _read(folder / step.play)
                return sound if step.level is None else scaled(sound, step.level)
            case Noise(noise="babble"):
                spoken = [await self.speak(text, voice, 160, 50) for voice, text in BABBLE]
                return mixed(spoken)
            case Noise(noise=name) if (folder / name).is_file():
                return _read(folder / name)
        return b""

    async def _spoken(self, caller: Caller, step: Say | Backchannel | BargeIn, text: str) -> bytes:
        speed = caller.speed if step.speed is None else step.speed
        pitch = caller.pitch if step.pitch is None else step.pitch
        sound = await self.speak(text, step.voice or caller.voice, speed, pitch)
        return scaled(sound, caller.level if step.level is None else step.level)

    async def speak(self, text: str, voice: str, speed: int, pitch: int) -> bytes:
        """Return a spoken text without silence around it.

        Raises:
            ScenarioError: espeak-ng is missing, does not know the voice, or is silent.
        """
        named = "\0".join((VERSION, text, voice, str(speed), str(pitch)))
        path = self._cache / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.pcm"
        with suppress(OSError):
            if cached := path.read_bytes():
                return cached
        if self._program is None:
            raise ScenarioError(NO_ESPEAK)
        async with self._at_once:
            wav = await _run(self._program, text, voice, speed, pitch)
        sound = trimmed(_to_call_audio(wav, f"espeak-ng with the voice {voice}"))
        if not sound:
            raise ScenarioError(f"espeak-ng says nothing for {text!r}")
        with suppress(OSError):
            self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(sound)
            part.replace(path)
        return sound


async def _run(program: str, text: str, voice: str, speed: int, pitch: int) -> bytes:
    # The text goes to stdin: it may begin with a dash.
    process = await asyncio.create_subprocess_exec(
        *(program, "--stdin", "--stdout", "-v", voice, "-s", str(speed), "-p", str(pitch)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        async with asyncio.timeout(SPEAK_SECONDS):
            wav, _ = await process.communicate(text.encode())
    except TimeoutError:
        raise ScenarioError(
            f"espeak-ng did not synthesize {text!r} within {SPEAK_SECONDS:g} s"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not wav:
        raise ScenarioError(f"espeak-ng has no voice {voice!r} (espeak-ng --voices lists them)")
    return wav


def _read(path: Path) -> bytes:
    try:
        return _to_call_audio(path.read_bytes(), str(path))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None


def _to_call_audio(data: bytes, name: str) -> bytes:
    """Return a WAV file as 16 kHz mono samples."""
    try:
        wav = parse_wav(data)
        samples = np.frombuffer(
            wav.pcm[: len(wav.pcm) // (2 * wav.channels) * 2 * wav.channels], "<i2"
        )
        mono = samples.reshape(-1, wav.channels).mean(axis=1).astype("<i2").tobytes()
        if wav.rate == SAMPLE_RATE:
            return bytes(mono)
        resampler = Resampler(wav.rate, SAMPLE_RATE)
        return bytes(resampler.process(mono) + resampler.flush())
    except (BridgeError, ValueError) as error:
        raise ScenarioError(f"{name}: {error}") from None


def trimmed(sound: bytes) -> bytes:
    """Return a sound without the silence before its first word and after its last."""
    samples = np.frombuffer(sound, "<i2")
    blocks = np.abs(samples[: len(samples) // BLOCK * BLOCK].astype(int)).reshape(-1, BLOCK)
    peaks = blocks.max(axis=1, initial=0)
    loud = np.flatnonzero(peaks > max(1.0, EDGE * float(peaks.max(initial=0))))
    if not len(loud):
        return b""
    return bytes(samples[loud[0] * BLOCK : (loud[-1] + 1) * BLOCK].tobytes())


def scaled(sound: bytes, dbov: float) -> bytes:
    """Return a sound at a level, in dB relative to full scale."""
    louder = at_level(np.frombuffer(sound, "<i2").astype(float), dbov)
    return bytes(np.clip(np.rint(louder), -32768, 32767).astype("<i2").tobytes())


def mixed(sounds: Sequence[bytes]) -> bytes:
    """Return several voices at once, each repeated until the longest is over."""
    voices = [np.frombuffer(sound, "<i2").astype(float) for sound in sounds]
    longest = max(map(len, voices))
    total = sum((np.resize(voice, longest) for voice in voices), np.zeros(longest)) / len(voices)
    return bytes(np.rint(total).astype("<i2").tobytes())
