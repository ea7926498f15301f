"""Our descriptions of plain RTP, one after the other."""

from dataclasses import replace

import pytest

from bridge.audio.codec.codec import PCMA, PCMU
from bridge.errors import SdpError
from bridge.wire.sdp.own_rtp import OwnRtp
from bridge.wire.sdp.rtp import EVENTS, LocalRtp, read_offer, write_answer, write_offer

LOCAL = LocalRtp(host="127.0.0.1", port=4000, rtcp_port=4000, session_id=0, session_version=0)
FORMATS = {PCMU: 0, PCMA: 8}


def write(local):
    return write_offer(local, FORMATS, EVENTS, "RTP/AVP")


def test_the_version_counts_the_descriptions_that_differ():
    own = OwnRtp(77)
    first = own.write(write, LOCAL)
    assert "o=- 77 1 " in first
    assert own.write(write, LOCAL) == first
    held = own.write(write, replace(LOCAL, direction="sendonly"))
    assert "o=- 77 2 " in held
    assert own.written == held


def test_an_answer_is_read_with_the_formats_of_the_offer():
    own = OwnRtp(77)
    own.formats = FORMATS
    offer = own.write(write, LOCAL)
    answer = write_answer(read_offer(offer, [PCMA], "off"), LOCAL)
    remote, ours = own.read_answer(answer, "off")
    assert (remote.audio.codec, remote.audio.payload_type, ours) == (PCMA, 8, None)
    own.formats = {PCMU: 0}
    with pytest.raises(SdpError):
        own.read_answer(answer, "off")
