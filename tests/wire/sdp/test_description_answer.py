"""Answering offers (bridge.wire.sdp.description); aiortc's parser is the independent reader."""

import re
from dataclasses import replace

import pytest
from aiortc.rtp import FORBIDDEN_PAYLOAD_TYPES
from aiortc.sdp import MediaDescription, SessionDescription
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.errors import SdpError
from bridge.wire.sdp.attributes import opposite
from bridge.wire.sdp.description import LocalAudio, answer_setup, parse_offer, write_answer
from bridge.wire.sdp.transport import Candidate
from tests.support.packets.offers import ANSWERABLE, offer

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


def answered(text: str, local: LocalAudio = LOCAL) -> SessionDescription:
    return SessionDescription.parse(write_answer(parse_offer(text), local))


def audio_of(description: SessionDescription) -> MediaDescription:
    (audio,) = (media for media in description.media if media.port and media.kind == "audio")
    return audio


@pytest.mark.parametrize("name", ANSWERABLE)
def test_every_answer_accepts_one_audio_line_and_mirrors_the_others(name: str) -> None:
    offered = SessionDescription.parse(offer(name))
    answer = answered(offer(name))
    accepted = parse_offer(offer(name)).index
    assert [media.kind for media in answer.media] == [media.kind for media in offered.media]
    assert [media.profile for media in answer.media] == [m.profile for m in offered.media]
    assert [media.rtp.muxId for media in answer.media] == [m.rtp.muxId for m in offered.media]
    # The first line of a bundle stays for its transport: test_sdp_unused.py.
    kept = 0 if name in ("audio_bundle_only", "audio_not_first") else accepted
    assert [media.port for media in answer.media] == [
        20_004 if index in (accepted, kept) else 0 for index in range(len(offered.media))
    ]


@pytest.mark.parametrize("name", ANSWERABLE)
def test_every_answer_holds_our_transport(name: str) -> None:
    audio = audio_of(answered(offer(name)))
    assert (audio.host, audio.rtcp_mux) == ("203.0.113.80", True)
    assert audio.ice is not None
    assert audio.dtls is not None
    assert (audio.ice.usernameFragment, audio.ice.password) == (LOCAL.ufrag, LOCAL.pwd)
    assert [(each.algorithm, each.value) for each in audio.dtls.fingerprints] == [
        ("sha-256", LOCAL.fingerprint)
    ]
    assert audio.dtls.role == "client"
    assert [(each.ip, each.port) for each in audio.ice_candidates] == [("203.0.113.80", 20_004)]
    assert audio.ice_candidates_complete


@pytest.mark.parametrize("name", ANSWERABLE)
def test_every_answer_offers_opus_for_16_khz_with_fec(name: str) -> None:
    audio = audio_of(answered(offer(name)))
    opus = audio.rtp.codecs[0]
    assert (opus.name, opus.clockRate, opus.channels) == ("opus", 48_000, 2)
    assert opus.payloadType == parse_offer(offer(name)).opus_payload_type
    assert opus.parameters == {
        "minptime": 10,
        "useinbandfec": 1,
        "usedtx": "0",
        "stereo": 0,
        "sprop-stereo": "0",
        "maxplaybackrate": 16_000,
        "sprop-maxcapturerate": "16000",
        "maxaveragebitrate": "40000",
    }


def test_a_chrome_offer_is_answered_line_by_line() -> None:
    assert write_answer(parse_offer(offer("chrome")), LOCAL).split("\r\n") == [
        "v=0",
        "o=- 1234567890123456789 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=msid-semantic:WMS *",
        "m=audio 20004 UDP/TLS/RTP/SAVPF 111 110 126",
        "c=IN IP4 203.0.113.80",
        "a=mid:0",
        "a=sendrecv",
        "a=ice-ufrag:Zq3T",
        "a=ice-pwd:b2V4Yk1rQ3dQd1pXc3hLZg",
        f"a=fingerprint:sha-256 {LOCAL.fingerprint}",
        "a=setup:active",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0;stereo=0;sprop-stereo=0;"
        "maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate=40000",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:110 0-15",
        "a=rtpmap:126 telephone-event/8000",
        "a=fmtp:126 0-15",
        "a=ptime:20",
        "a=msid:w9Qm audio",
        "a=ssrc:2863311530 cname:w9Qm",
        "a=ssrc:2863311530 msid:w9Qm audio",
        "a=candidate:1 1 udp 2130706431 203.0.113.80 20004 typ host",
        "a=end-of-candidates",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        "a=inactive",
        "a=ice-ufrag:Zq3T",
        "a=ice-pwd:b2V4Yk1rQ3dQd1pXc3hLZg",
        f"a=fingerprint:sha-256 {LOCAL.fingerprint}",
        "a=setup:active",
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
        "",
    ]


@pytest.mark.parametrize(
    ("offered", "ours"),
    [
        ("sendrecv", "sendrecv"),
        ("recvonly", "sendonly"),
        ("sendonly", "recvonly"),
        ("inactive", "inactive"),
    ],
)
def test_the_direction_is_answered_from_the_other_side(offered: str, ours: str) -> None:
    assert opposite(offered) == ours
    audio = audio_of(answered(offer("minimal").replace("a=sendrecv", f"a={offered}")))
    assert audio.direction == ours


@pytest.mark.parametrize(
    ("direction", "sends"),
    [("sendrecv", True), ("recvonly", True), ("sendonly", False), ("inactive", False)],
)
def test_the_source_is_named_always_and_its_track_only_when_we_send(
    direction: str, sends: bool
) -> None:
    audio = audio_of(answered(offer("minimal").replace("a=sendrecv", f"a={direction}")))
    assert [(each.ssrc, each.cname) for each in audio.ssrc] == [(LOCAL.ssrc, LOCAL.cname)]
    assert (audio.msid is not None) == sends


@pytest.mark.parametrize(
    ("offered", "ours"), [("actpass", "active"), ("passive", "active"), ("active", "passive")]
)
def test_the_dtls_role_is_client_wherever_there_is_a_choice(offered: str, ours: str) -> None:
    assert answer_setup(offered) == ours


def test_the_dtls_role_is_written_as_given() -> None:
    audio = audio_of(answered(offer("minimal"), replace(LOCAL, setup="passive")))
    assert audio.dtls is not None
    assert audio.dtls.role == "server"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("chrome", ["0"]),
        ("audio_not_first", ["v", "a"]),
        ("two_audio_lines", ["a"]),
        ("first_audio_line_rejected", ["b"]),
    ],
)
def test_only_the_accepted_line_and_the_one_with_its_transport_stay_in_the_bundle(
    name: str, group: list[str]
) -> None:
    (bundle,) = answered(offer(name)).group
    assert (bundle.semantic, bundle.items) == ("BUNDLE", group)


def test_an_offer_without_a_bundle_is_answered_without_one() -> None:
    assert answered(offer("minimal")).group == []


def test_reduced_size_rtcp_is_accepted_only_where_offered() -> None:
    assert "a=rtcp-rsize" in write_answer(parse_offer(offer("chrome")), LOCAL)
    assert "a=rtcp-rsize" not in write_answer(parse_offer(offer("safari")), LOCAL)


def test_an_ipv6_candidate_in_the_first_place_makes_an_ipv6_connection_line() -> None:
    candidate = Candidate("1", 1, "udp", 2130706431, "2001:db8::80", 20_006, "host")
    text = write_answer(
        parse_offer(offer("minimal")), replace(LOCAL, candidates=(candidate, *LOCAL.candidates))
    )
    assert "c=IN IP6 2001:db8::80\r\n" in text
    assert len(audio_of(SessionDescription.parse(text)).ice_candidates) == 2


def test_an_answer_without_candidates_names_no_address() -> None:
    text = write_answer(parse_offer(offer("minimal")), replace(LOCAL, candidates=()))
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" in text


def allows_rtp(payload_type: int) -> bool:
    return payload_type < 128 and payload_type not in FORBIDDEN_PAYLOAD_TYPES


@given(
    name=st.sampled_from(ANSWERABLE),
    position=st.integers(0, 10_000),
    length=st.integers(0, 40),
    insert=st.text(max_size=15),
)
def test_whatever_is_accepted_gets_a_well_formed_answer(
    name: str, position: int, length: int, insert: str
) -> None:
    text = offer(name)
    position %= len(text)
    try:
        remote = parse_offer(text[:position] + insert + text[position + length :])
    except SdpError:
        return
    # The answer repeats protocol and format of refused lines, and the parser here takes no others.
    assume(all(re.fullmatch("[A-Z/]+", line.protocol) for line in remote.lines))
    numbers = [line.formats[0] for line in remote.lines if line.kind in {"audio", "video"}]
    assume(all(re.fullmatch("[0-9]{1,3}", one) and allows_rtp(int(one)) for one in numbers))
    text = write_answer(remote, LOCAL)
    answer = SessionDescription.parse(text)
    assert len(answer.media) == len(remote.lines)
    assert all(line[1:2] == "=" for line in text.split("\r\n")[:-1])
    assert not set(text) - set("\r\n") - set(map(chr, range(32, 127)))


def test_redundancy_is_asked_for_before_plain_opus_when_it_is_wanted() -> None:
    text = write_answer(parse_offer(offer("chrome"), red=True), LOCAL)
    assert " 63 111 110 126\r\n" in text
    assert "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n" in text
    assert "red" not in write_answer(parse_offer(offer("chrome")), LOCAL)


def test_an_audio_level_is_answered_with_its_own_number() -> None:
    audio = audio_of(answered(offer("ios")))
    [extension] = audio.rtp.headerExtensions
    assert (extension.id, extension.uri.rpartition(":")[2]) == (14, "ssrc-audio-level")
    assert audio_of(answered(offer("pion"))).rtp.headerExtensions == []
