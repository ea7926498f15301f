"""What answers say about lines that are not used."""

from dataclasses import replace

import pytest

from bridge.wire.sdp.description import LocalAudio, parse_offer, write_answer
from bridge.wire.sdp.lines import split_description
from bridge.wire.sdp.offer import parse_plain_offer, write_plain_answer
from bridge.wire.sdp.transport import Candidate
from bridge.wire.sdp.unused import OfferedLine, carries_transport, read_line, reject_line
from tests.support.packets.offers import offer

LOCAL = LocalAudio(
    ufrag="Zq3T",
    pwd="b2V4Yk1rQ3dQd1pXc3hLZg",
    fingerprint=":".join(["7B", "0C"] * 16),
    candidates=(Candidate("1", 1, "udp", 2130706431, "203.0.113.80", 20_004, "host"),),
    ssrc=2863311530,
    cname="w9Qm",
    session_id=1234567890123456789,
    session_version=1,
    setup="active",
)
TRANSPORT = ("a=ice-ufrag:Zq3T", "a=setup:active")
VIDEO = OfferedLine(
    "video",
    9,
    "UDP/TLS/RTP/SAVPF",
    ("96", "97"),
    "0",
    bundled=True,
    tagged=True,
    rtpmap="96 VP8/90000",
)
AUDIO = OfferedLine("audio", 0, "UDP/TLS/RTP/SAVPF", ("111",), "1", bundled=True)


def line_of(text):
    (media,) = split_description(f"v=0\r\n{text}\r\n").media
    return read_line(media, ("0",))


def test_a_rejected_line_repeats_its_first_format_with_the_codec():
    line = line_of(
        "m=video 9 UDP/TLS/RTP/SAVPF 97 96\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000"
    )
    assert [*reject_line(line, TRANSPORT)] == [
        "m=video 0 UDP/TLS/RTP/SAVPF 97",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=inactive",
        *TRANSPORT,
        "a=rtcp-mux",
        "a=rtpmap:97 rtx/90000",
    ]


def test_the_payload_types_of_lines_that_are_not_used_are_known_as_such():
    text = offer("chrome")
    video = next(line for line in text.splitlines() if line.startswith("m=video"))
    types = {int(kind) for kind in video.split()[3:]}
    audio = parse_offer(text).audio
    assert types > {96}
    assert audio.refused_types == types
    assert not audio.payload_types & types


def test_a_rejected_line_for_data_repeats_its_port():
    line = line_of("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000")
    assert [*reject_line(line, ())][-1] == "a=sctp-port:5000"
    assert not line.bundled


@pytest.mark.parametrize(
    "odd",
    [
        "a=rtpmap:96",
        "a=rtpmap:x y",
        "a=rtpmap:96 VP8",
        "a=rtpmap:96 VP8/",
        "a=rtpmap:96 VP8/9000a",
        "a=sctp-port:many",
        "a=sctp-port",
    ],
)
def test_what_is_malformed_in_a_line_that_is_not_used_is_left_out(odd):
    line = line_of(f"m=video 9 X/Y 96\r\n{odd}")
    assert (line.rtpmap, line.sctp_port) == ("", "")


@pytest.mark.parametrize(
    ("line", "accepted", "carries"),
    [
        (VIDEO, AUDIO, True),
        (VIDEO, replace(AUDIO, port=9), True),
        (replace(VIDEO, port=0), AUDIO, False),
        (VIDEO, replace(AUDIO, bundled=False), False),
        (replace(VIDEO, tagged=False), AUDIO, False),
        (replace(VIDEO, rtpmap=""), AUDIO, False),
        (AUDIO, AUDIO, False),
    ],
)
def test_the_line_is_kept_whose_transport_is_that_of_the_accepted_one(line, accepted, carries):
    assert carries_transport(line, accepted) is carries


def test_the_kept_line_stands_first_in_the_bundle_with_our_address_and_sends_nothing():
    answer = split_description(write_answer(parse_offer(offer("audio_bundle_only")), LOCAL))
    video, audio = answer.media
    assert answer.bundle == (video.mid, audio.mid)
    assert (video.port, audio.port) == (20_004, 20_004)
    assert video.has("inactive")
    assert video.has("rtcp-mux")
    for name in ("candidate", "ice-ufrag", "ice-pwd", "fingerprint", "setup"):
        assert [one.value for one in video.all(name)] == [one.value for one in audio.all(name)]


def test_whatsapps_plain_answers_reject_with_a_transport_too():
    text = offer("chrome")
    answer = split_description(write_plain_answer(parse_plain_offer(text), LOCAL))
    assert [media.port for media in answer.media] == [20_004, 0]
    assert all(media.has("ice-ufrag") and media.has("fingerprint") for media in answer.media)
