"""The interfaces of speech and language providers."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.errors import LegError

REASONS: Final = ("missing", "blocked", "unreachable", "timeout", "status", "garbage", "too_large")
"""The reasons of `ProviderFailed`."""


class ProviderFailed(LegError):
    """Raised when a provider fails its step (`stt`, `llm`, `tts`); `reason` is one of `REASONS`."""

    code = "provider_failed"

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


class SpeechToText(Protocol):
    """Speech recognition."""

    async def transcribe(self, pcm: bytes) -> str:
        """Transcribe 16 kHz samples; empty if nothing was said.

        Raises:
            ProviderFailed: The provider failed.
        """
        ...


class LanguageModel(Protocol):
    """A language model."""

    def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Yield the reply in pieces as it arrives.

        Raises:
            ProviderFailed: The provider failed, possibly in the middle of the reply.
        """
        ...


class TextToSpeech(Protocol):
    """Speech synthesis."""

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Yield the speech as 16 kHz samples, in pieces as they arrive.

        Raises:
            ProviderFailed: The provider failed, possibly in the middle of the text.
        """
        ...


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers of an agent."""

    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """Limits of provider requests."""

    stt_seconds: float = 15.0
    llm_seconds: float = 30.0
    tts_seconds: float = 20.0
    """Timeouts of whole responses."""
    text_bytes: int = 1024 * 1024
    sound_bytes: int = 16 * 1024 * 1024
    spoken_seconds: float = 120.0
    """Longer speech is cut."""


@dataclass(frozen=True, slots=True)
class Models:
    """Defaults for OpenAI's API if a URL's query has none."""

    stt: str = "whisper-1"
    llm: str = "gpt-4o-mini"
    tts: str = "tts-1"
    voice: str = "alloy"
