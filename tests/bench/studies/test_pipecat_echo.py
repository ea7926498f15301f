"""How late speech comes back from Pipecat."""

import pytest

from tests.bench.generators.signal import make_loop
from tests.bench.studies.pipecat_echo import delays
from tests.support.peers.light_peer import Arrival, Departure

LATE = 0.11


def echo(loop, count):
    return [
        Arrival(
            20 + 0.02 * number + LATE, number, 960 * number, False, 111, 1, loop.payload(number)
        )
        for number in range(count)
    ]


def test_a_burst_is_as_late_as_the_packet_in_which_it_is_heard():
    loop = make_loop(seconds=3)
    begun = [
        Departure(20 + 0.02 * number, number, 960 * number)
        for number in range(150)
        if loop.is_onset(number)
    ]
    assert delays(begun, echo(loop, 150)) == pytest.approx([LATE] * 3)
    assert delays(begun, []) == []
