import dataclasses

import pytest

from bridge.wire.rtp.stream import OutgoingStream
from bridge.wire.rtp.telephone_event import digit_packets
from bridge.wire.rtp.telephone_event import parse as parse_event
from tests.support.packets.rtp_party import (
    AUDIO,
    EVENT_TYPE,
    OPUS_TYPE,
    PAYLOADS,
    THEIRS,
    Party,
    rtp,
)


@pytest.fixture
def party():
    return Party()


def test_a_digit_of_the_peer_is_reported_once(party):
    party.hear(0)
    stream = OutgoingStream(ssrc=THEIRS, payload_type=OPUS_TYPE, sequence=1001, timestamp=960)
    for index, packet in enumerate(digit_packets("5", clock_rate=48_000)):
        header = stream.stamp_event(
            EVENT_TYPE, begin=packet.begin, samples=packet.samples, now=0.02 * index
        )
        assert header is not None
        party.session.receive_rtp(header + packet.payload, 0.02 * index)
    assert party.digits == ["5"]


def test_after_a_digit_audio_continues_at_the_right_position(party):
    party.hear(0)
    for index, packet in enumerate(digit_packets("#", clock_rate=8000)):
        data = rtp(packet.payload, sequence=1001 + index, timestamp=960, kind=126)
        party.session.receive_rtp(data, 0.02 * (index + 1))
    party.session.receive_rtp(rtp(PAYLOADS[8], sequence=1008, timestamp=960 * 8), 0.16)
    assert party.digits == ["#"]
    assert party.positions() == [0, 320 * 8]
    assert party.received.concealed_frames == 0


def test_a_short_telephone_event_is_malformed(party):
    party.session.receive_rtp(rtp(b"\x05", sequence=1, timestamp=0, kind=EVENT_TYPE), 0.0)
    assert party.digits == []
    assert party.session.malformed == 1


def tick(party, count, *, first=0):
    for index in range(first, first + count):
        party.session.tick(0.02 * index)


def test_a_digit_is_sent_as_an_event(party):
    assert party.session.send_digits("7")
    assert party.session.digits_pending
    tick(party, 8)
    assert not party.session.digits_pending
    packets = party.packets
    events = [parse_event(packet.payload) for packet in packets]
    assert {packet.payload_type for packet in packets} == {EVENT_TYPE}
    assert len({packet.timestamp for packet in packets}) == 1
    assert [packet.marker for packet in packets] == [True] + [False] * 6
    assert [event.duration for event in events] == [960, 1920, 2880, 3840, 4800, 4800, 4800]
    assert [event.end for event in events] == [False] * 4 + [True] * 3
    assert {event.digit for event in events} == {"7"}


def test_digits_follow_one_another_160_ms_apart(party):
    party.session.send_digits("12")
    tick(party, 16)
    packets = party.packets
    starts = [packet.timestamp for packet in packets if packet.marker]
    assert starts[1] - starts[0] == 8 * 960
    assert [parse_event(packet.payload).digit for packet in packets] == ["1"] * 7 + ["2"] * 7
    assert [packet.sequence for packet in packets] == list(range(30_000, 30_014))


def test_audio_pauses_for_digits_and_resumes(party):
    party.say(5)
    party.session.send_digits("3")
    for index in range(5, 20):
        party.session.tick(0.02 * index)
        party.say(1, first=index)
    packets = party.packets
    kinds = [packet.payload_type for packet in packets]
    assert kinds == [OPUS_TYPE] * 5 + [EVENT_TYPE] * 7 + [OPUS_TYPE] * 8
    assert [packet.sequence for packet in packets] == list(range(30_000, 30_020))
    assert [packet.timestamp for packet in packets[12:]] == [5000 + 960 * n for n in range(12, 20)]


def test_ticks_that_come_too_fast_do_not_shorten_a_digit(party):
    party.session.send_digits("1")
    for step in range(5):
        party.session.tick(0.002 * step)
    assert len(party.rtp) == 1


def test_digits_use_the_8_khz_clock_if_the_peer_has_no_other():
    party = Party(dataclasses.replace(AUDIO, telephone_events={126: 8000}))
    party.session.send_digits("1")
    tick(party, 8)
    events = [parse_event(packet.payload) for packet in party.packets]
    assert events[-1].duration == 800


def test_a_peer_without_telephone_events_accepts_no_digits():
    party = Party(dataclasses.replace(AUDIO, telephone_events={}))
    assert not party.session.send_digits("1")
    assert not party.session.digits_pending


def test_too_many_digits_are_refused_entirely(party):
    assert party.session.send_digits("1" * 60)
    assert not party.session.send_digits("2" * 10)
    tick(party, 60 * 8)
    assert not party.session.digits_pending


def test_other_characters_are_ignored(party):
    party.session.send_digits("1-x a")
    tick(party, 16)
    assert {parse_event(packet.payload).digit for packet in party.packets} == {"1", "A"}
