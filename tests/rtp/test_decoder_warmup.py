"""Packets that nobody wants to hear."""

import pytest

from bridge.audio.level import SILENT
from bridge.audio.opus import Decoder
from bridge.errors import RemoteProtocolError
from bridge.rtp.decoder_warmup import TOLD_EVERY, DecoderWarmup
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.rtp import RtpPacket
from tests.support.rtp_party import OPUS, PAYLOADS

# RFC 6464 in the one-byte form of RFC 8285: id 1, one byte, -20 dBov without voice activity.
TOLD_20 = {"extension_profile": 0xBEDE, "extension": bytes([0x10, 20, 0, 0])}


def packet(number: int, **more) -> RtpPacket:
    return RtpPacket(111, False, number, number * 960, 7, PAYLOADS[number], **more)


@pytest.fixture
def meter():
    return LevelMeter()


@pytest.fixture
def undecoded(meter):
    return DecoderWarmup(Decoder(OPUS), meter)


def test_there_is_nothing_to_warm_with_before_a_packet_was_kept(undecoded):
    assert not undecoded.warm()
    undecoded.keep(PAYLOADS[0], 0.0)
    assert undecoded.warm()
    assert not undecoded.warm()


def test_what_was_forgotten_warms_nothing(undecoded):
    undecoded.keep(PAYLOADS[0], 0.0)
    undecoded.forget()
    assert not undecoded.warm()


def test_one_packet_in_fifty_is_measured(undecoded, meter):
    for number in range(100):
        undecoded.keep(PAYLOADS[number], number * 0.02)
    assert meter.measured == 2
    assert meter.level_dbov > SILENT


def test_the_level_that_the_peer_tells_spares_decoding(undecoded, meter):
    undecoded.expect_levels(1)
    for number in range(60):
        told = packet(number, **TOLD_20)
        undecoded.keep(told.payload, number * 0.02, told)
    assert meter.measured == 0
    assert meter.level_dbov == -20


def test_what_libopus_refuses_is_told(undecoded):
    for number in range(47):  # of the first fifty these are not decoded
        undecoded.keep(PAYLOADS[number], 0.0)
    with pytest.raises(RemoteProtocolError):
        undecoded.keep(b"\xff\xff\xff", 0.0)


def test_packets_that_need_only_be_kept_can_be_told_together(undecoded, meter):
    assert undecoded.spare == 47
    undecoded.kept_run(47)
    assert undecoded.spare == 0
    for number in range(3):
        undecoded.keep(PAYLOADS[number], 0.94 + number * 0.02)
    assert meter.measured == 1
    assert undecoded.spare == 47


def test_a_told_level_is_looked_for_twice_a_second(undecoded, meter):
    undecoded.expect_levels(1)
    assert undecoded.spare == TOLD_EVERY - 1
    undecoded.kept_run(TOLD_EVERY - 1)
    assert undecoded.spare == 0
    undecoded.keep(PAYLOADS[24], 0.5, packet(24, **TOLD_20))
    assert (meter.level_dbov, undecoded.spare) == (-20.0, TOLD_EVERY - 1)
