"""What an agent has to say, sample by sample."""

import asyncio

import numpy as np
import pytest

from bridge.agent.speech_queue import LEAD_BYTES, SpeechQueue

COUNT = np.arange(1, 16001, dtype="<i2").tobytes()
"""A second whose samples are all different."""


def pull(queue, frames):
    return [queue.pull() for _ in range(frames)]


def say(queue, text, pcm):
    queue.begin(text)
    queue.add(pcm)
    queue.end()


def test_what_was_given_is_what_was_heard_to_the_sample():
    queue = SpeechQueue()
    say(queue, "one two three four five", COUNT)
    given = b"".join(frame for frame in pull(queue, 20) if frame)
    queue.clear()
    assert pull(queue, 5) == [None] * 5
    assert given == COUNT[: 20 * 640]
    assert queue.played_seconds == pytest.approx(0.4)
    # 0.4 of 23 letters are 9: the second word has two of its three letters and does not count.
    assert queue.take_heard() == "one two …"


@pytest.mark.parametrize("frames", range(0, 105, 7))
def test_the_history_never_has_more_than_was_given(frames):
    queue = SpeechQueue()
    say(queue, "One two three.", COUNT)
    say(queue, "Four five six.", COUNT)
    given = sum(frame is not None for frame in pull(queue, frames))
    queue.clear()
    words = queue.take_heard().replace(" …", "").split()
    # Each of the six words takes a third of its second, more or less.
    assert len(words) <= given * 0.02 * 3 + 0.5


def test_what_is_held_goes_on_where_it_was():
    queue = SpeechQueue()
    say(queue, "one", COUNT)
    first = pull(queue, 7)
    queue.held = True
    assert pull(queue, 9) == [None] * 9
    assert queue.speaking
    queue.held = False
    assert b"".join(first + pull(queue, 43)) == COUNT
    assert queue.take_heard() == "one"


def test_a_sentence_begins_once_a_little_of_it_is_there():
    queue = SpeechQueue()
    queue.begin("one")
    queue.add(COUNT[: LEAD_BYTES - 2])
    assert queue.pull() is None
    queue.add(COUNT[LEAD_BYTES - 2 : LEAD_BYTES])
    assert queue.pull() == COUNT[:640]


def test_a_short_sentence_needs_no_more_than_its_end():
    queue = SpeechQueue()
    say(queue, "one", COUNT[:100])
    assert queue.pull() == COUNT[:100] + bytes(540)
    assert queue.take_heard() == "one"


def test_every_sentence_begins_with_a_frame():
    queue = SpeechQueue()
    say(queue, "one", COUNT[:6500])
    say(queue, "two", COUNT[:6400])
    assert pull(queue, 12)[11] == COUNT[:640]


def test_of_a_sentence_that_is_still_coming_its_letters_tell_how_long_it_is():
    queue = SpeechQueue()
    queue.begin("one two three four five six seven eight nine ten")
    queue.add(COUNT)
    pull(queue, 50)
    assert queue.take_heard() == "one two three …"


def test_a_filler_is_no_part_of_the_talk():
    queue = SpeechQueue()
    queue.fill(COUNT[:1000])
    assert not queue.has_sentences
    say(queue, "one two", COUNT)
    begins = [queue.pull() is not None and queue.begins for _ in range(5)]
    assert begins == [False, False, True, False, False]
    pull(queue, 47)
    assert queue.take_heard() == "one two"


async def test_who_waits_for_its_end_goes_on_with_the_last_frame():
    queue = SpeechQueue()
    say(queue, "one", COUNT[:1280])
    waiting = asyncio.get_running_loop().create_task(queue.wait_below(0))
    for left in (True, True):
        await asyncio.sleep(0)
        assert waiting.done() is not left
        queue.pull()
    await asyncio.sleep(0)
    assert waiting.done()
