"""A track of packets: as long as what passed, every packet in its place, and gaps filled."""

from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.codec.codec import OPUS
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.opus import candidates, load
from bridge.audio.codec.opus_packet import duration
from bridge.audio.file.ogg import PRE_SKIP, RATE, OggWriter
from bridge.audio.file.packet_track import FRAME, PacketTrack
from bridge.audio.frame import SILENCE, Frame
from tests.support.packets.opus_packets import encode
from tests.support.sound.speech_compare import tone

PACKETS = encode(tone(4))
SOUND = tone(4)
OPUS_LIBRARY = load(candidates())
LINE = "a timeline"


def packet(number, *, position=None, epoch=LINE, level=-20.0, payload=None):
    at = number * FRAME if position is None else position
    payload = payload or PACKETS[number % len(PACKETS)]
    return EncodedPacket(payload, FRAME, number & 0xFFFF, at, epoch, level, OPUS)


def frame(number, epoch="frames", pcm=None):
    pcm = pcm or SOUND[number % 200 * 320 :][:320].astype(np.int16).tobytes()
    return Frame(pcm, number * 320, epoch)


def track():
    return PacketTrack(OPUS_LIBRARY)


def placed(packets):
    """By payload, where each packet of sound lies, in seconds."""
    found, at = [], 0
    for payload, samples in packets:
        assert duration(payload) == samples
        if len(payload) > 3:
            found.append((payload, at / RATE))
        at += samples
    return found


def played(packets, seconds):
    """What a player makes of it, at 48 kHz."""
    writer = OggWriter(1)
    content = writer.head() + writer.pages(packets, end=round(seconds * RATE) + PRE_SKIP)
    with av.open(BytesIO(content), "r") as opened:
        return np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])


def whole(taken, seconds, every=1.0):
    """All packets of a track that is written now and then."""
    made, one, now = [], track(), every
    taken = sorted(taken, key=lambda pair: pair[0])
    while now < seconds:
        one.add([pair for pair in taken if now - every <= pair[0] < now])
        made += one.until(now)
        now += every
    one.add([pair for pair in taken if pair[0] >= now - every])
    made += one.finish(round(seconds * RATE) + PRE_SKIP)
    return made, one


def test_packets_follow_each_other_unchanged():
    made, one = whole([(number * 0.02, packet(number)) for number in range(100)], 2.0)
    assert [payload for payload, _ in made[:100]] == PACKETS[:100]
    assert one.late == 0


@pytest.mark.parametrize("lost", [1, 3, 5])
def test_a_short_loss_is_packets_that_ask_for_concealment(lost):
    sent = [number for number in range(100) if not 50 <= number < 50 + lost]
    made, _ = whole([(number * 0.02, packet(number)) for number in sent], 2.0)
    missing = made[50 : 50 + lost]
    assert missing == [(bytes((PACKETS[49][0] & 0xFC,)), FRAME)] * lost
    assert made[50 + lost][0] == PACKETS[50 + lost]


def test_a_long_gap_is_silent_and_as_long_as_it_was():
    sent = [*range(50), *range(120, 180)]
    made, _ = whole([(number * 0.02, packet(number)) for number in sent], 4.0)
    assert dict(placed(made))[PACKETS[120]] == pytest.approx(2.4)
    sound = played(made, 4.0)
    assert len(sound) == 4 * RATE
    assert not np.abs(sound[round(1.1 * RATE) : round(2.35 * RATE)]).max() > 0.001


def test_a_track_that_begins_late_begins_with_silence():
    made, _ = whole([(1.5 + number * 0.02, packet(number)) for number in range(50)], 2.5)
    assert placed(made)[0] == (PACKETS[0], pytest.approx(1.5))


def test_a_track_without_anything_is_silence():
    made, _ = whole([], 12.345)
    assert {payload for payload, _ in made} <= {
        b"\xf8\xff\xfe",
        b"\xf0\xff\xfe",
        b"\xe8\xff\xfe",
        b"\xe0\xff\xfe",
    }
    assert len(played(made, 12.345)) == round(12.345 * RATE)


def test_reordered_packets_are_put_in_order():
    order = [0, 1, 3, 2, 5, 4, *range(6, 50)]
    taken = [(at * 0.02, packet(number)) for at, number in enumerate(order)]
    made, _ = whole(taken, 1.0)
    assert [payload for payload, _ in made[:50]] == PACKETS[:50]


def test_a_duplicate_is_dropped():
    taken = [(number * 0.02, packet(number)) for number in range(50)]
    made, one = whole([*taken, (0.11, packet(5))], 1.0)
    assert [payload for payload, _ in made[:50]] == PACKETS[:50]
    assert one.late == 1


def test_packets_held_up_by_the_network_lie_where_they_belong():
    taken = [
        (max(number * 0.02, 2.9 if number > 10 else 0.0), packet(number)) for number in range(150)
    ]
    made, one = whole(taken, 3.0)
    assert [payload for payload, _ in made[:150]] == PACKETS[:150]
    assert one.late == 0


@pytest.mark.parametrize("skew", [-0.0005, 0.0005])
def test_a_source_whose_clock_differs_stays_where_it_was_heard(skew):
    count = 50 * 600
    taken = [(number * 0.02 * (1 + skew), packet(number)) for number in range(count)]
    seconds = count * 0.02 * (1 + skew)
    made, _ = whole(taken, seconds)
    last = placed(made)[-1][1]
    assert last == pytest.approx(taken[-1][0], abs=0.25)


def test_a_source_that_is_ahead_loses_a_packet_where_it_is_quiet():
    taken = [(0.15, packet(0))]
    taken += [(number * 0.02, packet(number, level=-70.0)) for number in range(8, 100)]
    made, one = whole(taken, 2.0)
    assert 0 < one.late <= 6
    assert placed(made)[-1][1] == pytest.approx(99 * 0.02, abs=0.07)


def test_another_timeline_goes_on_at_the_time_it_begins():
    taken = [(number * 0.02, packet(number)) for number in range(50)]
    taken += [(2 + number * 0.02, packet(100 + number, epoch="other")) for number in range(50)]
    made, _ = whole(taken, 3.0)
    assert dict(placed(made))[PACKETS[100]] == pytest.approx(2.0)


def test_a_source_whose_timestamps_stood_still_in_a_pause_goes_on_when_it_is_heard():
    taken = [(number * 0.02, packet(number)) for number in range(50)]
    taken += [(9 + number * 0.02, packet(50 + number)) for number in range(50)]
    made, one = whole(taken, 10.0)
    assert dict(placed(made))[PACKETS[50]] == pytest.approx(9.0, abs=0.03)
    assert one.late == 0


def test_frames_are_encoded_between_packets_without_a_break():
    taken = [(number * 0.02, packet(number)) for number in range(50)]
    taken += [(number * 0.02, frame(number)) for number in range(50, 100)]
    taken += [(number * 0.02, packet(number, epoch="third")) for number in range(100, 150)]
    made, _ = whole(taken, 3.0)
    sound = played(made, 3.0)
    reference = played([(one, FRAME) for one in PACKETS[:151]], 3.0)
    pieces = sound.reshape(-1, FRAME), reference.reshape(-1, FRAME)
    loudness = [np.sqrt((piece**2).mean(axis=1)) for piece in pieces]
    assert loudness[0][5:145] == pytest.approx(loudness[1][5:145], rel=0.25)


def test_silent_frames_cost_no_encoder():
    taken = [(number * 0.02, frame(number, pcm=SILENCE)) for number in range(100)]
    made, one = whole(taken, 2.0)
    assert placed(made) == []
    assert one._encoding is None


def test_a_sender_that_pauses_is_given_its_own_comfort_noise():
    dtx = bytes((PACKETS[0][0],))
    taken = [(number * 0.02, packet(number)) for number in range(50)]
    taken += [(1.0 + step * 0.4, packet(50 + 20 * step, payload=dtx)) for step in range(3)]
    made, _ = whole(taken, 2.0)
    assert {payload for payload, _ in made[50:90]} == {dtx}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.floats(0, 0.5),
            st.sampled_from((LINE, "other", "third")),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.integers(0, 9000),
    st.sampled_from((0.1, 1.0, 2.5)),
)
def test_whatever_comes_the_track_is_as_long_as_what_passed(events, milliseconds, every):
    seconds = milliseconds / 1000
    taken = [
        (
            number * 0.02 + delay,
            frame(number, epoch) if pcm else packet(number, epoch=epoch),
        )
        for number, delay, epoch, pcm in events
    ]
    made, _ = whole([pair for pair in taken if pair[0] < seconds], seconds, every)
    length = sum(samples for _, samples in made)
    assert all(duration(payload) == samples for payload, samples in made)
    wanted = round(seconds * RATE) + PRE_SKIP
    assert wanted <= length < wanted + RATE // 2
