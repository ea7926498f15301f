"""Offers of LiveKit's client SDKs: several lines to receive on, spare ones, and later one to send on."""

import dataclasses

import pytest

from bridge.errors import SdpError
from bridge.wire.sdp.description import LocalAudio
from bridge.wire.sdp.dialect import LIVEKIT
from bridge.wire.sdp.lines import split_description
from bridge.wire.sdp.split_audio import name_track, parse_split_offer, prefer_line
from bridge.wire.sdp.transport import Candidate
from tests.support.packets.offers import offer

LOCAL = LocalAudio(
    ufrag="abcd",
    pwd="0123456789012345678901",
    fingerprint=":".join(["AB"] * 32),
    candidates=(Candidate("1", 1, "udp", 1, "192.0.2.1", 5000, "host"),),
    ssrc=77,
    cname="cname",
    session_id=1,
    session_version=1,
    setup="active",
)
AUDIO, VIDEO, DATA = "audio", "video", "application"
FIRST = [(AUDIO, "recvonly")] * 3 + [(VIDEO, "recvonly")] * 3 + [(DATA, "")]


def offered(lines) -> str:
    """Return an offer with these lines, as Chromium makes it."""
    head, _, audio = offer("chrome").partition("m=audio")
    audio = "m=audio" + audio.partition("m=")[0]
    audio = "".join(
        line
        for line in audio.splitlines(keepends=True)
        if not line.startswith(("a=ssrc", "a=msid"))
    )
    mids = " ".join(map(str, range(len(lines))))
    text = head.replace("BUNDLE 0 1", f"BUNDLE {mids}").replace("BUNDLE 0\r", f"BUNDLE {mids}\r")
    for mid, (kind, direction) in enumerate(lines):
        section = audio.replace("a=mid:0", f"a=mid:{mid}").replace("a=sendrecv", f"a={direction}")
        if kind == VIDEO:
            section = section.replace(
                "m=audio 51372 UDP/TLS/RTP/SAVPF 111", "m=video 9 UDP/TLS/RTP/SAVPF 96"
            )
            section = section.replace("rtpmap:111 opus/48000/2", "rtpmap:96 VP8/90000")
        if kind == DATA:
            section = (
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                f"c=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sctp-port:5000\r\n"
            )
        text += section
    return text


def answered(lines):
    """Return the lines of the answer as (kind, port, direction), and the whole of it."""
    remote = LIVEKIT.parse_offer(offered(lines))
    text = LIVEKIT.write_answer(remote, LOCAL)
    found = split_description(text)
    ways = ("sendrecv", "sendonly", "recvonly", "inactive")
    return [
        (media.kind, media.port, next(way for way in ways if media.has(way)))
        for media in found.media
    ], text


def test_the_first_line_that_it_receives_on_is_sent_on_and_spare_ones_are_kept_inactive():
    lines, text = answered(FIRST)
    assert lines == [
        (AUDIO, 5000, "sendonly"),
        *[(AUDIO, 5000, "inactive")] * 2,
        *[(VIDEO, 5000, "inactive")] * 3,
        (DATA, 0, "inactive"),
    ]
    assert "a=group:BUNDLE 0 1 2 3 4 5\r\n" in text


def test_a_microphone_on_a_line_of_its_own_is_received_on():
    lines, text = answered([*FIRST, (AUDIO, "sendonly")])
    assert lines[0] == (AUDIO, 5000, "sendonly")
    assert lines[-1] == (AUDIO, 5000, "recvonly")
    assert text.count("a=ssrc:77 cname:") == 1
    assert text.count("a=msid:") == 1


def test_audio_flows_as_far_as_there_are_lines_for_it():
    for lines, direction in (
        (FIRST, "recvonly"),
        ([*FIRST, (AUDIO, "sendonly")], "sendrecv"),
        ([*FIRST, (AUDIO, "inactive")], "recvonly"),
        ([(AUDIO, "sendrecv")], "sendrecv"),
        ([(AUDIO, "sendonly")], "sendonly"),
    ):
        assert LIVEKIT.parse_offer(offered(lines)).audio.direction == direction, lines


def test_one_line_for_both_is_answered_as_a_browsers():
    lines, text = answered([(AUDIO, "sendrecv")])
    assert lines == [(AUDIO, 5000, "sendrecv")]
    assert text.count("a=ssrc:77 cname:") == 1


@pytest.mark.parametrize("lines", [[(DATA, "")], [(VIDEO, "recvonly")]])
def test_an_offer_without_audio_for_us_is_refused(lines):
    with pytest.raises(SdpError, match="no audio line"):
        LIVEKIT.parse_offer(offered(lines))


def test_a_line_that_is_no_longer_sent_on_is_kept():
    lines, _ = answered([(AUDIO, "inactive"), (DATA, "")])
    assert lines == [(AUDIO, 5000, "inactive"), (DATA, 0, "inactive")]


def test_what_we_send_is_named_after_a_participant_and_its_track():
    _, text = answered([*FIRST, (AUDIO, "sendonly")])
    named, mid = name_track(text, "PA_far|TR_far", "TR_far")
    assert mid == "0"
    assert "a=msid:PA_far|TR_far TR_far\r\n" in named
    assert "a=ssrc:77 msid:PA_far|TR_far TR_far\r\n" in named
    assert "cname audio" not in named


def test_where_nothing_is_sent_no_line_is_named():
    _, text = answered([(AUDIO, "sendonly")])
    assert name_track(text, "PA_far|TR_far", "TR_far") == (text, "")


def test_a_line_that_has_been_stopped_stays_refused():
    text = offered([*FIRST, (AUDIO, "sendonly")]).replace("m=video 9", "m=video 0")
    found = split_description(LIVEKIT.write_answer(LIVEKIT.parse_offer(text), LOCAL))
    assert [media.port for media in found.media if media.kind == VIDEO] == [0, 0, 0]


def test_other_lines_do_not_change_what_is_agreed_on_ours():
    remote = LIVEKIT.parse_offer(offered([*FIRST, (AUDIO, "sendonly")]))
    assert remote.sends_on == 7
    assert dataclasses.replace(remote, sends_on=None).audio == remote.audio


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (1, 1), (2, 2), (3, 8), (9, 8)])
def test_another_party_is_sent_on_another_line_as_long_as_there_is_one(number, expected):
    lines = [*FIRST, (AUDIO, "sendonly"), (AUDIO, "recvonly")]
    found = parse_split_offer(prefer_line(offered(lines), number))
    assert (found.index, found.sends_on, found.direction) == (expected, 7, "sendrecv")


def test_an_offer_to_send_only_prefers_no_line():
    offer = offered([(AUDIO, "sendonly")])
    assert prefer_line(offer, 3) == offer
