"""Where what a line discloses comes from, and that it is kept."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.audio.file.wav import make_header
from bridge.call.model import LineName
from bridge.errors import NotFound
from bridge.node.disclosure.statements import ATTEMPTS, CannotDisclose, Statements
from bridge.settings.disclosure import Disclosure

pytestmark = pytest.mark.virtual_time

LINE = LineName("one")
TEXT = Disclosure(text="A machine.")
PCM = b"\x01\x00" * 400


class Lines:
    """Speaks, and counts how often."""

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.voice = "a"
        self.fails = 0
        self.hangs = False

    async def speak(self, line: LineName, text: str) -> bytes:
        self.spoken.append(text)
        await asyncio.sleep(0.1)
        if self.hangs:
            await asyncio.sleep(3600)
        if len(self.spoken) <= self.fails:
            raise NotFound("no")
        return make_header(len(PCM)) + PCM

    async def find(self, line: LineName, asset: str) -> None:
        raise NotFound("the line has no such asset")

    def statements(self) -> Statements:
        return Statements(
            assets=SimpleNamespace(find=self.find),  # type: ignore[arg-type]
            media_root=Path("/nowhere"),
            decoders=SimpleNamespace(),  # type: ignore[arg-type]
            speak=self.speak,
            voice_of=lambda line: self.voice,
        )


async def test_a_text_is_spoken_once_for_many_calls():
    lines = Lines()
    statements = lines.statements()
    said = await asyncio.gather(*(statements.prepare(LINE, TEXT) for _ in range(5)))
    assert {one.pcm for one in said} == {PCM}
    await statements.prepare(LINE, TEXT)
    assert lines.spoken == ["A machine."]


async def test_another_voice_speaks_anew():
    lines = Lines()
    statements = lines.statements()
    await statements.prepare(LINE, TEXT)
    lines.voice = "b"
    await statements.prepare(LINE, TEXT)
    assert len(lines.spoken) == 2


async def test_a_provider_that_fails_once_is_asked_again():
    lines = Lines()
    lines.fails = 1
    assert (await lines.statements().prepare(LINE, TEXT)).pcm == PCM


async def test_an_asset_that_is_gone_is_replaced_by_the_text():
    both = Disclosure(text="A machine.", asset="asset_1")
    said = await Lines().statements().prepare(LINE, both)
    assert said.text_hash
    assert not said.asset


@pytest.mark.parametrize("hangs", [True, False])
async def test_what_cannot_be_had_in_time_cannot_be_disclosed(hangs):
    lines = Lines()
    lines.fails, lines.hangs = 100, hangs
    with pytest.raises(CannotDisclose):
        await lines.statements().prepare(LINE, TEXT)
    assert len(lines.spoken) == ATTEMPTS
