import dataclasses

import pytest

from bridge.audio.codec.encoder_level import NORMAL
from bridge.audio.codec.opus import Application, Decoder, Encoder, EncoderSettings
from bridge.audio.codec.opus_packet import has_fec
from bridge.wire.rtp.rtcp import Bye, serialize
from tests.support.packets.rtp_party import (
    AUDIO,
    OPUS,
    PAYLOADS,
    THEIRS,
    VOICE,
    WALL,
    Party,
    correlation,
    encoded,
    rtp,
)

LOUD = b"\0\x20\0\xe0" * 160


@pytest.fixture
def party():
    return Party()


def test_each_packet_becomes_a_frame_at_once(party):
    for number in range(50):
        party.hear(number)
        assert len(party.frames) == number + 1
    assert party.positions() == [320 * number for number in range(50)]
    assert party.times == [0.02 * number for number in range(50)]
    assert {len(frame.pcm) for frame in party.frames} == {640}


def test_received_audio_matches_what_was_sent(party):
    for number in range(100):
        party.hear(number)
    heard = b"".join(frame.pcm for frame in party.frames)
    # The encoder looks 40 samples ahead.
    assert correlation([b"".join(VOICE)[6400:-80]], [heard[6480:]]) > 0.98


def test_without_a_listener_packets_are_still_counted(party):
    party.session.attach(None)
    party.hear(0)
    assert party.frames == []
    assert party.received.packets == 1


def test_statistics_of_a_clean_stream(party):
    for number in range(50):
        party.hear(number)
    received = party.received
    assert (received.packets, received.frames, received.lost, received.late) == (50, 50, 0, 0)
    assert received.bytes == sum(map(len, PAYLOADS[:50]))
    assert received.jitter_seconds < 0.0001
    assert party.session.last_received() == pytest.approx(0.98)


def test_nothing_is_reported_before_the_first_packet(party):
    assert party.session.last_received() is None
    assert party.received.packets == 0


def test_lost_packets_are_concealed_and_counted(party):
    for number in range(50):
        if number not in (20, 30, 31):
            party.hear(number)
    assert party.positions() == [320 * number for number in range(50)]
    received = party.received
    assert (received.lost, received.concealed_frames, received.fec_frames) == (3, 3, 0)
    assert received.frames == 50


def test_lost_frames_are_recovered_from_fec(party):
    fec = EncoderSettings(
        Application.VOIP, bitrate=32_000, complexity=5, fec=True, expected_loss=20
    )
    payloads = encoded(fec)
    whole = Decoder(OPUS)
    original = [whole.decode(payload) for payload in payloads]
    lost = [number for number in range(20, 90) if has_fec(payloads[number + 1])][::7]
    for number in range(100):
        if number not in lost:
            party.hear(number, payload=payloads[number])
    assert party.positions() == [320 * number for number in range(100)]
    received = party.received
    assert len(lost) > 3
    assert (received.fec_frames, received.concealed_frames) == (len(lost), 0)
    recovered = [party.frames[number].pcm for number in lost]
    assert correlation(recovered, [original[number] for number in lost]) > 0.9


def test_the_sequence_number_wraps_without_a_gap(party):
    for number in range(10):
        party.hear(number, base=65_530)
    assert party.positions() == [320 * number for number in range(10)]
    assert party.received.lost == 0


def test_the_timestamp_wraps_without_a_gap(party):
    for number in range(10):
        party.hear(number, ahead=0xFFFFFFFF - 4000)
    assert party.positions() == [320 * number for number in range(10)]


def test_duplicates_are_decoded_once(party):
    for number in range(5):
        party.hear(number)
        party.hear(number)
    assert len(party.frames) == 5
    assert party.received.late == 5


def test_after_reordering_a_missing_packet_is_waited_for(party):
    for number in (0, 2, 1, 3, 5):
        party.hear(number)
    assert party.positions() == [0, 320, 640, 960]
    assert party.session.needs_tick
    assert party.wakes == [0.01]
    party.hear(4, now=0.104)
    assert party.positions() == [0, 320, 640, 960, 1280, 1600]
    assert not party.session.needs_tick
    received = party.received
    assert (received.late, received.reordered, received.concealed_frames) == (1, 2, 1)


def test_a_duplicate_does_not_lengthen_the_wait(party):
    for number in (0, 2, 1, 3, 5):
        party.hear(number)
    party.hear(5, now=0.105)
    assert party.wakes == [0.01]


def test_a_missing_packet_is_waited_for_at_most_10_ms(party):
    for number in (0, 2, 1, 3, 5):
        party.hear(number)
    party.session.tick(0.110)
    assert party.positions() == [0, 320, 640, 960, 1280, 1600]
    assert not party.session.needs_tick


def test_a_new_ssrc_starts_a_new_timeline(party):
    for number in range(5):
        party.hear(number)
    for number in range(5, 10):
        party.hear(number, ssrc=0x33333333, base=40_000)
    epochs = [frame.epoch for frame in party.frames]
    assert len(set(epochs[:5])) == len(set(epochs[5:])) == 1
    assert epochs[0] != epochs[9]
    assert party.positions() == [0, 320, 640, 960, 1280] * 2


def test_stragglers_of_the_old_ssrc_do_not_restore_it(party):
    party.hear(0)
    party.hear(1, ssrc=0x33333333)
    party.hear(1, now=0.021)
    party.hear(2, ssrc=0x33333333)
    assert len({frame.epoch for frame in party.frames}) == 2
    assert party.received.late == 1


def test_an_old_ssrc_may_return_later(party):
    party.hear(0)
    party.hear(1, ssrc=0x33333333)
    party.hear(300)
    assert len(party.frames) == 3


def test_losses_of_an_old_ssrc_stay_counted(party):
    party.hear(0)
    party.hear(3)
    party.hear(4, ssrc=0x33333333)
    party.hear(6, ssrc=0x33333333)
    assert party.received.lost == 3


def test_a_pause_of_the_sender_shows_in_the_position(party):
    party.hear(0)
    party.hear(1, ahead=960 * 20, now=0.42)
    assert party.positions() == [0, 320 * 21]
    assert party.received.concealed_frames == 0


@pytest.mark.parametrize(("config", "samples"), [(22, 480), (21, 240), (20, 120)])
def test_short_packets_are_joined_into_frames(party, config, samples):
    count = 4 * 960 // samples
    for number in range(count):
        data = rtp(bytes([config << 3, 1, 2, 3]), sequence=number, timestamp=number * samples)
        party.session.receive_rtp(data, number * samples / 48_000)
    assert party.positions() == [0, 320, 640, 960]


@pytest.mark.parametrize(("count", "samples"), [(2, 1920), (3, 2880), (6, 5760)])
def test_long_packets_are_split_into_frames(party, count, samples):
    # CELT 20 ms frames, `count` of them in one packet of equal sizes.
    body = bytes([23 << 3 | 3, count]) + b"\x01\x02\x03" * count
    for number in range(3):
        data = rtp(body, sequence=number, timestamp=number * samples)
        party.session.receive_rtp(data, number * samples / 48_000)
    assert party.positions() == [320 * index for index in range(3 * count)]


def test_a_lost_60_ms_packet_leaves_no_gap(party):
    body = bytes([23 << 3 | 3, 3]) + b"\x01\x02\x03" * 3
    for number in (0, 2):
        party.session.receive_rtp(
            rtp(body, sequence=number, timestamp=number * 2880), 0.06 * number
        )
    assert party.positions() == [320 * index for index in range(9)]
    assert party.received.concealed_frames == 3


def test_a_stereo_packet_becomes_a_mono_frame(party):
    party.hear(0, payload=bytes([31 << 3 | 4, 0xFF, 0xFE]))
    assert len(party.frames[0].pcm) == 640


def test_header_extension_and_padding_are_stripped(party):
    plain = rtp(PAYLOADS[0], sequence=1, timestamp=0)
    extended = bytes([0xB0]) + plain[1:12] + b"\xbe\xde\x00\x01\x10\x55\x00\x00" + plain[12:]
    party.session.receive_rtp(extended + b"\x00\x00\x00\x04", 0.0)
    alone = Decoder(OPUS).decode(PAYLOADS[0])
    assert party.frames[0].pcm == alone


def test_a_packet_of_padding_only_is_no_loss(party):
    party.hear(0)
    padding = bytearray(rtp(b"\x00\x00\x00\x04", sequence=1001, timestamp=960))
    padding[0] |= 0x20
    party.session.receive_rtp(bytes(padding), 0.01)
    party.session.receive_rtp(rtp(PAYLOADS[1], sequence=1002, timestamp=960), 0.02)
    assert party.positions() == [0, 320]
    assert party.received.concealed_frames == 0


def test_an_unknown_payload_type_is_ignored_without_a_gap(party):
    party.hear(0)
    party.session.receive_rtp(rtp(b"\x11" * 20, sequence=1001, timestamp=960, kind=13), 0.02)
    party.session.receive_rtp(rtp(PAYLOADS[1], sequence=1002, timestamp=960), 0.02)
    assert party.positions() == [0, 320]


def test_opus_that_cannot_be_decoded_is_concealed(party):
    for number in range(3):
        party.hear(number)
    party.hear(3, payload=bytes([31 << 3 | 3, 0x41, 0xFF]))
    party.hear(4)
    assert party.positions() == [320 * number for number in range(5)]
    assert party.session.malformed == 1
    assert party.received.concealed_frames == 1


def test_packets_of_a_peer_that_does_not_send_are_ignored():
    party = Party(dataclasses.replace(AUDIO, direction="recvonly"))
    party.hear(0)
    assert party.frames == []
    assert party.received.packets == 1


def test_an_rtcp_bye_does_not_stop_the_audio(party):
    party.hear(0)
    party.session.receive_rtcp(serialize([Bye((THEIRS,))]), 0.01)
    party.hear(1)
    assert len(party.frames) == 2


def test_the_level_of_the_peer_is_measured(party):
    for number in range(10):
        party.hear(number)
    assert -40 < party.received.level_dbov < -10
    assert party.received.silent_seconds == 0.0


def test_the_duration_of_silence_is_measured(party):
    silence = Encoder(OPUS, NORMAL)
    for number in range(101):
        party.hear(number, payload=silence.encode(bytes(640)))
    assert party.received.level_dbov < -60
    assert party.received.silent_seconds == pytest.approx(1.76, abs=0.01)


def test_beeps_twice_a_second_are_not_taken_for_silence(party):
    encoder = Encoder(OPUS, NORMAL)
    silent_seconds = []
    for number in range(700):
        frame = LOUD if 9 <= number % 25 < 16 else bytes(640)
        party.hear(number, payload=encoder.encode(frame))
        silent_seconds.append(party.received.silent_seconds)
    assert max(silent_seconds) < 3.0


def test_a_peer_that_stops_sending_counts_as_silent(party):
    for number in range(10):
        party.hear(number)
    party.session.report(5.18, WALL)
    assert party.received.level_dbov == -127.0
    assert party.received.silent_seconds == pytest.approx(5.0)
