"""What callers hear before they leave a message, and what becomes of a greeting that cannot be had."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.call.model import LineName
from bridge.errors import NotFound
from bridge.media.sounds import Sound
from bridge.node.voicemail.greetings import PREPARE_SECONDS, Greeting, Greetings

LINE = LineName("sales")


class Sources:
    """Assets, sounds and a voice, as far as greetings use them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.broken: set[str] = set()
        self.slow = False

    async def _get(self, kind: str, name: str) -> Sound:
        self.asked.append((kind, name))
        if self.slow:
            await asyncio.Event().wait()
        if kind in self.broken:
            raise NotFound("gone")
        return Sound(Path(name))

    async def find(self, line: str, name: str) -> Sound:
        return await self._get("asset", name)

    async def url(self, line: str, name: str, field: str) -> Sound:
        return await self._get("url", name)

    async def file(self, line: str, name: str, field: str) -> Sound:
        return await self._get("file", name)

    def spool(self, data: bytes) -> Sound:
        return Sound(Path(data.decode()))

    async def speak(self, line: str, text: str) -> bytes:
        await self._get("voice", text)
        return text.encode()


@pytest.fixture
def sources():
    return Sources()


def greetings(sources: Any, sound: str = "", text: str = "") -> Greetings:
    return Greetings(
        {LINE: Greeting(sound, text)}, assets=sources, sounds=sources, speak=sources.speak
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("asset_0123", "asset"),
        ("https://example.com/a.mp3", "url"),
        ("http://example.com/a.mp3", "url"),
        ("welcome.wav", "file"),
    ],
)
async def test_a_greeting_is_an_asset_a_url_or_a_file(sources, name, kind):
    found = await greetings(sources, name, "not needed").prepare(LINE)
    assert found is not None
    assert sources.asked == [(kind, name)]


async def test_a_text_is_spoken_once_and_kept_for_later_callers(sources):
    spoken = greetings(sources, text="hello")
    first, second = await spoken.prepare(LINE), await spoken.prepare(LINE)
    assert sources.asked == [("voice", "hello")]
    assert first is not None
    assert second is not None
    first.release()
    assert first.path == second.path == Path("hello")


async def test_a_text_takes_the_place_of_a_sound_that_cannot_be_had(sources):
    sources.broken = {"url"}
    found = await greetings(sources, "https://example.com/a.mp3", "hello").prepare(LINE)
    assert found is not None
    assert found.path == Path("hello")


async def test_without_anything_that_can_be_had_callers_hear_tones(sources):
    sources.broken = {"file", "voice"}
    assert await greetings(sources, "a.wav", "hello").prepare(LINE) is None
    assert await greetings(sources).prepare(LINE) is None
    assert await greetings(sources, "a.wav").prepare(LineName("other")) is None


@pytest.mark.virtual_time
async def test_a_greeting_that_takes_too_long_is_not_waited_for(sources):
    sources.slow = True
    began = asyncio.get_running_loop().time()
    assert await greetings(sources, "https://example.com/a.mp3").prepare(LINE) is None
    assert asyncio.get_running_loop().time() - began == pytest.approx(PREPARE_SECONDS)
