"""The audio of disclosures, from an asset, a file, or a text that a provider speaks; cached once decoded."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.audio.file.wav import make_header
from bridge.audio.frame import SAMPLE_RATE
from bridge.call.model import LineName
from bridge.errors import BridgeError
from bridge.media.assets import Assets
from bridge.media.decoding.decoders import Decoders, InvalidMedia
from bridge.media.sounds import Sound
from bridge.settings.disclosure import ASSET, Disclosure
from bridge.tasks import Tasks

log = logging.getLogger(__name__)

PREPARE_SECONDS: Final = 8.0
"""Timeout of one attempt; the machine is held meanwhile."""
ATTEMPTS: Final = 2
"""How often it is tried; each attempt tries the asset, then the text."""
MAX_SECONDS: Final = 90
"""Maximum length; the rest is cut off."""
MAX_KEPT_BYTES: Final = 1 << 25
"""Size of the cache; the least recently used are dropped."""


class CannotDisclose(BridgeError):
    """Raised when a disclosure cannot be prepared."""


@dataclass(frozen=True, slots=True)
class Said:
    """The audio of a disclosure."""

    pcm: bytes
    """16-bit samples at 16 kHz."""
    asset: str = ""
    """Its asset or file; empty for a text."""
    text_hash: str = ""
    """SHA-256 of the text, in hex."""


class Statements:
    """Prepares and caches the audio of the lines' disclosures."""

    def __init__(
        self,
        *,
        assets: Assets,
        media_root: Path,
        decoders: Decoders,
        speak: Callable[[LineName, str], Awaitable[bytes]],
        voice_of: Callable[[LineName], str],
    ) -> None:
        """`speak` synthesizes a text as a WAV file; `voice_of` identifies a line's voice in the cache's key."""
        self._assets = assets
        self._media_root = media_root
        self._decoders = decoders
        self._speak = speak
        self._voice_of = voice_of
        self._kept: OrderedDict[tuple[str, ...], Said] = OrderedDict()
        self._preparing: dict[LineName, asyncio.Task[None]] = {}
        self._tasks = Tasks()

    async def prepare(self, line: LineName, disclosure: Disclosure) -> Said:
        """Return the audio of a line's disclosure.

        Raises:
            CannotDisclose: all attempts failed; the log has the reasons.
        """
        for _ in range(ATTEMPTS):
            if (said := self._find(line, disclosure)) is not None:
                return said
            if line not in self._preparing:
                work = self._make(line, disclosure)
                self._preparing[line] = self._tasks.spawn(work, name=f"disclosure of line {line}")
            # Several calls may wait for the same task.
            await asyncio.wait([self._preparing[line]])
        if (said := self._find(line, disclosure)) is None:
            raise CannotDisclose(
                "the disclosure of the line could not be prepared; the log has the reason"
            )
        return said

    async def aclose(self) -> None:
        """Stop preparing."""
        await self._tasks.aclose()

    def _find(self, line: LineName, disclosure: Disclosure) -> Said | None:
        for key in self._keys(line, disclosure):
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        return None

    def _keys(self, line: LineName, disclosure: Disclosure) -> Iterator[tuple[str, ...]]:
        if disclosure.asset:
            yield line, "asset", disclosure.asset
        if disclosure.text:
            yield line, "text", disclosure.text, self._voice_of(line)

    async def _make(self, line: LineName, disclosure: Disclosure) -> None:
        try:
            for key in self._keys(line, disclosure):
                with suppress(Exception):
                    self._keep(key, await self._attempt(line, key))
                    return
        finally:
            del self._preparing[line]

    async def _attempt(self, line: LineName, key: tuple[str, ...]) -> Said:
        _, source, what, *_ = key
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                if source == "asset":
                    return Said(await self._decode(line, what), asset=what)
                wav = await self._speak(line, what)
                return Said(
                    _checked(wav[len(make_header(0)) :]),
                    text_hash=hashlib.sha256(what.encode()).hexdigest(),
                )
        except (BridgeError, OSError, TimeoutError) as error:
            code = error.code if isinstance(error, BridgeError) else type(error).__name__
            extra = {"line": line, "source": source, "code": code}
            log.warning("disclosure.not_prepared", extra=extra)
            raise

    async def _decode(self, line: LineName, asset: str) -> bytes:
        sound = await self._sound(line, asset)
        try:
            decoding = await self._decoders.open(sound.path, line)
            try:
                return _checked(await decoding.read(MAX_SECONDS * SAMPLE_RATE * 2))
            finally:
                await decoding.aclose()
        finally:
            sound.release()

    async def _sound(self, line: LineName, asset: str) -> Sound:
        if asset.startswith(ASSET):
            return await self._assets.find(line, asset)
        return Sound(self._media_root / asset)

    def _keep(self, key: tuple[str, ...], said: Said) -> None:
        self._kept[key] = said
        while sum(len(one.pcm) for one in self._kept.values()) > MAX_KEPT_BYTES:
            self._kept.popitem(last=False)


def _checked(pcm: bytes) -> bytes:
    if not pcm:
        raise InvalidMedia("there is no sound in it")
    return pcm
