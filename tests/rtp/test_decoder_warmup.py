"""Packets that are not decoded."""

import pytest

from bridge.audio.codec.opus import Decoder
from bridge.audio.detect.level import SILENT
from bridge.errors import RemoteProtocolError
from bridge.rtp.decoder_warmup import REPORTED_EVERY, DecoderWarmup
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.rtp.packet import RtpPacket
from tests.support.packets.rtp_party import OPUS, PAYLOADS

# RFC 6464 in the one-byte form of RFC 8285: id 1, one byte, -20 dBov without voice activity.
LEVEL_20 = {"extension_profile": 0xBEDE, "extension": bytes([0x10, 20, 0, 0])}


def packet(number: int, **more) -> RtpPacket:
    return RtpPacket(111, False, number, number * 960, 7, PAYLOADS[number], **more)


@pytest.fixture
def meter():
    return LevelMeter()


@pytest.fixture
def warmup(meter):
    return DecoderWarmup(Decoder(OPUS), meter)


def test_without_kept_packets_the_decoder_is_not_warmed(warmup):
    assert not warmup.warm()
    warmup.keep(PAYLOADS[0], 0.0)
    assert warmup.warm()
    assert not warmup.warm()


def test_cleared_packets_do_not_warm_the_decoder(warmup):
    warmup.keep(PAYLOADS[0], 0.0)
    warmup.clear()
    assert not warmup.warm()


def test_one_packet_in_43_is_measured(warmup, meter):
    for number in range(100):
        warmup.keep(PAYLOADS[number], number * 0.02)
    assert meter.measured == 2
    assert meter.level_dbov > SILENT


def test_a_reported_level_makes_decoding_unnecessary(warmup, meter):
    warmup.set_level_extension(1)
    for number in range(60):
        reported = packet(number, **LEVEL_20)
        warmup.keep(reported.payload, number * 0.02, reported)
    assert meter.measured == 0
    assert meter.level_dbov == -20


def test_a_payload_that_libopus_refuses_raises(warmup):
    for number in range(40):  # of the first 43 these are not decoded
        warmup.keep(PAYLOADS[number], 0.0)
    with pytest.raises(RemoteProtocolError):
        warmup.keep(b"\xff\xff\xff", 0.0)


def test_packets_that_only_need_to_be_kept_can_be_counted_together(warmup, meter):
    assert warmup.spare == 40
    warmup.count_kept(40)
    assert warmup.spare == 0
    for number in range(3):
        warmup.keep(PAYLOADS[number], 0.8 + number * 0.02)
    assert meter.measured == 1
    assert warmup.spare == 40


def test_a_reported_level_is_read_twice_a_second(warmup, meter):
    warmup.set_level_extension(1)
    assert warmup.spare == REPORTED_EVERY - 1
    warmup.count_kept(REPORTED_EVERY - 1)
    assert warmup.spare == 0
    warmup.keep(PAYLOADS[24], 0.5, packet(24, **LEVEL_20))
    assert (meter.level_dbov, warmup.spare) == (-20.0, REPORTED_EVERY - 1)
