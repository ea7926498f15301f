"""Searches speech for the phrases that a scenario expects: by pocketsphinx in child processes, or by a speech-to-text provider."""

import asyncio
import json
import os
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from bridge.agent.providers import ProviderFailed, Recognizer
from bridge.media.decoding import sandboxed
from bridge.rehearse.phones import is_heard, usable
from bridge.rehearse.recorded import Recorded, pieces
from bridge.rehearse.scenario_file import ScenarioError
from bridge.rehearse.voices import Voices

WORKER: Final = str(Path(__file__).with_name("word_worker.py"))
START_SECONDS: Final = 30.0
PIECE_SECONDS: Final = 300.0
"""For one piece of speech, which takes a second where there is a core for it."""
VOICES: Final = ("en-us", "en-us+f3", "en-us+m3", "en-us+f5", "en-gb")
"""What the bot's voice may resemble."""
PACE: Final = (150, 50)
"""Speed and pitch."""
TIMES: Final = 3
"""Each piece of speech is recognized this often; a phrase found once counts."""
NO_POCKETSPHINX: Final = (
    "pocketsphinx, which recognizes the bot's words, is not installed: install it "
    "(pip install 'webrtc-media-bridge[demo]'), or name a speech-to-text provider (--stt URL)"
)


class HearsWords(Protocol):
    """Looks for phrases in speech."""

    async def heard(self, speech: Sequence[bytes], phrases: Sequence[str]) -> set[str]:
        """Return those of the phrases that are in pieces of speech (16 kHz samples), in their order.

        Raises:
            ScenarioError: they cannot be looked for.
        """


async def find_words(recorded: Recorded, ear: HearsWords) -> None:
    """Look for the words that a call's scenario expects.

    Raises:
        ScenarioError: they cannot be looked for.
    """
    for (begin, end), phrases in recorded.wanted().items():
        speech = list(pieces(recorded.talk, begin, end))
        recorded.words[begin, end] = frozenset(await ear.heard(speech, sorted(phrases)))


def plain(text: str) -> str:
    """Return a text's words, as they are compared and looked up."""
    return " ".join(
        re.findall(r"[\w']+", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    )


class ProviderEar:
    """Searches the transcript of a speech-to-text provider."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer

    async def heard(self, speech: Sequence[bytes], phrases: Sequence[str]) -> set[str]:
        """Return those of the phrases that are in the text; see `HearsWords`."""
        try:
            texts = [(await self._recognizer.recognize(pcm)).text for pcm in speech]
        except ProviderFailed as error:
            raise ScenarioError(f"the speech-to-text provider failed: {error}") from None
        text = f" {plain(' '.join(texts))} "
        return {phrase for phrase in phrases if f" {plain(phrase)} " in text}


class PocketsphinxEar:
    """Child processes that recognize phones, one per core, started when first needed."""

    def __init__(self, voices: Voices) -> None:
        """`voices` synthesizes the phrases that are searched for."""
        self._voices = voices
        self._idle: list[Process] = []
        self._all: list[Process] = []
        self._at_once = asyncio.Semaphore(os.cpu_count() or 1)
        self._patterns: dict[str, list[list[str]]] = {}
        """By phrase: the phones of what espeak-ng's voices say."""

    def with_words(self, words: Mapping[str, str]) -> "ScenarioEar":
        """Return an ear for a scenario with its pronunciations."""
        spoken = {plain(word): phones.upper().split() for word, phones in words.items()}
        return ScenarioEar(self, spoken)

    async def phones(self, pcm: bytes, times: int) -> list[list[str]]:
        """Return the phones of some speech, recognized this many times; raises `ScenarioError`."""
        found: list[list[str]] = (await self._ask(pcm, [], times))["phones"]
        return found

    async def pronunciations(self, words: Iterable[str]) -> dict[str, list[str] | None]:
        """Return the phones of words in the dictionary; raises as `phones`."""
        found: dict[str, list[str] | None] = (await self._ask(b"", list(words), 1))["words"]
        return found

    async def patterns(self, phrase: str) -> list[list[str]]:
        """Return the phones of a phrase as espeak-ng's voices say it; none without espeak-ng."""
        if phrase not in self._patterns:
            found = list[list[str]]()
            for voice in VOICES:
                with suppress(ScenarioError):
                    found.extend(
                        await self.phones(await self._voices.speak(phrase, voice, *PACE), 1)
                    )
            self._patterns[phrase] = found
        return self._patterns[phrase]

    async def aclose(self) -> None:
        """End the processes."""
        for process in self._all:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, pcm: bytes, words: list[str], times: int) -> dict[str, Any]:
        async with self._at_once:
            process = self._idle.pop() if self._idle else await self._start()
            try:
                async with asyncio.timeout(PIECE_SECONDS):
                    response = await _exchange(
                        process, {"words": words, "length": len(pcm), "times": times}, pcm
                    )
            except (TimeoutError, OSError, ValueError):
                process.kill()
                raise ScenarioError("pocketsphinx failed in its child process") from None
            self._idle.append(process)
            return response

    async def _start(self) -> Process:
        if find_spec("pocketsphinx") is None:
            raise ScenarioError(NO_POCKETSPHINX)
        process = await sandboxed.start(WORKER, stdin=PIPE, stdout=PIPE)
        self._all.append(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                await _receive(process)
        except (TimeoutError, ValueError):
            raise ScenarioError("pocketsphinx did not start in its child process") from None
        return process


class ScenarioEar:
    """Searches speech for the phrases of one scenario."""

    def __init__(self, ear: PocketsphinxEar, words: Mapping[str, list[str]]) -> None:
        self._ear = ear
        self._words = words

    async def pronounced(self, phrases: Iterable[str]) -> Mapping[str, list[str] | None]:
        """Return the phones of each word of some phrases.

        Raises:
            ScenarioError: pocketsphinx is not installed, or does not know a word.
        """
        words = {word for phrase in phrases for word in plain(phrase).split()}
        known = await self._ear.pronunciations(words - self._words.keys()) | dict(self._words)
        if unknown := sorted(word for word, phones in known.items() if phones is None):
            raise ScenarioError(
                f"not in the pronunciation dictionary: {', '.join(unknown)}; add the phones to the table [words] "
                '(codec = "K OW D EH K"), or name a speech-to-text provider (stt)'
            )
        return known

    async def heard(self, speech: Sequence[bytes], phrases: Sequence[str]) -> set[str]:
        """Return those of the phrases that are in the speech; see `HearsWords`."""
        known = await self.pronounced(phrases)
        hearings = zip(*[await self._ear.phones(pcm, TIMES) for pcm in speech], strict=True)
        sounds = [[phone for piece in hearing for phone in piece] for hearing in hearings]
        found = set[str]()
        for phrase in phrases:
            written = [phone for word in plain(phrase).split() for phone in known[word] or ()]
            spoken = await self._ear.patterns(plain(phrase))
            patterns = [written, *(one for one in spoken if usable(one, written))]
            # In a thread: it takes tens of milliseconds, and other calls go on meanwhile.
            if await asyncio.to_thread(_is_in_any, sounds, patterns):
                found.add(phrase)
        return found


def _is_in_any(sounds: Iterable[Sequence[str]], patterns: Sequence[Sequence[str]]) -> bool:
    return any(is_heard(sound, patterns) for sound in sounds)


async def _exchange(process: Process, head: Mapping[str, object], body: bytes) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(json.dumps(head).encode() + b"\n" + body)
    await process.stdin.drain()
    return await _receive(process)


async def _receive(process: Process) -> dict[str, Any]:
    """Read one line; raises `ValueError` if the process has ended, or says something else."""
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line
