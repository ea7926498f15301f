"""Receiving redundant packets (RFC 2198) and reported levels (RFC 6464)."""

import dataclasses

import pytest

from bridge.audio.codec.encoded_packet import EncodedPacket
from tests.support.packets.rtp_party import AUDIO, OPUS_TYPE, PAYLOADS, Party, rtp

RED_TYPE = 63
RED = dataclasses.replace(AUDIO, red_payload_type=RED_TYPE)


@pytest.fixture
def party():
    return Party(RED)


def redundant(number: int, *, repeats: int = 1, opus: int = OPUS_TYPE) -> bytes:
    """Packet `number` of a peer, with those before it once more."""
    before = [n for n in range(number - repeats, number) if n >= 0]
    heads = b"".join(
        (0x8000_0000 | opus << 24 | 960 * (number - n) << 10 | len(PAYLOADS[n])).to_bytes(4, "big")
        for n in before
    )
    body = heads + bytes([opus]) + b"".join(PAYLOADS[n] for n in [*before, number])
    return rtp(body, sequence=1000 + number, timestamp=960 * number, kind=RED_TYPE)


def hear(party, *numbers, repeats=1):
    for number in numbers:
        party.session.receive_rtp(redundant(number, repeats=repeats), 0.02 * number)


def test_red_copies_of_received_packets_are_ignored(party):
    hear(party, *range(10))
    assert party.positions() == [320 * number for number in range(10)]
    received = party.received
    assert (received.packets, received.lost, received.fec_frames) == (10, 0, 0)
    assert (received.late, received.concealed_frames) == (0, 0)


def test_a_lost_packet_is_recovered_from_red(party):
    plain = Party()
    hear(party, *(number for number in range(20) if number != 10))
    for number in range(20):
        plain.hear(number)
    assert [frame.pcm for frame in party.frames] == [frame.pcm for frame in plain.frames]
    received = party.received
    assert (received.lost, received.fec_frames, received.concealed_frames) == (1, 1, 0)


def test_a_longer_loss_is_recovered_as_far_as_red_reaches(party):
    hear(party, *(number for number in range(20) if number not in (10, 11, 12)), repeats=2)
    assert party.positions() == [320 * number for number in range(20)]
    received = party.received
    assert (received.lost, received.fec_frames, received.concealed_frames) == (3, 2, 1)


def test_a_packet_that_arrives_after_its_red_copy_is_late(party):
    hear(party, 0, 1, 3, 2, 4)
    assert party.positions() == [320 * number for number in range(5)]
    assert (party.received.late, party.received.lost) == (1, 0)


def test_packets_recovered_from_red_are_relayed(party):
    sent: list[EncodedPacket] = []
    party.session.attach(None, Collector(sent))
    hear(party, 0, 1, 3, 4)
    assert [packet.payload for packet in sent] == PAYLOADS[:5]
    assert [packet.sequence - sent[0].sequence for packet in sent] == [0, 1, 2, 3, 4]
    assert [packet.position for packet in sent] == [960 * number for number in range(5)]


class Collector:
    """A relay that keeps its packets."""

    loss_ratio = 0.0
    takers = None

    def __init__(self, packets):
        self.packets = packets

    def __call__(self, packet, now):
        self.packets.append(packet)


def test_redundancy_that_was_not_negotiated_is_ignored():
    party = Party()
    hear(party, 0)
    assert party.frames == []


def test_a_truncated_redundant_packet_is_malformed(party):
    party.session.receive_rtp(rtp(b"\xef", sequence=1, timestamp=0, kind=RED_TYPE), 0.0)
    assert party.session.malformed == 1


def test_redundancy_within_redundancy_is_not_unwrapped(party):
    nested = b"\x3f" * 1300 + b"\x6f"
    party.session.receive_rtp(rtp(nested, sequence=1, timestamp=0, kind=RED_TYPE), 0.0)
    assert party.frames == []


def test_reported_levels_are_used_while_packets_are_not_decoded():
    party = Party(dataclasses.replace(AUDIO, audio_level_id=1))
    party.session.attach(None, Collector([]))
    for number in range(50):
        plain = rtp(PAYLOADS[0], sequence=number, timestamp=960 * number)
        extension = b"\xbe\xde\x00\x01\x10" + bytes([0x80 | 33]) + b"\x00\x00"
        party.session.receive_rtp(b"\x90" + plain[1:12] + extension + plain[12:], 0.02 * number)
    assert party.received.level_dbov == -33.0


def test_a_negotiated_level_that_is_not_sent_is_measured():
    party = Party(dataclasses.replace(AUDIO, audio_level_id=1))
    party.session.attach(None, Collector([]))
    for number in range(50):
        party.hear(number)
    assert -40 < party.received.level_dbov < -10
