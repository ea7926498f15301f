"""Providers for demonstrations, which need no account.

STT returns the duration of the speech, the LLM a few fixed replies; with a `PhraseRecognizer` they understand the questions
of `agent.questions`. TTS is espeak-ng if installed, otherwise tones.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from bridge.agent.answers import NOT_UNDERSTOOD, CallSituation, answer
from bridge.agent.audio_converter import to_call_audio
from bridge.agent.filler import tone
from bridge.agent.phrase_recognizer import PhraseRecognizer
from bridge.agent.provider_client import TimeBudget
from bridge.agent.providers import HangUp, Message, ProviderFailed, Providers, Recognized
from bridge.agent.questions import Question, question_of
from bridge.audio.frame import SAMPLE_RATE
from bridge.errors import BridgeError

SPEAK_SECONDS: Final = 10.0
PIECE_BYTES: Final = 16384
MAX_SECONDS: Final = 60.0
GREETING: Final = (
    "Hello! This is a demonstration: I hear that you speak, but I understand no words. "
    "Say something."
)
REPLIES: Final = (
    "Thank you. {said} With a real provider, I would answer what you say.",
    "{said} You can interrupt me whenever you like: I stop at once, and remember only what you heard.",
    "{said} Set your own speech, language and voice providers, and I become a real agent.",
)
_SPOKEN: Final = re.compile(r"\((.*) of speech\)")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """STT, LLM and TTS for demonstrations."""

    espeak: str | None
    """Path of espeak-ng; None if not installed."""

    async def recognize(self, pcm: bytes) -> Recognized:
        """Return the duration as text."""
        return Recognized(duration(pcm), language="en")

    async def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Return the next reply."""
        said = [message.content for message in messages if message.role == "user"]
        spoken = _SPOKEN.sub(r"You spoke for \1.", said[-1] if said else "")
        yield REPLIES[(len(said) - 1) % len(REPLIES)].format(said=spoken)

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Speak, or play one tone per word.

        Raises:
            ProviderFailed: espeak-ng failed or took too long.
        """
        if self.espeak is None:
            pitches = tuple(300.0 + 20.0 * (len(word) % 12) for word in text.split())
            yield tone(pitches or (440.0,), each=0.16)
            return
        try:
            async with (
                aclosing(_run(self.espeak, text)) as pieces,
                aclosing(to_call_audio(pieces, max_seconds=MAX_SECONDS)) as sound,
            ):
                async for pcm in sound:
                    yield pcm
        except TimeoutError:
            raise ProviderFailed("tts: timeout", step="tts", reason="timeout") from None
        except (BridgeError, OSError):
            raise ProviderFailed("tts: espeak-ng failed", step="tts", reason="garbage") from None


@dataclass(frozen=True, slots=True)
class QuestionRecognizer:
    """STT that understands phrases."""

    phrases: PhraseRecognizer

    async def recognize(self, pcm: bytes) -> Recognized:
        """Return the phrase, or the duration as text if there is none.

        Raises:
            ProviderFailed: The recogniser failed.
        """
        return Recognized(await self.phrases.recognize(pcm) or duration(pcm), language="en")


class QuestionModel:
    """Answers questions about one call; implements `providers.LanguageModel`."""

    def __init__(self, situation: Callable[[], CallSituation]) -> None:
        """`situation` returns how the call stands now."""
        self._situation = situation

    async def reply(
        self, system: str, messages: Sequence[Message]
    ) -> AsyncGenerator[str | HangUp, None]:
        """Answer the last message; after a goodbye, hang up."""
        said = [message.content for message in messages if message.role == "assistant"]
        asked = [message.content for message in messages if message.role == "user"]
        question = question_of(asked[-1]) if asked else None
        if question is None:
            yield NOT_UNDERSTOOD
        elif question is Question.REPEAT and said:
            yield said[-1]
        else:
            yield answer(question, self._situation())
        if question is Question.GOODBYE:
            yield HangUp()


def demonstration_providers(
    phrases: PhraseRecognizer | None = None,
    situation: Callable[[], CallSituation] = CallSituation,
) -> Providers:
    """Return the demonstration providers; with `phrases`, they answer questions about the `situation` of a call."""
    plain = Demonstration(shutil.which("espeak-ng"))
    if phrases is None:
        return Providers(plain, plain, plain)
    return Providers(QuestionRecognizer(phrases), QuestionModel(situation), plain)


def duration(pcm: bytes) -> str:
    """Return how long somebody spoke, as text."""
    return f"({len(pcm) / (2 * SAMPLE_RATE):.1f} seconds of speech)"


async def _run(program: str, text: str) -> AsyncGenerator[bytes, None]:
    # The text goes to stdin, because arguments are visible in the process list.
    process = await asyncio.create_subprocess_exec(
        *(program, "--stdin", "--stdout", "-v", "en"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    left = TimeBudget(SPEAK_SECONDS)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        while True:
            async with left.running():
                piece = await process.stdout.read(PIECE_BYTES)
            if not piece:
                return
            yield piece
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        # To the pipe's end, without which asyncio does not notice the exit.
        await process.communicate()
