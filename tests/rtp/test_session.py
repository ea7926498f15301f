import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.codec.opus import Decoder
from bridge.wire.rtp.stream import StreamStart
from tests.support.packets.rtp_party import (
    AUDIO,
    EVENT_TYPE,
    OPUS,
    OPUS_TYPE,
    OURS,
    PAYLOADS,
    THEIRS,
    VOICE,
    WALL,
    Party,
    correlation,
    rtp,
)


@pytest.fixture
def party():
    return Party()


def test_each_frame_is_sent_at_once(party):
    party.say(10)
    packets = party.packets
    assert [packet.sequence for packet in packets] == list(range(30_000, 30_010))
    assert [packet.timestamp for packet in packets] == [5000 + 960 * n for n in range(10)]
    assert [packet.marker for packet in packets] == [True] + [False] * 9
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(OURS, OPUS_TYPE)}


def test_sent_audio_matches_the_frames(party):
    party.say(100)
    decoder = Decoder(OPUS)
    heard = b"".join(decoder.decode(packet.payload) for packet in party.packets)
    assert correlation([b"".join(VOICE)[6400:-80]], [heard[6480:]]) > 0.98


def test_statistics_of_what_is_sent(party):
    party.say(10)
    assert party.sent.packets == 10
    assert party.sent.bytes == sum(len(packet.payload) for packet in party.packets)
    assert -40 < party.sent.level_dbov < -10


def test_the_level_falls_when_nothing_is_sent(party):
    party.say(10)
    party.session.report(1.3, WALL)
    assert party.sent.level_dbov == -127.0


def test_a_frame_whose_time_was_sent_is_dropped(party):
    party.say(3)
    party.say(1, first=1)
    assert len(party.rtp) == 3
    assert party.sent.dropped_frames == 1


def test_a_peer_that_does_not_receive_is_sent_nothing():
    party = Party(dataclasses.replace(AUDIO, direction="sendonly"))
    party.say(3)
    assert party.rtp == []
    assert not party.session.send_digits("1")


def test_a_peer_that_only_receives_is_sent_audio():
    party = Party(dataclasses.replace(AUDIO, direction="recvonly"))
    party.say(3)
    assert len(party.rtp) == 3


def test_the_peer_decides_the_bit_rate():
    party = Party(dataclasses.replace(AUDIO, parameters={"maxaveragebitrate": "20000"}))
    party.say(100)
    assert party.sent.bytes * 8 / 2.0 < 22_000


def test_renegotiation_changes_direction_and_payload_type(party):
    party.say(1)
    party.session.renegotiate(dataclasses.replace(AUDIO, direction="recvonly", payload_type=96))
    party.say(1, first=1)
    party.hear(0)
    assert [packet.payload_type for packet in party.packets] == [OPUS_TYPE, 96]
    assert [packet.sequence for packet in party.packets] == [30_000, 30_001]
    assert party.frames == []


def test_a_peer_that_sends_again_starts_a_new_timeline(party):
    party.hear(0)
    party.session.renegotiate(dataclasses.replace(AUDIO, direction="inactive"))
    party.hear(1)
    party.session.renegotiate(AUDIO)
    party.hear(2)
    assert party.positions() == [0, 0]
    assert party.frames[0].epoch != party.frames[1].epoch


def test_renegotiation_does_not_disturb_the_audio(party):
    party.hear(0)
    party.session.renegotiate(AUDIO)
    party.hear(1)
    assert party.positions() == [0, 320]


def test_a_reloaded_page_gets_new_streams_and_keeps_the_totals(party):
    party.say(2)
    party.hear(0)
    party.session.restart_source(AUDIO, StreamStart(ssrc=77, sequence=5, timestamp=9))
    party.say(2, first=2)
    party.hear(50, base=20_000)
    assert party.session.ssrc == 77
    packets = party.packets
    assert [packet.ssrc for packet in packets] == [OURS, OURS, 77, 77]
    assert [packet.sequence for packet in packets[2:]] == [5, 6]
    assert party.frames[0].epoch != party.frames[1].epoch
    assert (party.sent.packets, party.received.packets) == (4, 2)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=20))
def test_arbitrary_bytes_raise_nothing(packets):
    party = Party()
    for index, data in enumerate(packets):
        party.session.receive_rtp(data, 0.02 * index)
        party.session.receive_rtcp(data, 0.02 * index)
        party.session.tick(0.02 * index)
    party.session.report(1.0, WALL)
    party.session.statistics()


hostile = st.tuples(
    st.sampled_from([OPUS_TYPE, OPUS_TYPE, OPUS_TYPE, EVENT_TYPE, 13]),
    st.one_of(st.integers(0, 20), st.integers(0, 65_535)),
    st.one_of(st.sampled_from([960 * n for n in range(20)]), st.integers(0, 2**32 - 1)),
    st.sampled_from([THEIRS, THEIRS, 0x33333333]),
    st.one_of(st.sampled_from(PAYLOADS), st.binary(max_size=30)),
    st.sampled_from([0.0, 0.02, 3.0]),
)


@settings(deadline=None)
@given(st.lists(hostile, max_size=30))
def test_positions_rise_within_each_timeline(packets):
    party = Party()
    now = 0.0
    for kind, sequence, timestamp, ssrc, payload, pause in packets:
        now += pause
        party.session.receive_rtp(
            rtp(payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc, kind=kind), now
        )
    party.session.report(now, WALL)
    ends: dict[object, int] = {}
    for frame in party.frames:
        assert len(frame.pcm) == 640
        assert frame.pts >= ends.get(frame.epoch, 0)
        ends[frame.epoch] = frame.pts + 320
    unknown = party.session.statistics().discarded.get("unknown_payload", 0)
    assert party.received.packets + unknown == len(packets)
    assert party.received.frames == len(party.frames)


@settings(deadline=None)
@given(st.lists(hostile, max_size=30))
def test_received_frames_can_be_sent(packets):
    listener, speaker = Party(), Party()
    speaker.session.attach(listener.session.push)
    now = 0.0
    for kind, sequence, timestamp, ssrc, payload, pause in packets:
        now += pause
        speaker.session.receive_rtp(
            rtp(payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc, kind=kind), now
        )
    numbers = [packet.sequence for packet in listener.packets]
    assert numbers == [(30_000 + index) & 0xFFFF for index in range(len(numbers))]
