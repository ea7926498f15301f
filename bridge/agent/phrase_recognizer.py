"""Recognition of the phrases of a grammar, by pocketsphinx in a child process.

Its models take 0.4 s to load, and an utterance 0.2 s of a core: too long for the event loop, and for a thread that
holds the interpreter meanwhile.
"""

import asyncio
import json
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias

from bridge.agent.providers import ProviderFailed
from bridge.audio.frame import SAMPLE_RATE

WORKER: Final = str(Path(__file__).with_name("phrase_worker.py"))
START_SECONDS: Final = 15.0
"""Until the models are loaded."""
PHRASE_SECONDS: Final = 10.0
"""For one utterance."""
MAX_SECONDS: Final = 10.0
"""Of speech; longer speech cannot be a phrase of the grammar, and is not examined."""
MAX_WAITING: Final = 8
"""Utterances; further ones fail at once, which `bridge_agent_failures_total` counts as timeouts."""

StartProcess: TypeAlias = Callable[[str], Awaitable[Process]]
"""Starts a script in a sandboxed child process with pipes to its standard input and output, or raises `OSError`."""


def has_recognizer() -> bool:
    """Return whether the package is installed, which the extra `demo` brings."""
    return find_spec("pocketsphinx") is not None


class PhraseRecognizer:
    """One child process for all calls, from the first utterance on; one that fails is replaced at the next."""

    def __init__(
        self, start: StartProcess, *, grammar: str, pronunciations: Mapping[str, str]
    ) -> None:
        """Recognizes by a JSGF grammar, with the phones of those words that the CMU dictionary lacks."""
        self._start = start
        self._chosen = {"grammar": grammar, "words": dict(pronunciations)}
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._number = 0

    async def recognize(self, pcm: bytes) -> str:
        """Return the phrase in an utterance of 16 kHz samples; empty if it is none of the grammar.

        Raises:
            ProviderFailed: Too many wait, or the process failed or took too long.
        """
        if len(pcm) > MAX_SECONDS * 2 * SAMPLE_RATE:
            return ""
        if self._waiting >= MAX_WAITING:
            raise ProviderFailed("stt: too many utterances wait", step="stt", reason="timeout")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._ask(pcm)
        except TimeoutError:
            await self.aclose()
            raise ProviderFailed("stt: timeout", step="stt", reason="timeout") from None
        except (OSError, ValueError, KeyError):
            await self.aclose()
            raise ProviderFailed(
                "stt: the recogniser failed", step="stt", reason="unreachable"
            ) from None
        finally:
            self._waiting -= 1

    async def aclose(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, pcm: bytes) -> str:
        if self._process is None:
            await self._launch()
        assert self._process is not None
        self._number += 1
        request = {"number": self._number, "length": len(pcm)}
        async with asyncio.timeout(PHRASE_SECONDS):
            await _send(self._process, request, pcm)
            # A caller who went on speaking has left the response to an earlier request.
            while (response := await _receive(self._process))["number"] != self._number:
                pass
        return str(response["text"])

    async def _launch(self) -> None:
        self._process = await self._start(WORKER)
        try:
            async with asyncio.timeout(START_SECONDS):
                await _send(self._process, self._chosen)
                await _receive(self._process)
        except BaseException:
            await self.aclose()
            raise


async def _send(process: Process, head: Mapping[str, object], body: bytes = b"") -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(head).encode() + b"\n" + body)
    await process.stdin.drain()


async def _receive(process: Process) -> dict[str, object]:
    """Read one line.

    Raises:
        ValueError: The process has ended, or says something else.
    """
    assert process.stdout is not None
    line: dict[str, object] = json.loads(await process.stdout.readline())
    return line
