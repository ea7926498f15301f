"""What the programs at media sockets say and hear."""

from typing import Any

import numpy as np
import pytest

from tests.bench.generators.socket_programs import PROGRAMS, SOCKETS, STREAMS, Program
from tests.bench.generators.sockets import PERIOD_SECONDS, Speaker, hear, loop_sound
from tests.bench.measure import onsets
from tests.support.packets.opus_packets import RATE

NOBODY: Any = None
"""At the other end of the sockets."""


def program(kind):
    return Program(PROGRAMS[kind], NOBODY)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_what_is_written_can_be_read(kind):
    one = PROGRAMS[kind]
    sound = loop_sound()[:960]
    read = one.read(one.write(sound))
    at = np.arange(len(sound)) * one.sample_rate // RATE
    assert len(read) == 960 * one.sample_rate // RATE
    if one.path:
        assert np.max(np.abs(read[at].astype(int) - sound)) <= 2


def test_every_program_is_measured_in_one_section_of_the_bench():
    assert sorted((*SOCKETS, *STREAMS)) == sorted(PROGRAMS)


def test_every_onset_begins_a_message_of_20_and_of_60_milliseconds():
    pieces = [
        (number * 0.06, part / 32768) for number, part in enumerate(loop_sound().reshape(-1, 960))
    ]
    found = onsets(pieces, RATE)
    assert len(found) == 10
    assert {round(one.time % PERIOD_SECONDS, 3) for one in found} == {0.36}
    assert max(one.offset for one in found) <= 0.0025


def test_an_onset_is_heard_in_the_message_that_holds_it():
    one = program("zuckzapgo")
    speaker = Speaker(one, loop_sound())
    sound = loop_sound().reshape(-1, 960)
    speaker.onsets = [1.0]
    one.heard = [(1.1 + 0.06 * number, sound[number].tobytes()) for number in range(10)]
    delays, sent = hear([speaker], 0.0, 2.0)
    assert delays == pytest.approx([0.1 + 0.06 * 6])
    assert sent == 1


def test_an_onset_before_the_window_is_not_looked_for():
    speaker = Speaker(program("zuckzapgo"), loop_sound())
    speaker.onsets = [1.0]
    assert hear([speaker], 1.5, 2.0) == ([], 0)


def test_an_onset_is_heard_whose_quiet_came_before_the_window():
    one = program("zuckzapgo")
    speaker = Speaker(one, loop_sound())
    sound = loop_sound().reshape(-1, 960)
    one.heard = [(0.7 + 0.06 * number, sound[number].tobytes()) for number in range(16)]
    speaker.forget(1.0)
    speaker.onsets = [1.01]
    delays, sent = hear([speaker], 1.0, 2.0)
    assert delays == pytest.approx([0.7 + 0.06 * 6 - 1.01])
    assert sent == 1
