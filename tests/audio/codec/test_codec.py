"""What each codec is, apart from its decoder."""

import pytest

from bridge.audio.codec.codec import CODECS, G722, OPUS, PCMA, PCMU
from bridge.errors import RemoteProtocolError

TELEPHONE = (G722, PCMA, PCMU)


def test_the_static_payload_types_are_those_of_rfc_3551():
    assert {codec.name: codec.payload_type for codec in CODECS} == {
        "opus": None,
        "G722": 9,
        "PCMA": 8,
        "PCMU": 0,
    }


def test_a_tick_of_the_rtp_clock_is_a_whole_number_of_positions():
    assert OPUS.positions_per_tick == 1
    assert [codec.positions_per_tick for codec in TELEPHONE] == [6, 6, 6]


@pytest.mark.parametrize("codec", TELEPHONE)
@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60, 120])
def test_a_payload_of_the_telephone_lasts_as_long_as_it_has_octets(codec, milliseconds):
    payload = bytes(8 * milliseconds)
    assert codec.duration(payload) == 48 * milliseconds
    assert codec.durations[0] == 0
    assert len(payload) * codec.positions_per_octet == codec.duration(payload)
    assert codec.fec_duration(payload) == 0
    assert codec.is_frame(payload) == (milliseconds == 20)


@pytest.mark.parametrize("octets", [0, 961, 1400])
def test_an_empty_or_endless_payload_is_malformed(octets):
    with pytest.raises(RemoteProtocolError):
        PCMU.duration(bytes(octets))
