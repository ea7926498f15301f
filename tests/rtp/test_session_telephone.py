"""Sessions with the codecs of the telephone, whose RTP clock is 8 kHz."""

import dataclasses

import numpy as np
import pytest

from bridge.audio.codec.codec import G722, OPUS, PCMA, PCMU
from bridge.audio.codec.coders import make_decoder, make_encoder
from bridge.audio.frame import Frame
from bridge.call.bus.bus import Bus
from bridge.call.model import DeliveryPath, LegId
from bridge.wire.rtp.rtcp import (
    ReceiverReport,
    ReportBlock,
    SenderReport,
    parse_compound,
    serialize,
)
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from tests.support.packets import rtp_party
from tests.support.packets.rtp_party import (
    AUDIO,
    FIRST_TIMESTAMP,
    OURS,
    THEIRS,
    VOICE,
    WALL,
    Party,
    correlation,
    rtp,
)

CODECS = pytest.mark.parametrize("codec", [PCMU, PCMA, G722], ids=lambda codec: codec.name)
EVENTS = {101: 8000}
DELAYS = {PCMU: 62, PCMA: 62, G722: 22}
"""Samples at 16 kHz through an encoder and a decoder."""


def telephone(codec, **more):
    return NegotiatedAudio(
        codec=codec,
        payload_type=codec.payload_type,
        direction="sendrecv",
        telephone_events=EVENTS,
        **more,
    )


def payloads(codec, count=100, *, octets=160):
    encoder = make_encoder(codec)
    whole = b"".join(encoder.encode(frame) for frame in VOICE[:count])
    return [whole[start : start + octets] for start in range(0, len(whole), octets)]


def hear(party, packets, *, kind=0, sequence=65_500, timestamp=2**32 - 3200, lost=(), ticks=160):
    """Let packets arrive on time; sequence and timestamp wrap on the way."""
    for number, payload in enumerate(packets):
        if number not in lost:
            data = rtp(
                payload,
                sequence=sequence + number,
                timestamp=timestamp + ticks * number,
                kind=kind,
            )
            party.session.receive_rtp(data, ticks / 8000 * number)


def pcm(frames):
    return [frame.pcm for frame in frames]


@CODECS
def test_what_is_received_is_what_was_said_across_wraps_of_its_numbers(codec):
    party = Party(telephone(codec))
    hear(party, payloads(codec), kind=codec.payload_type)
    assert party.positions() == [320 * number for number in range(100)]
    assert len({frame.epoch for frame in party.frames}) == 1
    heard = b"".join(pcm(party.frames))[2 * DELAYS[codec] :]
    assert correlation([b"".join(VOICE)[: len(heard)]], [heard]) > 0.99
    received = party.received
    assert (received.packets, received.lost, received.late, received.frames) == (100, 0, 0, 100)
    assert received.jitter_seconds == pytest.approx(0, abs=1e-6)
    assert party.session.malformed == 0


@CODECS
@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
def test_packets_of_any_length_give_the_same_frames(codec, milliseconds):
    party, usual = Party(telephone(codec)), Party(telephone(codec))
    kind, octets = codec.payload_type, 8 * milliseconds
    hear(party, payloads(codec, 96, octets=octets), kind=kind, ticks=octets)
    hear(usual, payloads(codec, 96), kind=kind)
    heard, expected = (
        np.frombuffer(b"".join(pcm(one.frames)), "<i2").astype(int) for one in (party, usual)
    )
    # BLAS may add up in another order for longer packets, so a sample may be rounded otherwise.
    assert np.abs(heard - expected).max() <= 1
    assert party.positions() == usual.positions()


@CODECS
def test_what_is_sent_has_the_clock_of_the_codec(codec):
    party = Party(telephone(codec))
    party.say(50)
    packets = party.packets
    assert [packet.timestamp for packet in packets] == [
        FIRST_TIMESTAMP + 160 * number for number in range(50)
    ]
    assert {packet.payload_type for packet in packets} == {codec.payload_type}
    assert {len(packet.payload) for packet in packets} == {160}
    decoder = make_decoder(codec, rtp_party.OPUS)
    heard = b"".join(decoder.decode(packet.payload) for packet in packets)[2 * DELAYS[codec] :]
    assert correlation([b"".join(VOICE)[: len(heard)]], [heard]) > 0.99
    assert party.sent.fec is False


@pytest.mark.parametrize(
    ("ptime", "maxptime", "octets"),
    [(30, None, 240), (None, 10, 80), (60, 40, 320), (20, 150, 160)],
)
def test_packets_are_as_long_as_the_peer_wants_them(ptime, maxptime, octets):
    party = Party(telephone(PCMU, ptime=ptime, maxptime=maxptime))
    party.say(48)
    packets = party.packets
    assert {len(packet.payload) for packet in packets} == {octets}
    assert b"".join(packet.payload for packet in packets) == b"".join(payloads(PCMU, 48))
    assert [packet.timestamp - FIRST_TIMESTAMP for packet in packets] == [
        octets * number for number in range(len(packets))
    ]
    assert [packet.marker for packet in packets] == [True] + [False] * (len(packets) - 1)


def test_a_steady_stream_with_long_packets_has_neither_gap_nor_overlap():
    party = Party(telephone(PCMU, ptime=40), continuous=True)
    party.session.start_sending(0.0)
    for number in range(1, 100):
        now = 0.02 * number
        if 30 <= number < 60:
            party.session.push(Frame(VOICE[number], 320 * number, "line"), now)
        party.session.tick(now)
    packets = party.packets
    steps = np.diff([packet.timestamp for packet in packets])
    assert 44 <= len(packets) <= 50
    assert set(steps[:10]) == {320}
    assert set(steps) <= {320, 480, 640, 800}


def test_a_steady_stream_is_silence_until_somebody_speaks():
    party = Party(telephone(PCMA), continuous=True)
    party.session.start_sending(0.0)
    for number in range(1, 20):
        party.session.tick(0.02 * number)
    assert {packet.payload for packet in party.packets} == {b"\xd5" * 160}
    assert len(party.packets) == 20


def test_lost_packets_are_concealed_and_counted():
    party = Party(telephone(PCMU))
    hear(party, payloads(PCMU), lost={20, 50, 51})
    received = party.received
    assert party.positions() == [320 * number for number in range(100)]
    assert (received.lost, received.concealed_frames, received.fec_frames) == (3, 3, 0)
    lost = np.frombuffer(party.frames[20].pcm, "<i2").astype(float)
    said = np.frombuffer(VOICE[20], "<i2").astype(float)
    assert (lost @ lost) / (said @ said) > 0.25


def test_packets_in_the_wrong_order_are_put_right():
    packets, party = payloads(PCMU, 20), Party(telephone(PCMU))
    order = [*range(8), 9, 8, *range(10, 15), 16, 15, 17, 18, 19]
    for place, number in enumerate(order):
        data = rtp(packets[number], sequence=number, timestamp=160 * number, kind=0)
        party.session.receive_rtp(data, 0.02 * place + (0.001 if place < number else 0))
    assert party.positions() == [320 * number for number in range(20)]
    assert party.received.reordered == 2
    assert party.received.concealed_frames == 1  # before reordering was expected


def test_jitter_is_reported_by_the_clock_of_the_codec():
    party = Party(telephone(PCMU))
    for number, payload in enumerate(payloads(PCMU)):
        data = rtp(payload, sequence=number, timestamp=160 * number, kind=0)
        party.session.receive_rtp(data, 0.02 * number + 0.008 * (number % 2))
    assert party.received.jitter_seconds == pytest.approx(0.008, rel=0.05)
    party.session.push(Frame(VOICE[0], 0, "line"), 2.0)
    party.session.report(2.5, WALL)
    (report, *_) = parse_compound(party.rtcp[-1])
    assert isinstance(report, SenderReport)
    assert report.blocks[0].jitter == pytest.approx(64, rel=0.05)
    assert report.timestamp == FIRST_TIMESTAMP + 4000
    block = ReportBlock(OURS, 0, 0, 0, 80, 0, 0)
    party.session.receive_rtcp(serialize([ReceiverReport(THEIRS, (block,))]), 2.6)
    assert party.sent.remote_jitter_seconds == 0.01


def test_comfort_noise_is_silence_and_no_loss():
    packets, party = payloads(PCMU, 40), Party(telephone(PCMU))
    hear(party, packets[:20], sequence=0, timestamp=0)
    noise = rtp(b"\x4e", sequence=20, timestamp=3200, kind=13)
    party.session.receive_rtp(noise, 0.4)
    assert party.received.level_dbov == -78.0
    assert party.session.statistics().discarded == {}
    for number in range(30, 40):
        data = rtp(packets[number], sequence=number - 9, timestamp=160 * number, kind=0)
        party.session.receive_rtp(data, 0.02 * number)
    assert party.positions() == [320 * number for number in (*range(20), *range(30, 40))]
    assert (party.received.lost, party.received.concealed_frames) == (0, 0)


def test_comfort_noise_beside_opus_is_an_unknown_payload():
    party = Party()
    party.session.receive_rtp(rtp(b"\x4e", sequence=1, timestamp=0, kind=13), 0.0)
    assert party.session.statistics().discarded == {"unknown_payload": 1}


def test_digits_are_sent_and_received_at_8_khz():
    one, other = Party(telephone(PCMU)), Party(telephone(PCMU))
    one.say(10)
    assert one.session.send_digits("5#")
    for number in range(10, 40):
        one.session.tick(0.02 * number)
    for number, data in enumerate(one.rtp):
        other.session.receive_rtp(data, 0.02 * number)
    assert other.digits == ["5", "#"]
    events = [packet for packet in one.packets if packet.payload_type == 101]
    assert events[0].timestamp == FIRST_TIMESTAMP + 1600
    assert int.from_bytes(events[-1].payload[2:], "big") == 800
    assert other.received.concealed_frames == 0


def test_audio_that_is_too_long_is_malformed():
    party = Party(telephone(PCMU))
    party.session.receive_rtp(rtp(bytes(961), sequence=1, timestamp=0, kind=0), 0.0)
    assert party.session.malformed == 1
    assert party.frames == []


# Changes of the codec


def test_another_codec_in_mid_call_goes_on_on_the_same_stream():
    party = Party(telephone(PCMU))
    party.say(10)
    hear(party, payloads(PCMU, 10), sequence=0, timestamp=0)
    party.session.renegotiate(telephone(PCMA))
    party.say(10, first=10)
    for number, payload in enumerate(payloads(PCMA, 20)[10:], 10):
        data = rtp(payload, sequence=number, timestamp=160 * number, kind=8)
        party.session.receive_rtp(data, 0.02 * number)
    packets = party.packets
    assert [packet.payload_type for packet in packets] == [0] * 10 + [8] * 10
    assert [packet.sequence - packets[0].sequence for packet in packets] == list(range(20))
    assert [packet.timestamp - packets[0].timestamp for packet in packets] == [
        160 * number for number in range(20)
    ]
    assert len(party.frames) == 20
    assert party.received.lost == 0
    heard = b"".join(pcm(party.frames)[12:19])
    assert (
        correlation([b"".join(VOICE[12:19])[: -2 * DELAYS[PCMA]]], [heard[2 * DELAYS[PCMA] :]])
        > 0.99
    )


def test_another_clock_in_mid_call_continues_the_timestamps():
    party = Party(AUDIO)
    party.say(10)
    party.session.renegotiate(telephone(PCMU))
    party.say(10, first=10)
    hear(party, payloads(PCMU, 10), sequence=0, timestamp=0)
    packets = party.packets
    last, following = packets[9], packets[10]
    assert following.marker
    assert 160 <= following.timestamp - last.timestamp <= 960
    assert [packet.timestamp - following.timestamp for packet in packets[10:]] == [
        160 * number for number in range(10)
    ]
    assert [packet.sequence - last.sequence for packet in packets[10:]] == list(range(1, 11))
    assert len(party.frames) == 10
    party.session.renegotiate(AUDIO)
    party.say(10, first=20)
    assert [packet.payload_type for packet in party.packets[20:]] == [111] * 10


# Between two parties

ANN, BOB = LegId("ann"), LegId("bob")


def joined(ann, bob):
    bus = Bus()
    for leg_id, party in ((ANN, ann), (BOB, bob)):
        bus.join(leg_id, party.session, party.session)
    bus.route({ANN: frozenset({BOB}), BOB: frozenset({ANN})}, 0.0)
    return bus


@CODECS
def test_packets_are_relayed_between_equal_codecs(codec):
    ann, bob = Party(telephone(codec)), Party(telephone(codec))
    bus = joined(ann, bob)
    hear(ann, payloads(codec), kind=codec.payload_type, lost={40})
    assert bus.path(BOB) is DeliveryPath.PASSTHROUGH
    assert [packet.payload for packet in bob.packets] == [
        payload for number, payload in enumerate(payloads(codec)) if number != 40
    ]
    numbers = [packet.sequence - bob.packets[0].sequence for packet in bob.packets]
    assert numbers == [number for number in range(100) if number != 40]
    stamps = [packet.timestamp - bob.packets[0].timestamp for packet in bob.packets]
    assert stamps == [160 * number for number in numbers]
    assert ann.received.level_dbov > -60


@pytest.mark.parametrize(
    ("one", "other"), [(AUDIO, telephone(PCMU)), (telephone(PCMU), telephone(PCMA))]
)
def test_audio_passes_as_frames_at_once_between_different_codecs(one, other):
    ann, bob = Party(one), Party(other)
    bus = joined(ann, bob)
    if one.codec is OPUS:
        for number in range(50):
            ann.hear(number)
            assert len(bob.rtp) == number + 1
    else:
        hear(ann, payloads(one.codec, 50), kind=one.payload_type)
    assert bus.path(BOB) is DeliveryPath.PCM
    assert bob.sent.forwarded_packets == 0
    assert len(bob.rtp) == 50


def test_a_change_of_the_codec_turns_a_relay_into_frames():
    ann, bob = Party(telephone(PCMU)), Party(telephone(PCMU))
    bus = joined(ann, bob)
    hear(ann, payloads(PCMU, 30), sequence=0, timestamp=0)
    ann.session.renegotiate(telephone(PCMA))
    for number, payload in enumerate(payloads(PCMA, 60)[30:], 30):
        data = rtp(payload, sequence=number, timestamp=160 * number, kind=8)
        ann.session.receive_rtp(data, 0.02 * number)
    assert bus.path(BOB) is DeliveryPath.PCM
    assert {packet.payload_type for packet in bob.packets} == {0}
    assert len(bob.packets) == 60
    assert bob.sent.forwarded_packets == 30
    ann.session.renegotiate(dataclasses.replace(telephone(PCMU)))
    bus.route({ANN: frozenset({BOB}), BOB: frozenset({ANN})}, 100.0)
    hear(ann, payloads(PCMU, 10), sequence=60, timestamp=160 * 60)
    assert bus.path(BOB) is DeliveryPath.PASSTHROUGH
