"""The stand-ins of the demonstration."""

import asyncio
import os
import sys
from contextlib import aclosing

import pytest

from bridge.agent.demonstration import REPLIES, Demonstration, demonstration_providers
from bridge.agent.providers import Message, ProviderFailed
from tests.support.waiting import until


async def spoken(mouth, text):
    return b"".join([pcm async for pcm in mouth.speak(text)])


async def test_what_hears_tells_how_long_one_spoke():
    heard = await Demonstration(None).recognize(bytes(32000 * 2))
    assert heard.text == "(2.0 seconds of speech)"


async def test_what_thinks_has_a_reply_for_each_turn():
    told = []
    for turns in range(1, len(REPLIES) + 2):
        talk = [Message("user", "(2.0 seconds of speech)")] * turns
        told += [piece async for piece in Demonstration(None).reply("", talk)]
    assert all("2.0 seconds" in reply for reply in told)
    assert told[0] == told[-1]
    assert len(set(told)) == len(REPLIES)


async def test_without_a_program_each_word_is_a_tone():
    two, four = [
        await spoken(Demonstration(None), text) for text in ("Good day.", "One two three four")
    ]
    assert 0 < 2 * len(two) == len(four)
    assert any(two)


async def test_a_program_that_gives_no_sound_is_a_failed_step():
    with pytest.raises(ProviderFailed) as caught:
        await spoken(Demonstration("/bin/false"), "Good day.")
    assert caught.value.step == "tts"
    with pytest.raises(ProviderFailed):
        await spoken(Demonstration(sys.executable + "-missing"), "Good day.")


async def test_the_stand_in_speaks_whatever_is_installed():
    assert len(await spoken(demonstration_providers().tts, "Good day.")) > 3200


async def test_a_program_is_heard_while_it_speaks(tmp_path):
    program, go = tmp_path / "slow", tmp_path / "go"
    program.write_text(
        f"#!/bin/sh\n/bin/cat >/dev/null\n/usr/bin/head -c 9600 /dev/urandom\n"
        f"while [ ! -e {go} ]; do /bin/sleep 0.05; done\n/usr/bin/head -c 3200 /dev/urandom\n"
    )
    program.chmod(0o755)
    sound = 0
    async with asyncio.timeout(10):
        async for pcm in Demonstration(str(program)).speak("Good day."):
            sound += len(pcm)
            if sound == 9600:
                go.touch()
    assert sound == 12800


async def test_who_hears_no_more_ends_the_program(tmp_path):
    program, left = tmp_path / "slow", tmp_path / "left"
    program.write_text(f"#!/bin/sh\necho $$ > {left}\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    speaking = asyncio.get_running_loop().create_task(
        spoken(Demonstration(str(program)), "Good day.")
    )
    await until(lambda: left.exists() and left.read_text().strip())
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(left.read_text()), 0)


async def test_a_program_with_much_to_say_ends_when_nobody_hears_it(tmp_path):
    program = tmp_path / "talker"
    program.write_text("#!/bin/sh\n/bin/cat >/dev/null\nexec /bin/cat /dev/zero\n")
    program.chmod(0o755)
    async with asyncio.timeout(10):
        async with aclosing(Demonstration(str(program)).speak("Good day.")) as sound:
            await anext(sound)
            await asyncio.sleep(0.1)  # its pipe is full, and what is read from it waits for us
