"""The greetings that callers hear before they leave a message: a file, or a text spoken once and kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.call.model import LineName
from bridge.errors import BridgeError
from bridge.media.assets import Assets
from bridge.media.sounds import Sound, Sounds

log = logging.getLogger(__name__)

ASSET: Final = "asset_"
URLS: Final = ("https://", "http://")
PREPARE_SECONDS: Final = 8.0
"""How long a greeting may take to be fetched or spoken; the caller hears ringing meanwhile."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a line's callers hear; both may be empty."""

    sound: str = ""
    """A URL, an asset, or a file of the media folder."""
    text: str = ""


class Greetings:
    """The greetings of all lines."""

    def __init__(
        self,
        greetings: Mapping[LineName, Greeting],
        *,
        assets: Assets,
        sounds: Sounds,
        speak: Callable[[LineName, str], Awaitable[bytes]],
    ) -> None:
        """`speak` returns a text as a WAV file."""
        self._greetings = greetings
        self._assets = assets
        self._sounds = sounds
        self._speak = speak
        self._spoken: dict[LineName, Sound] = {}
        """Of lines of the settings only."""

    async def prepare(self, line: LineName) -> Sound | None:
        """Return a line's greeting; None for the tones, also when it cannot be had in time."""
        wanted = self._greetings.get(line, Greeting())
        ways = (
            (wanted.sound, lambda: self._find(line, wanted.sound)),
            (wanted.text, lambda: self._say(line, wanted.text)),
        )
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                for source, prepare in ways:
                    if source and (sound := await _quietly(line, prepare)) is not None:
                        return sound
        except TimeoutError:
            log.warning("voicemail.greeting_failed", extra={"line": line, "code": "timeout"})
        return None

    async def _find(self, line: LineName, name: str) -> Sound:
        if name.startswith(ASSET):
            return await self._assets.find(line, name)
        if name.startswith(URLS):
            return await self._sounds.url(line, name, "greeting")
        return await self._sounds.file(line, name, "greeting")

    async def _say(self, line: LineName, text: str) -> Sound:
        if line not in self._spoken:
            spoken = self._sounds.spool(await self._speak(line, text))
            self._spoken[line] = spoken
        # Kept for the next caller: nobody releases it.
        return Sound(self._spoken[line].path)


async def _quietly(line: LineName, prepare: Callable[[], Awaitable[Sound]]) -> Sound | None:
    try:
        return await prepare()
    except (BridgeError, OSError) as error:
        code = error.code if isinstance(error, BridgeError) else "unreadable"
        log.warning("voicemail.greeting_failed", extra={"line": line, "code": code})
        return None
