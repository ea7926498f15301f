"""A session that must not pause: its gate, its silence, and what may be passed on to it."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.codec import codec
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.encoder_level import NORMAL
from bridge.audio.codec.encoding import Encoding
from bridge.audio.codec.opus import Application, Decoder, EncoderSettings
from bridge.audio.codec.opus_packet import is_plain
from bridge.audio.frame import Frame
from bridge.wire.sdp.offer import EXPECTED
from tests.support.packets.opus_source import CELT_10, CELT_20, SILK_40, SILK_60
from tests.support.packets.rtp_party import (
    AUDIO,
    OPUS,
    OURS,
    PAYLOADS,
    VOICE,
    WALL,
    Party,
    correlation,
    encoded,
)

META = dataclasses.replace(
    AUDIO,
    parameters={"maxaveragebitrate": "20000", "useinbandfec": "1"},
    telephone_events={126: 8000},
)
SILK = EncoderSettings(Application.VOIP, bitrate=24_000, complexity=5)
QUIET_SILK = Encoding(OPUS, SILK).silence()
QUIET_CELT = Encoding(OPUS, NORMAL).silence()


def continuous(audio=META, *, opened=True):
    party = Party(audio, continuous=True)
    if opened:
        party.session.start_sending(0.0)
    return party


def tick(party, first, last):
    for number in range(first, last):
        party.session.tick(0.02 * number)


def speak(party, number, *, epoch="line"):
    frame = Frame(VOICE[number % len(VOICE)], 320 * number, epoch)
    party.session.push(frame, 0.02 * number)


def forward(payload, number=0, *, samples=960):
    return EncodedPacket(payload, samples, number, 960 * number, "forwarded", -20.0, codec.OPUS)


# The gate


def test_nothing_is_sent_before_start_sending():
    party = continuous(opened=False)
    speak(party, 0)
    assert party.session.take(forward(PAYLOADS[0]), 0.0)
    assert not party.session.send_digits("1")
    tick(party, 0, 20)
    party.session.report(1.0, WALL)
    party.session.report(1.0, WALL, bye=True)
    assert party.rtp == party.rtcp == []


def test_start_sending_sends_the_first_packet():
    party = continuous(opened=False)
    party.session.start_sending(5.0)
    party.session.start_sending(5.0)
    (packet,) = party.packets
    assert (packet.payload, packet.marker, packet.ssrc) == (QUIET_SILK, True, OURS)


def test_before_its_answer_a_party_is_sent_nothing_even_after_start_sending():
    party = continuous(EXPECTED.audio)
    tick(party, 0, 5)
    assert party.rtp == []
    party.session.renegotiate(META)
    party.session.tick(0.2)
    assert len(party.rtp) == 1


def test_digits_are_accepted_after_start_sending():
    party = continuous()
    assert party.session.send_digits("1")


# Silence


def test_silence_is_sent_fifty_times_a_second():
    party = continuous()
    tick(party, 1, 500)
    packets = party.packets
    assert len(packets) == 500
    assert {packet.payload for packet in packets} == {QUIET_SILK}
    assert [packet.sequence - 30_000 for packet in packets] == list(range(500))
    assert [packet.timestamp - 5000 for packet in packets] == [960 * n for n in range(500)]
    assert [packet.marker for packet in packets] == [True] + [False] * 499


def test_speech_replaces_silence():
    party = continuous()
    for number in range(1, 50):
        speak(party, number)
        party.session.tick(0.02 * number + 0.003)
    assert len(party.packets) == 50
    assert QUIET_SILK not in [packet.payload for packet in party.packets[1:]]


def test_a_pause_is_filled_60_ms_after_the_last_packet():
    party = continuous()
    for number in range(1, 11):
        speak(party, number)
        party.session.tick(0.02 * number)
    tick(party, 11, 60)
    silence = [packet for packet in party.packets[11:] if packet.payload == QUIET_SILK]
    assert len(silence) == 60 - 13
    assert silence[0].timestamp - party.packets[10].timestamp == 3 * 960
    assert silence[0].marker


def test_speech_after_silence_resumes_in_time_with_a_marker():
    party = continuous()
    tick(party, 1, 100)
    speak(party, 100)
    last, first = party.packets[-2:]
    assert first.marker
    assert first.timestamp - last.timestamp == 960
    assert first.sequence - last.sequence == 1


def test_speech_after_silence_decodes_undistorted():
    party = continuous()
    tick(party, 1, 40)
    for number in range(40, 100):
        speak(party, number)
    decoder = Decoder(OPUS)
    heard = [decoder.decode(packet.payload) for packet in party.packets][40:]
    said = b"".join(VOICE[40:100])
    lag = 2 * 104  # bytes: SILK looks 6.5 ms ahead
    assert correlation([said[:-lag]], [b"".join(heard)[lag:]]) > 0.8


def test_digits_are_not_interrupted_by_silence():
    party = continuous()
    party.session.send_digits("12")
    tick(party, 1, 17)
    kinds = [packet.payload_type for packet in party.packets[1:]]
    assert kinds
    assert set(kinds) == {126}
    tick(party, 17, 40)
    assert party.packets[-1].payload == QUIET_SILK


def test_silence_is_encoded_with_the_application_in_use():
    party = continuous(AUDIO)
    assert [packet.payload for packet in party.packets] == [QUIET_CELT]


def test_a_session_that_is_not_steady_sends_no_silence():
    party = Party()
    party.session.start_sending(0.0)
    tick(party, 0, 50)
    assert party.rtp == []


# What is passed on


def test_a_steady_peer_with_a_low_bit_rate_gets_encoded_frames():
    assert not continuous(META).session.take(forward(PAYLOADS[0]), 0.0)


@pytest.mark.parametrize("payload", [PAYLOADS[0], encoded(SILK)[3], CELT_20 + b"sound"])
def test_single_mono_frames_of_20_ms_are_relayed_to_a_steady_peer(payload):
    party = continuous(AUDIO)
    assert is_plain(payload)
    assert party.session.take(forward(payload), 0.0)
    assert party.packets[-1].payload == payload


@pytest.mark.parametrize(
    "payload",
    [
        CELT_10 + b"sound",
        SILK_40 + b"sound",
        SILK_60 + b"sound",
        bytes([CELT_20[0] | 4]) + b"stereo",
        bytes([CELT_10[0] | 1]) + b"two frames",
        bytes([CELT_20[0] | 3, 1]) + b"counted",
        CELT_20,  # DTX
        CELT_20 + b"\0",
    ],
)
def test_other_packets_are_not_relayed_to_a_steady_peer(payload):
    party = continuous(AUDIO)
    assert not is_plain(payload)
    assert not party.session.take(forward(payload), 0.0)
    assert len(party.packets) == 1


def test_silence_and_relayed_packets_alternate():
    party = continuous(AUDIO)
    for number in range(1, 10):
        party.session.take(forward(PAYLOADS[number], number), 0.02 * number)
    tick(party, 10, 30)
    party.session.take(forward(PAYLOADS[30], 30), 0.6)
    assert party.packets[-1].payload == PAYLOADS[30]
    assert party.packets[-2].payload == QUIET_CELT
    assert party.packets[-1].sequence - party.packets[0].sequence == len(party.packets) - 1


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["tick", "speak", "relay", "digit", "lost"]),
        st.floats(0.0, 0.2),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(STEPS)
def test_no_sequence_number_is_used_twice_and_timestamps_never_go_back(steps):
    party, now, place = continuous(AUDIO), 0.0, 0
    for kind, pause in steps:
        now += pause
        place += max(1, round(pause * 50))
        if kind == "speak":
            party.session.push(Frame(VOICE[place % 100], 320 * place, "line"), now)
        elif kind == "relay":
            party.session.take(forward(PAYLOADS[place % 100], place & 0xFFFF), now)
        elif kind == "digit":
            party.session.send_digits("5")
        elif kind == "tick":
            party.session.tick(now)
    numbers = [packet.sequence for packet in party.packets]
    assert len(set(numbers)) == len(numbers)
    times = [packet.timestamp for packet in party.packets]
    assert times == sorted(times)
    assert {packet.ssrc for packet in party.packets} == {OURS}
