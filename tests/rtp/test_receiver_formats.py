"""What else than the audio's own packets may come: other lines', sources that take turns, formats that change."""

import dataclasses

import pytest

from bridge.audio.codec.codec import G722, PCMA, PCMU
from bridge.audio.codec.coders import make_encoder
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.call.bus.bus import Bus
from bridge.call.model import DeliveryPath, LegId
from bridge.wire.rtp.rtcp import ReceiverReport, SenderReport, serialize
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from tests.support.packets.rtp_party import AUDIO, OPUS_TYPE, PAYLOADS, THEIRS, VOICE, Party, rtp
from tests.support.packets.two_paths import Recorder

VIDEO_TYPE, VIDEO, OTHER = 96, 0x44444444, 0x33333333
ANN, BOB, TAPE = LegId("ann"), LegId("bob"), LegId("tape")
START = StreamStart(ssrc=5, sequence=1, timestamp=1)
TELEPHONE = NegotiatedAudio(
    codec=PCMU,
    payload_type=0,
    direction="sendrecv",
    telephone_events={101: 8000},
    other_formats={8: PCMA},
)
BOTH = dataclasses.replace(AUDIO, other_formats={0: PCMU})


@pytest.fixture
def party():
    return Party()


def video(party, number, now, *, kind=VIDEO_TYPE, ssrc=VIDEO):
    data = rtp(b"\x90" * 900, sequence=7 * number, timestamp=3000 * number, kind=kind, ssrc=ssrc)
    party.session.receive_rtp(data, now)


def g711(party, kind, numbers):
    """Let G.711 of these packets arrive in time, of the same sequence and clock whatever its law."""
    encoder = make_encoder({0: PCMU, 8: PCMA, 9: G722}[kind])
    for number in numbers:
        payload = encoder.encode(VOICE[number % len(VOICE)])
        data = rtp(payload, sequence=number, timestamp=160 * number, kind=kind)
        party.session.receive_rtp(data, 0.02 * number)


def without_discarded(statistics):
    return dataclasses.replace(statistics, discarded={})


# Lines that were not taken


def test_video_between_the_packets_of_the_audio_changes_nothing_but_a_counter(party):
    alone = Party()
    for number in range(100):
        for each in range(4):
            video(party, 4 * number + each, 0.02 * number)
        video(party, number, 0.02 * number, kind=97, ssrc=OTHER)
        for one in (party, alone):
            one.hear(number)
    assert party.session.statistics().discarded == {"unknown_payload": 500}
    assert [(one.pcm, one.pts) for one in party.frames] == [
        (one.pcm, one.pts) for one in alone.frames
    ]
    assert len({frame.epoch for frame in party.frames}) == 1
    assert without_discarded(party.session.statistics()) == without_discarded(
        alone.session.statistics()
    )


def test_video_alone_is_no_packet_of_the_audio(party):
    for number in range(50):
        video(party, number, 0.02 * number)
    assert party.session.last_received() is None
    assert (party.received.packets, party.received.bytes) == (0, 0)


def test_packets_of_a_line_that_was_refused_are_counted_as_such():
    party = Party(dataclasses.replace(AUDIO, refused_types=frozenset({VIDEO_TYPE})))
    video(party, 0, 0.0)
    video(party, 1, 0.01, kind=97)
    assert party.session.statistics().discarded == {"refused_line": 1, "unknown_payload": 1}


def test_a_packet_that_does_not_parse_changes_nothing_but_a_counter(party):
    for number in range(10):
        party.hear(number)
        party.session.receive_rtp(b"\x80\x6f", 0.02 * number)
    assert len({frame.epoch for frame in party.frames}) == 1
    assert party.session.statistics().discarded == {"bad_rtp": 10}


def test_video_does_not_end_a_relay_of_the_audio(party):
    other = Party()
    joined(party, other)
    for number in range(50):
        video(party, number, 0.02 * number)
        party.hear(number)
    assert [packet.payload for packet in other.packets] == PAYLOADS[:50]
    assert [packet.marker for packet in other.packets] == [True] + [False] * 49


def test_a_format_that_was_not_negotiated_in_the_sequence_of_the_audio_is_no_loss_and_no_audio(
    party,
):
    party.hear(0)
    data = rtp(b"\x11" * 20, sequence=1001, timestamp=960, kind=18)
    party.session.receive_rtp(data, 0.02)
    party.session.receive_rtp(rtp(PAYLOADS[1], sequence=1002, timestamp=960), 0.04)
    assert party.positions() == [0, 320]
    assert (party.received.packets, party.received.lost) == (2, 0)
    assert party.session.statistics().discarded == {"unknown_payload": 1}


def test_a_page_that_was_reloaded_begins_with_audio_only(party):
    party.hear(0)
    party.session.restart_source(AUDIO, START)
    video(party, 0, 0.1, ssrc=THEIRS)
    party.hear(10, base=5000)
    assert party.session.statistics().discarded == {"unknown_payload": 1}
    assert party.received.lost == 0


def test_reports_of_a_source_that_is_not_the_audio_s_are_not_counted(party):
    party.hear(0)
    party.session.receive_rtcp(serialize([SenderReport(VIDEO, 1 << 60, 0, 10, 100, ())]), 0.1)
    assert party.session.reports == (0, 0)
    party.session.receive_rtcp(serialize([ReceiverReport(THEIRS, ())]), 0.2)
    assert party.session.reports == (1, 0)


# Sources that take turns


def test_a_source_that_goes_and_comes_back_is_heard_within_80_ms(party):
    for number in range(20):
        party.hear(number)
    for number in range(20, 35):
        party.hear(number, ssrc=OTHER, base=40_000)
    for number in range(35, 100):
        party.hear(number)
    later = [time for time in party.times if time > 0.02 * 34]
    assert later[0] <= 0.02 * 34 + 0.081
    assert len(later) >= 62


def test_stragglers_of_a_source_are_ignored_for_as_long_as_its_successor_sends(party):
    for number in range(20):
        party.hear(number)
    for number in range(20, 300):
        party.hear(number, ssrc=OTHER, base=40_000)
        party.hear(number, now=0.02 * number + 0.005)
    assert len({frame.epoch for frame in party.frames}) == 2
    assert party.received.late == 280


def test_stragglers_do_not_break_a_relay(party):
    other = Party()
    joined(party, other)
    party.hear(0)
    for number in range(1, 50):
        party.hear(number, ssrc=OTHER, base=40_000)
        party.hear(number, now=0.02 * number + 0.005)
    assert [packet.payload for packet in other.packets] == PAYLOADS[:50]


# Formats that change


@pytest.mark.parametrize("turns", [[(0, range(50)), (8, range(50, 100))],
                                   [(8, range(100))],
                                   [(0, range(10)), (8, range(10, 20)), (0, range(20, 100))]])  # fmt: skip
def test_every_negotiated_format_is_heard_at_any_time(turns):
    party, usual = Party(TELEPHONE), Party(TELEPHONE)
    for kind, numbers in turns:
        g711(party, kind, numbers)
    g711(usual, 0, range(100))
    assert len(party.frames) == 100
    assert party.times == usual.times
    received = party.received
    assert (received.packets, received.lost, received.late) == (100, 0, 0)
    assert received.level_dbov == pytest.approx(usual.received.level_dbov, abs=1)
    assert party.session.statistics().discarded == {}
    assert received.jitter_seconds < 0.001


def test_a_format_of_another_clock_is_heard_at_once():
    party = Party(BOTH)
    for number in range(20):
        party.hear(number)
    encoder = make_encoder(PCMU)
    for number in range(20, 60):
        payload = encoder.encode(VOICE[number])
        data = rtp(payload, sequence=1000 + number, timestamp=160 * number, kind=0)
        party.session.receive_rtp(data, 0.02 * number)
    for number in range(60, 100):
        party.hear(number)
    assert len(party.frames) == 100
    assert party.received.lost == 0
    assert party.received.jitter_seconds < 0.001


def test_a_late_packet_of_the_format_before_does_not_bring_it_back():
    party = Party(TELEPHONE)
    g711(party, 0, range(10))
    g711(party, 8, range(11, 15))
    g711(party, 0, [10])
    g711(party, 8, range(15, 20))
    assert len({frame.epoch for frame in party.frames}) == 2
    assert party.received.late == 1


def test_a_renegotiation_that_keeps_the_format_in_use_does_not_interrupt_it():
    party = Party(TELEPHONE)
    g711(party, 8, range(10))
    party.session.renegotiate(dataclasses.replace(TELEPHONE, ptime=20))
    g711(party, 8, range(10, 20))
    assert len({frame.epoch for frame in party.frames}) == 1


def test_a_format_that_is_no_longer_negotiated_is_refused():
    party = Party(TELEPHONE)
    g711(party, 8, range(10))
    party.session.renegotiate(dataclasses.replace(TELEPHONE, other_formats={}))
    g711(party, 8, range(10, 20))
    assert len(party.frames) == 10
    assert party.session.statistics().discarded == {"unknown_payload": 10}


# Relayed


def joined(ann, bob):
    bus = Bus()
    for leg_id, one in ((ANN, ann), (BOB, bob)):
        bus.join(leg_id, one.session, one.session)
    bus.route({ANN: frozenset({BOB}), BOB: frozenset({ANN})}, 0.0)
    return bus


def test_a_relay_gives_way_to_frames_with_the_first_packet_of_another_format():
    ann, bob = Party(TELEPHONE), Party(TELEPHONE)
    bus = joined(ann, bob)
    g711(ann, 0, range(30))
    assert bus.path(BOB) is DeliveryPath.PASSTHROUGH
    for number in range(30, 90):
        g711(ann, 8, [number])
        assert len(bob.packets) == number + 1
    assert bus.path(BOB) is DeliveryPath.PCM
    assert {packet.payload_type for packet in bob.packets} == {0}
    assert bob.sent.forwarded_packets == 30


def test_a_relay_comes_back_with_the_format():
    ann, bob = Party(TELEPHONE), Party(TELEPHONE)
    bus = joined(ann, bob)
    g711(ann, 8, range(100))
    g711(ann, 0, range(100, 600))
    assert bus.path(BOB) is DeliveryPath.PASSTHROUGH
    assert len(bob.packets) == 600


def test_a_recorder_of_packets_takes_frames_of_another_format():
    ann, tape = Party(BOTH), Recorder()
    bus = Bus()
    bus.join(ANN, ann.session, None)
    bus.join(TAPE, None, tape, batched=True)
    bus.route({TAPE: frozenset({ANN})}, 0.0)
    for number in range(40):
        ann.hear(number)
    g711(ann, 0, range(1040, 1060))
    bus.flush(21.2)
    packets = [one for one, *more in tape.taken if isinstance(one, EncodedPacket)]
    assert (len(tape.taken), len(packets)) == (60, 40)


def test_opus_that_becomes_g711_goes_on_through_frames():
    ann, bob = Party(BOTH), Party(AUDIO)
    bus = joined(ann, bob)
    for number in range(40):
        ann.hear(number)
    assert bob.sent.forwarded_packets == 40
    g711(ann, 0, range(1040, 1100))
    assert bus.path(BOB) is DeliveryPath.PCM
    assert len(bob.packets) == 100
    assert {packet.payload_type for packet in bob.packets} == {OPUS_TYPE}
