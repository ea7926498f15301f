"""What the bench makes of packets that were lost."""

import numpy as np
import pytest

from bridge.audio.codec.opus import candidates, load
from tests.bench.generators.speech import SENDER, alone, encode, play
from tests.support.packets.opus_packets import FRAME
from tests.support.peers.light_peer import Arrival
from tests.support.sound.speech_compare import align, level_db, tone
from tests.support.sound.voices import words


@pytest.fixture(scope="module")
def opus():
    return load(candidates())


@pytest.fixture(scope="module")
def packets(opus):
    return encode(opus, words(0, 3.0), SENDER)


def arrived(packets, *, lost=()):
    return [
        Arrival(number * 0.02, number, number * 960, False, 111, 1, packet)
        for number, packet in enumerate(packets)
        if number not in lost
    ]


def test_what_is_over_after_the_last_whole_frame_is_not_encoded(opus):
    assert len(encode(opus, tone(0.05), SENDER)) == 2


def test_speech_that_lost_nothing_is_decoded_as_it_was_said(opus, packets):
    found = align(words(0, 3.0), alone(opus, packets))
    assert 0 <= found.lag <= 160
    assert found.correlation > 0.8


def test_without_losses_both_roads_give_the_same(opus, packets):
    assert np.array_equal(play(opus, arrived(packets)), alone(opus, packets))


def test_a_lost_packet_leaves_no_hole_in_time(opus, packets):
    lost = {50, 51, 100}
    heard = play(opus, arrived(packets, lost=lost))
    again = alone(opus, [None if n in lost else one for n, one in enumerate(packets)])
    assert len(heard) == len(again) == len(packets) * FRAME


def test_fec_gives_back_what_concealment_cannot(opus):
    sound = np.concatenate([np.zeros(50 * FRAME, np.int16), tone(1.0, 300.0)])
    packets = encode(opus, sound, SENDER)
    onset = 51
    with_fec = alone(opus, [None if n == onset else one for n, one in enumerate(packets)])
    begin = onset * FRAME
    assert level_db(with_fec[begin : begin + FRAME]) > -40
