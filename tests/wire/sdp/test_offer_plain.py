"""Plain descriptions: offering, reading answers, answering WhatsApp's offers (wire.sdp_offer)."""

from contextlib import suppress
from dataclasses import replace

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import SdpError
from bridge.wire.sdp.description import LocalAudio, RemoteAudio, parse_offer
from bridge.wire.sdp.offer import (
    EXPECTED,
    parse_answer,
    parse_plain_offer,
    write_offer,
    write_plain_answer,
)
from bridge.wire.sdp.transport import Candidate
from tests.support.packets.offers import ANSWERABLE, offer

FINGERPRINT = ":".join(["7B", "0C"] * 16)
LOCAL = LocalAudio(
    ufrag="Zq3T",
    pwd="b2V4Yk1rQ3dQd1pXc3hLZg",
    fingerprint=FINGERPRINT,
    candidates=(
        Candidate("1", 1, "udp", 2130706431, "203.0.113.80", 20_004, "host"),
        Candidate("2", 1, "udp", 2130706175, "2001:db8::80", 20_004, "host"),
    ),
    ssrc=2863311530,
    cname="w9Qm",
    session_id=1234567890123456789,
    session_version=1,
    setup="actpass",
)

META = "\r\n".join(
    [
        "v=0", "o=- 1790000000000 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE audio",
        "a=msid-semantic: WMS 5e1b6a0c-90aa-4e0a-8a5b-0123456789ab", "a=ice-lite",
        "m=audio 3480 UDP/TLS/RTP/SAVPF 111 126", "c=IN IP4 198.51.100.20",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:2166624461 1 udp 2122260223 198.51.100.20 3480 typ host generation 0"
        " network-cost 50",
        "a=candidate:1302982778 1 udp 2122262783 2001:db8::face 3480 typ host generation 0"
        " network-cost 50",
        "a=ice-ufrag:AbCdEfGhIjKlMnOp", "a=ice-pwd:q0+rStU/vWxYzAbCdEfGhI==",
        f"a=fingerprint:sha-256 {FINGERPRINT}", "a=setup:actpass", "a=mid:audio", "a=sendrecv",
        "a=msid:5e1b6a0c-90aa-4e0a-8a5b-0123456789ab WhatsAppTrack1", "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 maxaveragebitrate=20000;maxplaybackrate=16000;minptime=20;"
        "sprop-maxcapturerate=16000;useinbandfec=1",
        "a=rtpmap:126 telephone-event/8000", "a=maxptime:20", "a=ptime:20",
        "a=ssrc:1234567890 cname:WhatsAppAudioStream1", "",
    ]
)  # fmt: skip


def values(text: str, name: str) -> list[str]:
    prefix = f"a={name}:"
    return [line[len(prefix) :] for line in text.split("\r\n") if line.startswith(prefix)]


def said_to_be(setup: str) -> RemoteAudio:
    return parse_answer(META.replace("a=setup:actpass\r\n", setup))


# Offering


def test_an_independent_reader_finds_one_audio_line_with_all_that_whatsapp_needs() -> None:
    (audio,) = SessionDescription.parse(write_offer(LOCAL)).media
    codecs = [(c.payloadType, c.name, c.clockRate) for c in audio.rtp.codecs]
    assert codecs == [(111, "opus", 48_000), (126, "telephone-event", 8_000)]
    assert (audio.rtp.muxId, audio.direction, audio.rtcp_mux) == ("audio", "sendrecv", True)
    assert (audio.host, audio.port) == ("203.0.113.80", 20_004)
    assert [c.ip for c in audio.ice_candidates] == ["203.0.113.80", "2001:db8::80"]
    assert audio.ssrc[0].ssrc == LOCAL.ssrc
    assert audio.rtp.codecs[0].parameters["useinbandfec"] == 1


@pytest.mark.parametrize(
    "text",
    [
        write_offer(LOCAL),
        write_plain_answer(parse_plain_offer(META), replace(LOCAL, setup="active")),
    ],
    ids=["offer", "answer"],
)
def test_what_whatsapp_breaks_on_is_in_no_description(text: str) -> None:
    assert values(text, "fingerprint") == [f"sha-256 {FINGERPRINT}"]
    assert values(text, "ssrc") == [f"{LOCAL.ssrc} cname:{LOCAL.cname}"]
    assert values(text, "ptime") == values(text, "maxptime") == ["20"]
    assert values(text, "extmap") == []
    assert "ice-lite" not in text
    assert "usedtx=1" not in text
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")


def test_an_offer_leaves_the_dtls_role_to_the_other_side() -> None:
    assert values(write_offer(LOCAL), "setup") == ["actpass"]


def test_an_offer_without_candidates_names_no_address() -> None:
    text = write_offer(replace(LOCAL, candidates=()))
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111 126\r\nc=IN IP4 0.0.0.0\r\n" in text


def test_our_own_offer_can_be_answered_by_us() -> None:
    read = parse_plain_offer(write_offer(LOCAL))
    assert (read.ufrag, read.pwd, read.setup) == (LOCAL.ufrag, LOCAL.pwd, "actpass")
    assert (read.opus_payload_type, read.telephone_events) == (111, {126: 8000})
    answer = write_plain_answer(read, replace(LOCAL, setup="active"))
    assert parse_answer(answer).setup == "active"


def test_nothing_may_be_sent_to_whom_has_not_answered() -> None:
    assert EXPECTED.direction == "inactive"


# Reading answers


@pytest.mark.parametrize(
    ("setup", "read"),
    [
        ("a=setup:actpass\r\n", "passive"),
        ("a=setup:passive\r\n", "passive"),
        ("a=setup:active\r\n", "active"),
        ("", "passive"),
    ],
)
def test_an_answer_that_leaves_the_dtls_role_open_has_chosen_to_wait(setup: str, read: str) -> None:
    assert said_to_be(setup).setup == read


def test_an_answer_is_read_whole() -> None:
    audio = parse_answer(META)
    assert audio.ice_lite
    assert (audio.ufrag, audio.pwd) == ("AbCdEfGhIjKlMnOp", "q0+rStU/vWxYzAbCdEfGhI==")
    assert [one.host for one in audio.candidates] == ["198.51.100.20", "2001:db8::face"]
    assert audio.opus_parameters["maxaveragebitrate"] == "20000"


def test_digits_are_sent_as_126_even_if_the_answer_leaves_them_out() -> None:
    text = META.replace(" 126\r\n", "\r\n").replace("a=rtpmap:126 telephone-event/8000\r\n", "")
    assert parse_answer(text).telephone_events == {126: 8000}


def test_digits_on_the_clock_of_the_sound_are_not_used() -> None:
    text = META.replace(" 111 126\r\n", " 111 110 126\r\n").replace(
        "a=maxptime", "a=rtpmap:110 telephone-event/48000\r\na=maxptime"
    )
    assert parse_offer(text).telephone_events == {110: 48_000, 126: 8000}
    assert parse_answer(text).telephone_events == {126: 8000}


def test_a_rejected_line_is_an_error() -> None:
    with pytest.raises(SdpError, match="port 0"):
        parse_answer(META.replace("m=audio 3480", "m=audio 0"))


@given(st.text() | st.binary().map(lambda data: META[: len(data) * 9] + data.decode("latin-1")))
def test_no_text_makes_reading_an_answer_fail_otherwise(text: str) -> None:
    with suppress(SdpError):
        parse_answer(text)


# Answering


def test_the_answer_keeps_the_mid_and_the_numbers_of_the_offer() -> None:
    text = write_plain_answer(parse_plain_offer(META), replace(LOCAL, setup="active"))
    assert values(text, "mid") == ["audio"]
    assert "m=audio 20004 UDP/TLS/RTP/SAVPF 111 126\r\n" in text
    assert "a=group:BUNDLE audio\r\n" in text
    assert "a=sendrecv\r\n" in text
    assert values(text, "setup") == ["active"]
    assert values(text, "rtpmap") == ["111 opus/48000/2", "126 telephone-event/8000"]


@pytest.mark.parametrize("name", ANSWERABLE)
def test_any_client_s_offer_is_answered_line_by_line(name: str) -> None:
    offered = SessionDescription.parse(offer(name))
    remote = parse_plain_offer(offer(name))
    text = write_plain_answer(remote, replace(LOCAL, setup="active"))
    answer = SessionDescription.parse(text)
    assert [media.kind for media in answer.media] == [media.kind for media in offered.media]
    assert [media.port != 0 for media in answer.media] == [
        index == remote.index for index in range(len(offered.media))
    ]
