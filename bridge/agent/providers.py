"""Who hears, thinks and speaks for an agent."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.errors import LegError

REASONS: Final = ("missing", "blocked", "unreachable", "timeout", "status", "garbage", "too_large")
"""Why a step failed: the reasons of `ProviderFailed`."""


class ProviderFailed(LegError):
    """A provider did not do its step (`stt`, `llm`, `tts`); `reason` is one of `REASONS`."""

    code = "provider_failed"

    def __init__(self, message: str, *, step: str, reason: str) -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a talk, as language models are told it."""

    role: str
    """`user` or `assistant`."""
    content: str


class SpeechToText(Protocol):
    """Makes text of speech."""

    async def transcribe(self, pcm: bytes) -> str:
        """Give what is said in 16 kHz samples; empty when it is nothing.

        Raises:
            ProviderFailed: it could not be made out.
        """
        ...


class LanguageModel(Protocol):
    """Makes replies."""

    def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Give the reply, in pieces as it comes.

        Raises:
            ProviderFailed: there is none, or no end of it.
        """
        ...


class TextToSpeech(Protocol):
    """Makes speech of text."""

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Give a text as 16 kHz samples, in pieces as they come.

        Raises:
            ProviderFailed: it could not be spoken, or not to its end.
        """
        ...


@dataclass(frozen=True, slots=True)
class Providers:
    """All that an agent needs."""

    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """What is expected of providers."""

    stt_seconds: float = 15.0
    llm_seconds: float = 30.0
    tts_seconds: float = 20.0
    """How long each may be waited for, all of its answer."""
    text_bytes: int = 1024 * 1024
    sound_bytes: int = 16 * 1024 * 1024
    spoken_seconds: float = 120.0
    """A sentence that takes longer is cut."""


@dataclass(frozen=True, slots=True)
class Models:
    """What providers of OpenAI's kind are asked for where a URL's query does not say."""

    stt: str = "whisper-1"
    llm: str = "gpt-4o-mini"
    tts: str = "tts-1"
    voice: str = "alloy"
