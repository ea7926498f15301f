"""A sound card made of software: a PulseAudio server of one's own, whose microphone plays files and whose speaker is recorded."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.support.sound.speech_compare import RATE, Pcm

START_SECONDS = 20.0
STOP_SECONDS = 5.0
SPEAKER, VOICE, MICROPHONE = "speaker", "voice", "microphone"
MODULES = (
    f"module-null-sink sink_name={SPEAKER} rate=48000 channels=1",
    f"module-null-sink sink_name={VOICE} rate=48000 channels=1",
    f"module-remap-source master={VOICE}.monitor source_name={MICROPHONE}",
)
"""What is played to `VOICE` is heard at `MICROPHONE`."""


@dataclass(frozen=True, slots=True)
class SoundCard:
    """A running server."""

    environment: Mapping[str, str]
    """For programs that are to use it."""

    async def converse(self, said: Path, seconds: float) -> Pcm:
        """Say a WAV file into the microphone, and return what the speaker plays from its beginning on."""
        recorder = await self._start(
            *("parec", "--device", f"{SPEAKER}.monitor", "--raw", "--latency-msec", "20"),
            *("--format", "s16le", "--rate", str(RATE), "--channels", "1"),
        )
        assert recorder.stdout
        try:
            await recorder.stdout.readexactly(2)
            player = await self._start(
                "paplay", "--device", VOICE, "--latency-msec", "20", str(said)
            )
            try:
                sound = await recorder.stdout.readexactly(2 * round(seconds * RATE))
            finally:
                await _end(player)
        finally:
            await _end(recorder)
        return np.frombuffer(sound, "<i2")

    async def choose_devices(self) -> None:
        """Wait until the server answers, and make its speaker and microphone the default ones."""
        async with asyncio.timeout(START_SECONDS):
            while not await self._control("set-default-sink", SPEAKER):
                await asyncio.sleep(0.05)
        assert await self._control("set-default-source", MICROPHONE)

    async def _control(self, *arguments: str) -> bool:
        return await (await self._start("pactl", *arguments)).wait() == 0

    async def _start(self, *command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )


@asynccontextmanager
async def sound_card() -> AsyncIterator[SoundCard]:
    """Run a PulseAudio server that nobody else uses, in a folder of its own."""
    with TemporaryDirectory(prefix="pulse-", ignore_cleanup_errors=True) as folder:
        places = ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH")
        socket = f"module-native-protocol-unix socket={folder}/socket auth-anonymous=1"
        process = await asyncio.create_subprocess_exec(
            *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
            *("--realtime=no", "--high-priority=no", "--log-level=error"),
            *(f"--load={module}" for module in (socket, *MODULES)),
            env=os.environ | dict.fromkeys(places, folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            card = SoundCard({"PULSE_SERVER": f"unix:{folder}/socket"})
            await card.choose_devices()
            yield card
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
