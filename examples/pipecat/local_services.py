"""Stand-ins for cloud services, so that talk.py needs no keys: they understand no words and speak by espeak-ng."""

import asyncio
import shutil
from collections.abc import AsyncGenerator

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputDTMFFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.utils.time import time_now_iso8601

WAV_HEADER = 44
RATE = 22_050
"""Of espeak-ng."""


class LocalSpeechToText(SegmentedSTTService):
    """Notes how long the caller spoke."""

    def __init__(self) -> None:
        super().__init__(settings=STTSettings(model=None, language=None), ttfs_p99_latency=0.5)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        """Return the transcript of one utterance, a WAV file."""
        seconds = (len(audio) - WAV_HEADER) / 2 / self.sample_rate
        yield TranscriptionFrame(f"(speech of {seconds:.0f} s)", "caller", time_now_iso8601())


class LocalLanguageModel(FrameProcessor):
    """Has one reply to speech, and one to keys."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a finished turn of the caller, or a key."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            turns = sum(message["role"] == "user" for message in frame.context.get_messages())
            await self.push_frame(LLMFullResponseStartFrame())
            await self.push_frame(LLMTextFrame(f"I heard you. That was sentence number {turns}."))
            await self.push_frame(LLMFullResponseEndFrame())
            return
        if isinstance(frame, InputDTMFFrame):
            await self.push_frame(TTSSpeakFrame(f"You pressed {frame.button.value}."))
        await self.push_frame(frame, direction)


class LocalTextToSpeech(TTSService):
    """Speaks by espeak-ng; where that is not installed, hums a tone per word."""

    def __init__(self) -> None:
        super().__init__(settings=TTSSettings(model=None, voice=None, language=None))

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        """Return the audio of one sentence."""
        yield TTSAudioRawFrame(await _speak(text), RATE, 1, context_id=context_id)


async def _speak(text: str) -> bytes:
    if shutil.which("espeak-ng") is None:
        moments = np.arange(RATE // 4) / RATE
        word = 8000 * np.sin(2 * np.pi * 220 * moments) * np.hanning(len(moments))
        return np.tile(word.astype("<i2"), len(text.split())).tobytes()
    command = ("espeak-ng", "--stdout", "--", text)
    espeak = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    wav, _ = await espeak.communicate()
    return wav[WAV_HEADER:]
