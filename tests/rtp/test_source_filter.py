import dataclasses

import pytest

from bridge.audio.codec.codec import PCMU
from bridge.rtp.source_filter import SILENT_SECONDS, SourceFilter
from tests.support.packets.rtp_party import AUDIO, EVENT_TYPE, OPUS_TYPE, THEIRS, rtp

OTHER = 0x33333333


@pytest.fixture
def source():
    found = SourceFilter()
    found.renegotiate(
        dataclasses.replace(AUDIO, other_formats={0: PCMU}, refused_types=frozenset({96}))
    )
    found.begin(THEIRS)
    return found


def packet(kind, ssrc=OTHER):
    return rtp(b"x", sequence=1, timestamp=1, kind=kind, ssrc=ssrc)


@pytest.mark.parametrize("kind", [OPUS_TYPE, EVENT_TYPE, 126, 0, 13])
@pytest.mark.parametrize("marker", [0, 0x80])
def test_all_that_was_negotiated_belongs_to_the_audio(source, kind, marker):
    assert not source.ignores(packet(kind | marker))
    assert (source.unknown, source.refused) == (0, 0)


def test_all_else_is_counted_by_whether_its_line_was_refused(source):
    for kind in (96, 96, 97, 8, 96 | 0x80):
        assert source.ignores(packet(kind))
    assert (source.unknown, source.refused) == (2, 3)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x60" + bytes(9), b"\x40\x60" + bytes(20)])
def test_what_is_no_rtp_is_for_others_to_count(source, data):
    assert not source.ignores(data)


def test_a_packet_in_the_sequence_of_the_source_is_for_the_receiver(source):
    assert not source.ignores(packet(97, THEIRS))


def test_a_source_before_is_a_straggler_until_its_successor_is_silent(source):
    source.begin(OTHER)
    assert source.is_straggler(THEIRS, 0.0)
    assert not source.is_straggler(THEIRS, SILENT_SECONDS)
    assert not source.is_straggler(0x44444444, 0.0)
    source.restart()
    assert not source.is_straggler(THEIRS, 0.0)
