"""Reading offers (bridge.wire.sdp.description)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import SdpError
from bridge.wire.sdp.description import RemoteAudio, parse_offer
from tests.support.packets.offers import ANSWERABLE, REFUSED, offer


def read(name: str) -> RemoteAudio:
    return parse_offer(offer(name))


def changed(name: str, old: str, new: str) -> str:
    text = offer(name)
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize("name", ANSWERABLE)
def test_every_client_offers_a_usable_audio_line(name: str) -> None:
    audio = read(name)
    assert audio.lines[audio.index].kind == "audio"
    assert len(audio.fingerprint) == 95
    assert 4 <= len(audio.ufrag) <= 256
    assert 22 <= len(audio.pwd) <= 256


@pytest.mark.parametrize("name", ANSWERABLE)
@pytest.mark.parametrize("end", ["\n", "\r\n", " \r\n", "\t\n", "\r\n\r\n"])
def test_line_ends_and_trailing_blanks_do_not_matter(name: str, end: str) -> None:
    assert parse_offer(offer(name).replace("\r\n", end)) == read(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_audio", "no audio line"),
        ("no_fingerprint", "no a=fingerprint"),
        ("no_media", "no audio line"),
        ("no_opus", "does not offer Opus"),
        ("no_rtcp_mux", "rtcp-mux is required"),
        ("plan_b", r"2 tracks \(Plan B\): offer one track.*Unified Plan"),
        ("only_sha1_fingerprint", "no sha-256 fingerprint"),
        ("only_sha512_fingerprint", "no sha-256 fingerprint"),
        ("rejected_audio", "rejected"),
    ],
)
def test_an_unusable_offer_is_refused_with_its_reason(name: str, problem: str) -> None:
    with pytest.raises(SdpError, match=problem):
        read(name)


def test_an_offer_of_plan_b_with_one_track_is_like_any_other() -> None:
    lines = offer("plan_b").splitlines(keepends=True)
    one = "".join(line for line in lines if not line.startswith("a=ssrc:1421866031"))
    assert parse_offer(one).ssrc == 3570614608


def test_a_track_may_be_in_several_streams_and_have_several_sources() -> None:
    text = offer("plan_b").replace("msid:music player", "msid:music voice")
    assert parse_offer(text).opus_payload_type == 111


def test_every_refused_offer_has_a_reason_tested_above() -> None:
    assert len(REFUSED) == 9


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("\r\n \r\n", "empty"),
        ("hello", "does not begin"),
        ("v=1\r\n", "does not begin"),
        ('{"type": "offer"}', "does not begin"),
        ("v=0\nhello\n", r"not an SDP line \(line 2\)"),
        ("v=0\nm=audio\n", r"media line is malformed \(line 2\)"),
        ("v=0\nm=audio 9 RTP/SAVPF\n", r"media line is malformed \(line 2\)"),
        ("v=0\nm=audio 65536 RTP/SAVPF 0\n", r"media line is malformed \(line 2\)"),
        ("v=0\nm=audio \u0669 RTP/SAVPF 0\n", r"media line is malformed \(line 2\)"),
        ("v=0\na=x\x00y\n", r"not an SDP line \(line 2\)"),
        ("v=0\n" + "m=audio 0 RTP/SAVPF 0\n" * 129, "too many media lines"),
        ("v=0\n" + "a=x\n" * 17_000, "longer than 64 kB"),
    ],
)
def test_garbage_is_refused_with_the_line_to_blame(text: str, problem: str) -> None:
    with pytest.raises(SdpError, match=problem):
        parse_offer(text)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("a=mid:0", "a=mid:a b", "a=mid is malformed"),
        ("a=mid:0", "a=mid:\u00e9", "a=mid is malformed"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus", "a=rtpmap is malformed"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:\u00b2 opus/48000/2", "a=rtpmap is malformed"),
        ("a=setup:actpass", "a=setup:holdconn", "a=setup must be"),
        ("a=ssrc:3570614608", "a=ssrc:4294967296", "a=ssrc is malformed"),
        ("a=mid:0", "a=mid:0\r\na=ptime:often", "a=ptime is malformed"),
        ("a=mid:0", "a=mid:0\r\na=maxptime:-20", "a=maxptime is malformed"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 AA:", "fingerprint is malformed"),
        ("UDP/TLS/RTP/SAVPF", "UDP/FOO", "protocol is not RTP over DTLS"),
    ],
)
def test_a_malformed_value_is_refused(old: str, new: str, problem: str) -> None:
    with pytest.raises(SdpError, match=problem):
        parse_offer(changed("chrome", old, new))


@pytest.mark.parametrize(
    ("name", "length", "usable"),
    [
        ("ice-ufrag", 3, False),
        ("ice-ufrag", 4, True),
        ("ice-ufrag", 256, True),
        ("ice-ufrag", 257, False),
        ("ice-pwd", 21, False),
        ("ice-pwd", 22, True),
        ("ice-pwd", 256, True),
        ("ice-pwd", 257, False),
    ],
)
def test_ice_credentials_keep_to_their_lengths(name: str, length: int, usable: bool) -> None:
    lines = offer("minimal").split("\r\n")
    text = "\r\n".join(
        f"a={name}:{'x' * length}" if line.startswith(f"a={name}:") else line for line in lines
    )
    if usable:
        assert "x" * length in (parse_offer(text).ufrag, parse_offer(text).pwd)
    else:
        with pytest.raises(SdpError, match=name):
            parse_offer(text)


@pytest.mark.parametrize("name", ["ice-ufrag", "ice-pwd"])
def test_missing_ice_credentials_are_named(name: str) -> None:
    text = "\n".join(
        line for line in offer("minimal").splitlines() if not line.startswith(f"a={name}")
    )
    with pytest.raises(SdpError, match=f"no a={name}"):
        parse_offer(text)


def test_a_password_with_equals_signs_is_accepted() -> None:
    pwd = read("minimal").pwd
    assert parse_offer(changed("minimal", pwd, pwd[:22] + "==")).pwd == pwd[:22] + "=="


def test_a_session_level_fingerprint_counts_for_the_audio_line() -> None:
    text = offer("firefox")
    fingerprint = text.split("a=fingerprint:sha-256 ")[1][:95]
    assert parse_offer(text).fingerprint == fingerprint


def test_the_sha_256_fingerprint_is_picked_out_of_several() -> None:
    lines = offer("aiortc").splitlines()
    fingerprints = [line for line in lines if line.startswith("a=fingerprint")]
    others = [line for line in lines if not line.startswith("a=fingerprint")]
    text = "\n".join(others + fingerprints[::-1])
    assert len(fingerprints) == 3
    assert parse_offer(text).fingerprint == read("aiortc").fingerprint


def test_a_lower_case_fingerprint_is_read_in_upper_case() -> None:
    fingerprint = read("minimal").fingerprint
    text = changed("minimal", f"sha-256 {fingerprint}", f"SHA-256 {fingerprint.lower()}")
    assert parse_offer(text).fingerprint == fingerprint


def test_session_level_ice_credentials_are_inherited() -> None:
    audio = read("minimal")
    lines = [line for line in offer("minimal").splitlines() if not line.startswith("a=ice-")]
    lines[4:4] = [f"a=ice-ufrag:{audio.ufrag}", f"a=ice-pwd:{audio.pwd}"]
    assert parse_offer("\n".join(lines)) == audio


def test_a_bundle_only_audio_line_takes_its_transport_from_the_first_bundled_line() -> None:
    audio = read("audio_bundle_only")
    video = offer("audio_bundle_only").split("m=audio")[0]
    assert audio.index == 1
    assert f"a=ice-ufrag:{audio.ufrag}\r\n" in video
    assert audio.fingerprint in video
    assert [candidate.port for candidate in audio.candidates] == [40_100]


def test_candidates_of_another_ice_connection_are_not_taken() -> None:
    text = changed(
        "audio_not_first", "a=mid:v", "a=mid:v\r\na=candidate:1 1 udp 1 198.51.100.4 5 typ host"
    )
    assert len(parse_offer(text).candidates) == 1
    ufrag = read("audio_not_first").ufrag
    text = text.replace(ufrag, "another0", 1)
    assert parse_offer(text).candidates == ()


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("chrome", 0),
        ("audio_not_first", 1),
        ("data_channel_first", 1),
        ("two_audio_lines", 0),
        ("first_audio_line_rejected", 1),
    ],
)
def test_the_first_usable_audio_line_is_chosen(name: str, index: int) -> None:
    assert read(name).index == index


@pytest.mark.parametrize(
    ("name", "payload_type", "parameters"),
    [
        ("chrome", 111, {"minptime": "10", "useinbandfec": "1"}),
        ("opus_as_63", 63, {}),
        ("opus_as_120", 120, {"useinbandfec": "1", "maxptime": "60", "stereo": ""}),
        ("several_opus", 114, {"stereo": "0", "ptime": "20"}),
        ("gstreamer", 97, {"sprop-maxcapturerate": "48000", "sprop-stereo": "0"}),
    ],
)
def test_the_preferred_opus_is_found(
    name: str, payload_type: int, parameters: dict[str, str]
) -> None:
    audio = read(name)
    assert audio.opus_payload_type == payload_type
    assert audio.opus_parameters == parameters


@pytest.mark.parametrize("payload_type", ["64", "95", "128", "999"])
def test_opus_under_a_payload_type_that_cannot_be_sent_is_not_chosen(payload_type: str) -> None:
    with pytest.raises(SdpError, match="does not offer Opus"):
        parse_offer(changed("opus_as_120", "120", payload_type))


def test_telephone_events_are_known_by_payload_type_and_rate() -> None:
    assert read("chrome").telephone_events == {110: 48_000, 126: 8_000}
    assert read("safari").telephone_events == {110: 48_000, 126: 8_000}
    assert read("firefox").telephone_events == {101: 8_000}
    assert read("pion").telephone_events == {}


@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_the_direction_is_read(direction: str) -> None:
    assert parse_offer(changed("minimal", "sendrecv", direction)).direction == direction


def test_the_direction_may_stand_at_session_level_or_be_missing() -> None:
    text = changed("minimal", "a=sendrecv\r\n", "")
    assert parse_offer(text).direction == "sendrecv"
    assert parse_offer(text.replace("t=0 0", "t=0 0\r\na=recvonly")).direction == "recvonly"


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
def test_the_dtls_role_is_read(setup: str) -> None:
    assert parse_offer(changed("minimal", "actpass", setup)).setup == setup


def test_an_offer_without_a_dtls_role_means_active() -> None:
    assert parse_offer(changed("minimal", "a=setup:actpass\r\n", "")).setup == "active"


def test_what_a_lite_peer_says_is_read() -> None:
    audio = read("ice_lite")
    assert audio.ice_lite
    assert (audio.ptime, audio.maxptime, audio.mid) == (20, 20, "audio")
    assert [candidate.host for candidate in audio.candidates] == ["198.51.100.9", "2001:db8::9"]


def test_the_first_ssrc_is_read() -> None:
    assert read("chrome").ssrc == 3570614608
    assert read("minimal").ssrc is None


def test_names_tcp_and_other_components_are_no_candidates() -> None:
    chrome = read("chrome")
    assert [candidate.host for candidate in chrome.candidates] == ["203.0.113.17"]
    assert chrome.candidates_ignored == 2
    assert [candidate.component for candidate in read("pion").candidates] == [1, 1]


def test_an_offer_without_candidates_is_accepted() -> None:
    assert read("minimal").candidates == ()


def test_of_500_candidates_32_are_kept_and_the_others_counted() -> None:
    lines = "".join(
        f"a=candidate:{n} 1 udp {n} 198.51.100.{n % 200} {n + 1} typ host\r\n" for n in range(500)
    )
    audio = parse_offer(offer("minimal") + lines)
    assert len(audio.candidates) == 32
    assert audio.candidates_ignored == 468


@given(
    name=st.sampled_from(ANSWERABLE),
    edits=st.lists(
        st.tuples(
            st.integers(0, 10_000),
            st.integers(0, 60),
            st.one_of(
                st.text(max_size=20),
                st.sampled_from(
                    ["\r\n", "a=", "m=audio 0 ", ":", " ", "/", "=", "\u0663", "\x85", "a=mid:"]
                ),
            ),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_a_damaged_offer_raises_nothing_but_sdp_errors(
    name: str, edits: list[tuple[int, int, str]]
) -> None:
    text = offer(name)
    for position, length, insert in edits:
        position %= len(text) + 1
        text = text[:position] + insert + text[position + length :]
    try:
        audio = parse_offer(text)
    except SdpError:
        return
    assert audio.lines[audio.index].kind == "audio"


@given(name=st.sampled_from(ANSWERABLE), data=st.data())
def test_shuffled_and_repeated_lines_raise_nothing_but_sdp_errors(
    name: str, data: st.DataObject
) -> None:
    lines = offer(name).split("\r\n")
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=60))
    try:
        parse_offer("\r\n".join(["v=0", *chosen]))
    except SdpError:
        return


@given(text=st.text(max_size=300))
def test_any_text_raises_nothing_but_sdp_errors(text: str) -> None:
    for candidate in (text, "v=0\n" + text, "v=0\nm=" + text):
        try:
            parse_offer(candidate)
        except SdpError:
            continue


@pytest.mark.parametrize(
    ("attribute", "identifier"),
    [
        ("1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", 1),
        ("14/sendrecv urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on", 14),
        ("3/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level", 3),
        ("3/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level", None),
        ("15 urn:ietf:params:rtp-hdrext:ssrc-audio-level", None),
        ("0 urn:ietf:params:rtp-hdrext:ssrc-audio-level", None),
        ("1 urn:ietf:params:rtp-hdrext:csrc-audio-level", None),
        ("often", None),
    ],
)
def test_the_audio_level_is_read_where_the_peer_sends_it(
    attribute: str, identifier: int | None
) -> None:
    text = changed("minimal", "a=rtcp-mux", f"a=rtcp-mux\r\na=extmap:{attribute}")
    assert parse_offer(text).audio_level_id == identifier


@pytest.mark.parametrize(
    ("blocks", "payload_type"), [("111/111", 63), ("111/111/111", 63), ("111/8", None)]
)
def test_redundancy_is_read_when_it_is_wanted_and_of_opus(
    blocks: str, payload_type: int | None
) -> None:
    text = changed("chrome", "a=fmtp:63 111/111", f"a=fmtp:63 {blocks}")
    assert parse_offer(text, red=True).red_payload_type == payload_type
    assert parse_offer(text).red_payload_type is None
