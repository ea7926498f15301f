"""What an agent has to say, sample by sample."""

import asyncio

import numpy as np
import pytest

from bridge.agent.speech_queue import LEAD_BYTES, SpeechQueue

COUNT = np.arange(1, 16001, dtype="<i2").tobytes()
"""A second whose samples are all different."""


def pull(mouth, frames):
    return [mouth.pull() for _ in range(frames)]


def say(mouth, text, pcm):
    mouth.begin(text)
    mouth.add(pcm)
    mouth.end()


def test_what_was_given_is_what_was_heard_to_the_sample():
    mouth = SpeechQueue()
    say(mouth, "one two three four five", COUNT)
    given = b"".join(frame for frame in pull(mouth, 20) if frame)
    mouth.hush()
    assert pull(mouth, 5) == [None] * 5
    assert given == COUNT[: 20 * 640]
    assert mouth.played_seconds == pytest.approx(0.4)
    # 0.4 of 23 letters are 9: the second word has two of its three letters and does not count.
    assert mouth.settle() == "one two …"


@pytest.mark.parametrize("frames", range(0, 105, 7))
def test_the_history_never_has_more_than_was_given(frames):
    mouth = SpeechQueue()
    say(mouth, "One two three.", COUNT)
    say(mouth, "Four five six.", COUNT)
    given = sum(frame is not None for frame in pull(mouth, frames))
    mouth.hush()
    words = mouth.settle().replace(" …", "").split()
    # Each of the six words takes a third of its second, more or less.
    assert len(words) <= given * 0.02 * 3 + 0.5


def test_what_is_held_goes_on_where_it_was():
    mouth = SpeechQueue()
    say(mouth, "one", COUNT)
    first = pull(mouth, 7)
    mouth.hold()
    assert pull(mouth, 9) == [None] * 9
    assert mouth.speaking
    mouth.release()
    assert b"".join(first + pull(mouth, 43)) == COUNT
    assert mouth.settle() == "one"


def test_a_sentence_begins_once_a_little_of_it_is_there():
    mouth = SpeechQueue()
    mouth.begin("one")
    mouth.add(COUNT[: LEAD_BYTES - 2])
    assert mouth.pull() is None
    mouth.add(COUNT[LEAD_BYTES - 2 : LEAD_BYTES])
    assert mouth.pull() == COUNT[:640]


def test_a_short_sentence_needs_no_more_than_its_end():
    mouth = SpeechQueue()
    say(mouth, "one", COUNT[:100])
    assert mouth.pull() == COUNT[:100] + bytes(540)
    assert mouth.settle() == "one"


def test_every_sentence_begins_with_a_frame():
    mouth = SpeechQueue()
    say(mouth, "one", COUNT[:6500])
    say(mouth, "two", COUNT[:6400])
    assert pull(mouth, 12)[11] == COUNT[:640]


def test_of_a_sentence_that_is_still_coming_its_letters_tell_how_long_it_is():
    mouth = SpeechQueue()
    mouth.begin("one two three four five six seven eight nine ten")
    mouth.add(COUNT)
    pull(mouth, 50)
    assert mouth.settle() == "one two three …"


def test_a_filler_is_no_part_of_the_talk():
    mouth = SpeechQueue()
    mouth.fill(COUNT[:1000])
    assert not mouth.has_sentences
    say(mouth, "one two", COUNT)
    begins = [mouth.pull() is not None and mouth.begins for _ in range(5)]
    assert begins == [False, False, True, False, False]
    pull(mouth, 47)
    assert mouth.settle() == "one two"


async def test_who_waits_for_its_end_goes_on_with_the_last_frame():
    mouth = SpeechQueue()
    say(mouth, "one", COUNT[:1280])
    waiting = asyncio.get_running_loop().create_task(mouth.below(0))
    for left in (True, True):
        await asyncio.sleep(0)
        assert waiting.done() is not left
        mouth.pull()
    await asyncio.sleep(0)
    assert waiting.done()
