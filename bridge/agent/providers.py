"""The interfaces of speech and language providers."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.audio.detect.overlap import OverlapKind
from bridge.call.transcript import Word
from bridge.errors import LegError


class ProviderFailed(LegError, code="provider_failed"):
    """Raised when a provider fails its step (`stt`, `llm`, `tts`); `reason` is of `metrics.agent.FAILURES`."""

    def __init__(self, message: str, *, step: str, reason: str) -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation, as language models expect it."""

    role: str
    """`user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True)
class Recognized:
    """What was said in a piece of audio; the times of words are seconds since its beginning."""

    text: str
    words: tuple[Word, ...] = ()
    language: str = ""


class Recognizer(Protocol):
    """Speech recognition, for agents and transcripts."""

    async def recognize(self, pcm: bytes) -> Recognized:
        """Transcribe 16 kHz samples; the text is empty if nothing was said.

        Raises:
            ProviderFailed: The provider failed.
        """


@dataclass(frozen=True, slots=True)
class HangUp:
    """Ends the conversation once the text before it has been heard; a caller who speaks meanwhile prevents it."""


class LanguageModel(Protocol):
    """A language model."""

    def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str | HangUp, None]:
        """Yield the reply in pieces as it arrives.

        Raises:
            ProviderFailed: The provider failed, possibly in the middle of the reply.
        """


class TextToSpeech(Protocol):
    """Speech synthesis."""

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Yield the speech as 16 kHz samples, in pieces as they arrive.

        Raises:
            ProviderFailed: The provider failed, possibly in the middle of the text.
        """


class InterruptionDetector(Protocol):
    """The operator's detector of interruptions."""

    async def ask(self, pcm: bytes) -> OverlapKind | None:
        """Return the kind of an overlap from the caller's samples so far (16 bits, 16 kHz); None if that is not known in time."""


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers of an agent."""

    stt: Recognizer
    llm: LanguageModel
    tts: TextToSpeech
    interruptions: InterruptionDetector | None = None
