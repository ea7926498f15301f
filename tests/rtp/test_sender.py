"""Packets passed on from one session to another, and the turns between that and frames."""

import dataclasses

import numpy as np
import pytest

from bridge.audio.codec.encoder_level import NORMAL
from bridge.audio.codec.opus import Application, Decoder, EncoderSettings
from bridge.audio.frame import Frame
from bridge.call.bus.bus import Bus
from bridge.call.bus.party import PAUSE_SECONDS, RETURN_SECONDS
from bridge.call.model import DeliveryPath, LegId
from bridge.wire.rtp.rtcp import (
    ReceiverReport,
    ReportBlock,
    SenderReport,
    parse_compound,
    serialize,
)
from bridge.wire.rtp.stream import StreamStart
from tests.support.packets.rtp_party import (
    AUDIO,
    EVENT_TYPE,
    OPUS,
    OURS,
    PAYLOADS,
    THEIRS,
    WALL,
    Party,
    encoded,
    rtp,
)
from tests.support.peers.stock_peer import read_wav
from tests.support.sound.voices import SPEECH

ANN, BOB, TAP = LegId("ann"), LegId("bob"), LegId("tap")
SILK = EncoderSettings(Application.VOIP, bitrate=24_000, complexity=5)


class Tap:
    """Somebody who only listens, by the clock."""

    always_clocked = True

    def __init__(self):
        self.heard = []

    def pull(self):
        return None

    def push(self, frame, now):
        self.heard.append(frame)


class Pair:
    """Two sessions on one bus: `ann` is spoken to by the test, `bob` transmits what she says."""

    def __init__(self, bob=AUDIO, *, passthrough=True, payloads=PAYLOADS):
        self.payloads = payloads
        self.ann = Party(passthrough=passthrough)
        self.bob = Party(bob, passthrough=passthrough)
        self.bus = Bus()
        for name, party in ((ANN, self.ann), (BOB, self.bob)):
            self.bus.join(name, party.session, party.session)
        self.route()

    def route(self, now=0.0, *, tapped=False, mixed=False):
        if (tapped or mixed) and TAP not in self.bus._parties:
            self.tap = Tap()
            self.bus.join(TAP, self.tap, self.tap)
        bob = {ANN, TAP} if mixed else {ANN}
        rows = {ANN: frozenset({BOB}), BOB: frozenset(bob)}
        if tapped:
            rows[TAP] = frozenset({ANN})
        self.bus.route(rows, now)

    def say(self, *numbers, ahead=0, base=1000, offset=0.0, **more):
        for number in numbers:
            self.ann.hear(
                number,
                payload=self.payloads[number % len(self.payloads)],
                now=0.02 * number + offset,
                ahead=ahead,
                base=base,
                **more,
            )

    @property
    def sent(self):
        return self.bob.packets

    def numbers(self):
        """Sequence numbers sent, from the first one."""
        return [packet.sequence - self.sent[0].sequence for packet in self.sent]

    def times(self):
        """Timestamps sent, in packets from the first one."""
        return [(packet.timestamp - self.sent[0].timestamp) / 960 for packet in self.sent]


def test_packets_are_relayed_unchanged_under_our_sequence_numbers():
    pair = Pair()
    pair.say(*range(20))
    assert [packet.payload for packet in pair.sent] == PAYLOADS[:20]
    assert {packet.ssrc for packet in pair.sent} == {OURS}
    assert pair.sent[0].sequence == 30_000
    assert pair.numbers() == list(range(20))
    assert pair.times() == list(range(20))
    assert [packet.marker for packet in pair.sent] == [True] + [False] * 19
    assert pair.bus.path(BOB) is DeliveryPath.PASSTHROUGH


def test_upstream_losses_stay_visible_downstream():
    pair = Pair()
    pair.say(0, 1, 4, 5)
    assert pair.numbers() == [0, 1, 4, 5]
    assert pair.times() == [0, 1, 4, 5]
    assert not any(packet.marker for packet in pair.sent[1:])


def test_packets_are_relayed_in_order_of_arrival():
    pair = Pair()
    pair.say(0, 1, 3, 2, 4, 6, 5, 7)
    assert pair.numbers() == [0, 1, 3, 2, 4, 6, 5, 7]
    assert [packet.payload for packet in pair.sent] == [
        PAYLOADS[number] for number in pair.numbers()
    ]


def test_a_duplicate_packet_is_relayed_once():
    pair = Pair()
    pair.say(0, 1, 1, 3, 0, 2, 2, 3, 4)
    assert pair.numbers() == [0, 1, 3, 2, 4]
    assert pair.bob.sent.dropped_frames == 4


def test_a_pause_of_the_source_is_relayed_as_a_pause():
    pair = Pair()
    pair.say(0, 1)
    pair.say(2, ahead=960 * 10, offset=0.2)
    assert pair.numbers() == [0, 1, 2]
    assert pair.times() == [0, 1, 12]
    assert pair.sent[2].marker


def test_a_source_whose_sequence_wraps_is_relayed():
    pair = Pair()
    pair.say(*range(10), base=65_530, ahead=2**32 - 3000)
    assert pair.numbers() == list(range(10))
    assert pair.times() == list(range(10))


def test_a_restarted_source_is_relayed_with_a_marker():
    pair = Pair()
    pair.say(0, 1)
    pair.say(2, 3, ssrc=0x77, base=40_000, ahead=12_345)
    assert pair.numbers() == [0, 1, 2, 3]
    assert pair.times() == [0, 1, 2, 3]
    assert [packet.marker for packet in pair.sent] == [True, False, True, False]


def test_extension_and_padding_are_not_relayed():
    pair = Pair()
    plain = rtp(b"", sequence=1, timestamp=0)
    extended = bytes([plain[0] | 0x30]) + plain[1:]
    data = extended + b"\xbe\xde\x00\x01\x10\x20\x00\x00" + PAYLOADS[0] + b"\x00\x00\x00\x04"
    pair.ann.session.receive_rtp(data, 0.0)
    assert pair.bob.rtp[0][12:] == PAYLOADS[0]
    assert pair.bob.rtp[0][0] == 0x80


def test_relayed_packets_have_the_far_peers_payload_type():
    pair = Pair(dataclasses.replace(AUDIO, payload_type=96))
    pair.say(0)
    assert pair.sent[0].payload_type == 96


def test_beside_a_relay_packets_are_decoded_only_for_the_meter():
    pair = Pair()
    pair.say(*range(50))
    received = pair.ann.received
    assert (received.packets, received.frames, received.lost) == (50, 0, 0)
    assert pair.bob.sent.forwarded_packets == pair.bob.sent.packets == 50
    assert pair.bob.sent.bytes == received.bytes


@pytest.mark.parametrize("settings", [None, SILK])
def test_levels_are_reported_while_packets_are_relayed(settings):
    payloads = PAYLOADS if settings is None else encoded(settings)
    forwarded, decoded = Pair(payloads=payloads), Pair(passthrough=False, payloads=payloads)
    for pair in (forwarded, decoded):
        pair.say(*range(90))
    level = decoded.ann.received.level_dbov
    assert forwarded.ann.received.level_dbov == pytest.approx(level, abs=3)
    assert forwarded.bob.sent.level_dbov == pytest.approx(level, abs=3)


def test_silence_is_reported_while_packets_are_relayed():
    quiet = [bytes([PAYLOADS[0][0]]) + b"\xff\xfe"] * 100
    pair = Pair(payloads=quiet)
    pair.say(*range(300))
    assert pair.ann.received.silent_seconds > 4.2


def test_losses_are_counted_while_packets_are_relayed():
    pair = Pair()
    pair.say(*(number for number in range(50) if number % 10 != 5))
    assert pair.ann.received.lost == 5


def test_a_peer_with_a_short_maxptime_gets_encoded_frames():
    pair = Pair(dataclasses.replace(AUDIO, maxptime=10))
    pair.say(*range(5))
    assert pair.bus.path(BOB) is DeliveryPath.PCM
    assert pair.numbers() == pair.times() == [0, 1, 2, 3, 4]
    assert pair.sent[1].payload != PAYLOADS[1]


def test_a_peer_with_a_low_bit_rate_gets_encoded_frames():
    pair = Pair(dataclasses.replace(AUDIO, parameters={"maxaveragebitrate": "20000"}))
    pair.say(*range(5))
    assert pair.bus.path(BOB) is DeliveryPath.PCM
    assert len(pair.sent) == 5


def test_a_peer_that_does_not_receive_is_sent_nothing():
    pair = Pair(dataclasses.replace(AUDIO, direction="sendonly"))
    pair.say(*range(5))
    assert pair.sent == []


def test_relay_can_be_turned_off():
    pair = Pair(passthrough=False)
    pair.say(*range(5))
    assert pair.bus.path(BOB) is DeliveryPath.PCM
    assert pair.bob.sent.forwarded_packets == 0
    assert len(pair.sent) == 5


def test_a_tap_gets_decoded_frames_beside_the_relay():
    pair = Pair()
    pair.route(tapped=True)
    for number in range(50):
        pair.say(number)
        pair.bus.tick(0.02 * number + 0.005)
    assert [packet.payload for packet in pair.sent] == PAYLOADS[:50]
    assert pair.ann.received.frames == 50
    assert len(pair.tap.heard) == 50
    assert np.abs(np.frombuffer(pair.tap.heard[-1].pcm, np.int16)).max() > 1000


def test_no_sequence_number_is_used_twice_when_sources_change():
    pair = Pair()
    for number in range(1200):
        if number % 300 == 100:
            pair.route(0.02 * number, mixed=True)
        if number % 300 == 110:
            pair.route(0.02 * number)
        if number % 7 != 3:
            pair.say(number)
        pair.bus.tick(0.02 * number + 0.005)
    numbers = pair.numbers()
    assert numbers == sorted(set(numbers))
    stamps = [packet.timestamp for packet in pair.sent]
    assert stamps == sorted(set(stamps))
    assert 0 < pair.bob.sent.forwarded_packets < len(numbers)


def test_seconds_after_frames_were_needed_packets_are_relayed_again():
    pair = Pair()
    pair.route(0.0, mixed=True)
    pair.route(0.01)
    paths = []
    for number in range(1, 400):
        pair.say(number)
        paths.append(pair.bus.path(BOB))
    back = round((0.01 + RETURN_SECONDS + PAUSE_SECONDS) / 0.02)
    assert paths[: back - 1] == [DeliveryPath.PCM] * (back - 1)
    assert set(paths[back:]) == {DeliveryPath.PASSTHROUGH}
    assert pair.numbers() == pair.times() == list(range(399))
    assert pair.sent[380].payload == PAYLOADS[381 % len(PAYLOADS)]


def test_after_a_mute_packets_are_relayed_again():
    pair = Pair()
    pair.say(0, 1)
    pair.bus.route({}, 0.03)
    pair.say(2, 3)
    pair.route(0.07)
    pair.say(4, 5)
    assert pair.numbers() == [0, 1, 2, 3]
    assert pair.times() == [0, 1, 4, 5]
    assert pair.sent[2].marker


@pytest.mark.parametrize("settings", [NORMAL, SILK])
def test_frames_after_a_relay_are_as_loud_as_if_there_had_never_been_one(settings):
    speech = read_wav(SPEECH[0])[: 3 * 16_000].tobytes()
    payloads = encoded(settings, [speech[at : at + 640] for at in range(0, len(speech), 640)])
    continuous = Pair(passthrough=False, payloads=payloads)
    continuous.say(*range(140))
    expected = levels(continuous.sent)
    off = []
    for turn in range(40, 130, 3):
        turned = Pair(payloads=payloads)
        turned.say(*range(turn))
        turned.bob.session.renegotiate(dataclasses.replace(AUDIO, maxptime=10))
        turned.say(*range(turn, turn + 5))
        assert turned.bob.sent.forwarded_packets == turn
        if expected[turn - 1] > 40:
            off.append((levels(turned.sent) - expected[: turn + 5])[turn:])
    assert len(off) > 10
    assert np.abs(np.median(off, axis=0)).max() < 0.5


def levels(packets):
    """Return the level of each packet decoded at the far end, in dB."""
    decoder = Decoder(OPUS)
    sound = [np.frombuffer(decoder.decode(packet.payload), np.int16) for packet in packets]
    return np.array([10 * np.log10(np.mean(pcm.astype(float) ** 2) + 1) for pcm in sound])


def test_a_digit_of_the_source_leaves_no_gap_in_the_relayed_sequence():
    pair = Pair()
    pair.say(0)
    for step in range(1, 8):
        event = bytes([5, 0x8A if step > 4 else 0x0A]) + (960 * min(step, 5)).to_bytes(2, "big")
        data = rtp(event, sequence=1000 + step, timestamp=960, kind=EVENT_TYPE)
        pair.ann.session.receive_rtp(data, 0.02 * step)
    pair.say(8, 9)
    assert pair.ann.digits == ["5"]
    assert pair.numbers() == [0, 1, 2]
    assert pair.times() == [0, 8, 9]
    assert {packet.payload_type for packet in pair.sent} == {AUDIO.payload_type}


def test_our_digits_take_precedence_over_relayed_packets():
    pair = Pair()
    pair.say(0, 1)
    pair.bob.session.send_digits("4")
    for number in range(2, 12):
        pair.bob.session.tick(0.02 * number)
        pair.say(number)
    kinds = [packet.payload_type for packet in pair.sent]
    assert kinds == [AUDIO.payload_type] * 2 + [EVENT_TYPE] * 7 + [kinds[0]] * 3
    assert pair.numbers() == list(range(12))
    assert pair.times()[-3:] == [9, 10, 11]


def blocks(compound: bytes) -> tuple[ReportBlock, ...]:
    """Return the report blocks of a compound packet."""
    first = parse_compound(compound)[0]
    assert isinstance(first, SenderReport | ReceiverReport)
    return first.blocks


def test_a_relayed_source_is_reported_the_greater_loss():
    pair = Pair()
    pair.say(0)
    block = ReportBlock(ssrc=OURS, fraction_lost=25, packets_lost=9, highest_sequence=1, jitter=0)
    pair.bob.session.receive_rtcp(serialize([ReceiverReport(THEIRS, (block,))]), 0.5)
    pair.ann.session.report(1.0, WALL)
    [block] = blocks(pair.ann.rtcp[0])
    assert (block.fraction_lost, block.packets_lost) == (25, 0)


def test_a_transcoded_source_is_reported_its_own_loss():
    pair = Pair(passthrough=False)
    pair.say(0)
    block = ReportBlock(ssrc=OURS, fraction_lost=25, packets_lost=9, highest_sequence=1, jitter=0)
    pair.bob.session.receive_rtcp(serialize([ReceiverReport(THEIRS, (block,))]), 0.5)
    pair.ann.session.report(1.0, WALL)
    [block] = blocks(pair.ann.rtcp[0])
    assert block.fraction_lost == 0


def test_packets_are_relayed_to_a_reloaded_page():
    pair = Pair()
    pair.say(0, 1)
    pair.bob.session.restart_source(AUDIO, StreamStart(ssrc=9, sequence=5, timestamp=70_000))
    pair.say(2, 3)
    assert [packet.sequence for packet in pair.sent[2:]] == [5, 6]
    assert [packet.timestamp for packet in pair.sent[2:]] == [70_000, 70_960]
    assert pair.bob.sent.forwarded_packets == 4


def test_frames_and_packets_share_one_timeline():
    pair = Pair()
    pair.say(0, 1, 2)
    pair.bob.session.push(Frame(bytes(640), 0, "announcement"), 0.06)
    pair.say(4, 5)
    assert pair.numbers() == [0, 1, 2, 3, 4, 5]
    assert pair.times() == [0, 1, 2, 3, 4, 5]
