"""Descriptions of plain RTP, offered and answered."""

import base64
import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.codec.codec import CODECS, G722, OPUS, PCMA, PCMU, Codec
from bridge.errors import NoCommonCodec, SdpError
from bridge.wire.sdp.attributes import opposite
from bridge.wire.sdp.crypto import SUITES, Crypto
from bridge.wire.sdp.rtp import (
    EVENTS,
    LocalRtp,
    RemoteRtp,
    Security,
    agree,
    read_answer,
    read_offer,
    write_answer,
    write_offer,
)

KEY = base64.b64encode(bytes(30)).decode()
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
OUR_KEY = Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(range(30)))
LOCAL = LocalRtp(host="192.0.2.9", port=20_000, rtcp_port=20_001, session_id=7, session_version=1)
PAYLOAD_TYPES = {OPUS: 111, G722: 9, PCMA: 8, PCMU: 0}


def sdp(*lines: str, address: str = "IP4 198.51.100.7") -> str:
    head = ["v=0", "o=- 1 1 IN IP4 198.51.100.7", "s=call", f"c=IN {address}", "t=0 0"]
    return "\r\n".join([*head, *lines]) + "\r\n"


def take(text: str, codecs: tuple[Codec, ...] = CODECS, security: Security = "off") -> RemoteRtp:
    return read_offer(text, codecs, security)


PLAIN = ("m=audio 40000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:30")


def test_the_codec_that_comes_first_in_our_order_is_taken() -> None:
    assert take(sdp(*PLAIN), (PCMU, PCMA)).audio.codec is PCMU
    assert take(sdp(*PLAIN), (OPUS, PCMA, PCMU)).audio.codec is PCMA


def test_an_offer_is_read_with_its_address_ports_events_and_packet_times() -> None:
    found = take(sdp(*PLAIN, "a=maxptime:40"))
    assert (found.host, found.port, found.rtcp) == (
        "198.51.100.7",
        40_000,
        ("198.51.100.7", 40_001),
    )
    assert found.audio.telephone_events == {101: 8_000}
    assert (found.audio.ptime, found.audio.maxptime) == (30, 40)
    assert (found.audio.direction, found.crypto, found.rare_reports) == ("sendrecv", None, False)


@pytest.mark.parametrize(
    ("line", "rtcp"),
    [
        ("a=rtcp:40007", ("198.51.100.7", 40_007)),
        ("a=rtcp:40007 IN IP4 198.51.100.8", ("198.51.100.8", 40_007)),
        ("a=rtcp-mux", None),
    ],
)
def test_reports_go_where_the_peer_says(line: str, rtcp: tuple[str, int] | None) -> None:
    assert take(sdp(*PLAIN, line)).rtcp == rtcp


@pytest.mark.parametrize("line", ["b=RR:0", "b=RS:0", "a=rtcp-fb:* trr-int 5000"])
def test_a_peer_may_want_few_reports(line: str) -> None:
    media, *rest = PLAIN
    assert take(sdp(media, line, *rest)).rare_reports
    assert not take(sdp(media, "b=RR:800", "a=rtcp-fb:* trr-int 100", *rest)).rare_reports


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("IP6 2001:db8::7", "2001:db8::7"),
        ("IP6 ::ffff:198.51.100.7", "198.51.100.7"),
        ("IP4 198.51.100.7/127", "198.51.100.7"),
    ],
)
def test_addresses_are_read_in_every_form(address: str, host: str) -> None:
    assert take(sdp(*PLAIN, address=address)).host == host


def test_the_address_of_the_line_takes_precedence() -> None:
    media, *rest = PLAIN
    assert take(sdp(media, "c=IN IP4 198.51.100.9", *rest)).host == "198.51.100.9"


@pytest.mark.parametrize(
    ("address", "line", "direction"),
    [
        ("IP4 198.51.100.7", "a=sendonly", "sendonly"),
        ("IP4 198.51.100.7", "a=inactive", "inactive"),
        ("IP4 198.51.100.7", "a=recvonly", "recvonly"),
        ("IP4 0.0.0.0", "a=sendrecv", "sendonly"),
        ("IP6 ::", "a=recvonly", "inactive"),
    ],
)
def test_hold_is_read_in_the_new_form_and_the_old(address: str, line: str, direction: str) -> None:
    assert take(sdp(*PLAIN, line, address=address)).audio.direction == direction
    assert take(sdp(line, *PLAIN, address=address)).audio.direction == direction


def test_other_lines_are_refused_in_their_order() -> None:
    text = sdp(
        "m=video 50000 RTP/AVP 31 34",
        "m=audio 0 RTP/AVP 0",
        *PLAIN,
        "m=image 50002 udptl t38",
        "m=audio 50004 RTP/AVP 0",
    )
    remote = take(text, (PCMA,))
    answer = write_answer(remote, LOCAL).splitlines()
    assert [line for line in answer if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31 34",
        "m=audio 0 RTP/AVP 0",
        "m=audio 20000 RTP/AVP 8 101",
        "m=image 0 udptl t38",
        "m=audio 0 RTP/AVP 0",
    ]


def test_an_answer_says_what_is_taken() -> None:
    remote = take(sdp(*PLAIN, "a=rtcp-mux", "a=sendonly"), (PCMU,))
    local = replace(LOCAL, rtcp_port=20_000)
    assert write_answer(agree(remote, "sendrecv"), local).splitlines() == [
        "v=0",
        "o=- 7 1 IN IP4 192.0.2.9",
        "s=-",
        "c=IN IP4 192.0.2.9",
        "t=0 0",
        "m=audio 20000 RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=recvonly",
        "a=rtcp-mux",
    ]


@pytest.mark.parametrize(
    ("offered", "ours", "left"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendrecv", "sendonly", "recvonly"),
        ("sendonly", "sendrecv", "sendonly"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "sendrecv", "recvonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "inactive", "inactive"),
    ],
)
def test_directions_agree(offered: str, ours: str, left: str) -> None:
    remote = agree(take(sdp(*PLAIN, f"a={offered}")), ours)
    assert remote.audio.direction == left


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF"])
def test_offered_keys_are_taken_where_encryption_may_be(protocol: str) -> None:
    line = PLAIN[0].replace("RTP/AVP", protocol)
    remote = take(sdp(line, CRYPTO), security="optional")
    assert remote.crypto == Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(30))
    answer = write_answer(remote, replace(LOCAL, cryptos=(OUR_KEY,)))
    assert f"m=audio 20000 {protocol} 8\r\n" in answer
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcI" in answer


def test_keys_are_ignored_where_encryption_is_off() -> None:
    assert take(sdp(*PLAIN, CRYPTO)).crypto is None


def test_the_first_line_with_usable_keys_is_taken() -> None:
    text = sdp("m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/SAVP 0", CRYPTO)
    assert take(text, security="required").port == 4002
    assert take(text, security="optional").port == 4000
    assert take(text, security="off").port == 4000


@pytest.mark.parametrize(
    ("lines", "security"),
    [
        (["m=audio 4000 RTP/SAVP 0", CRYPTO], "off"),
        (["m=audio 4000 RTP/SAVP 0"], "optional"),
        (["m=audio 4000 RTP/AVP 0"], "required"),
        (["m=audio 4000 RTP/SAVP 0", f"{CRYPTO}|2^31|1:4"], "required"),
        (["m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=fingerprint:sha-256 00"], "optional"),
        (["m=audio 4000 RTP/SAVPF 0", "a=fingerprint:sha-256 00"], "optional"),
        (["m=audio 4000 RTP/AVP 0", "a=rtpmap:0"], "off"),
        (["m=audio 0 RTP/AVP 0"], "off"),
        (["m=audio 99 RTP/AVP 0"], "off"),
        (["m=audio 4000 RTP/AVP 0", "a=ptime:x"], "off"),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:99999"], "off"),
        (["m=audio 4000 RTP/AVP 0", "c=IN IP4 media.example.org"], "off"),
        (["m=audio 4000 RTP/AVP 0", "c=IN IP4 224.0.0.1"], "off"),
        (["m=audio 4000 RTP/AVP 0", "c=IN IP4 255.255.255.255"], "off"),
        (["m=audio 4000 RTP/AVP 0", "c=IN IP4 300.0.0.1"], "off"),
        (["m=video 4000 RTP/AVP 31"], "off"),
        ([], "off"),
    ],
)
def test_an_offer_that_cannot_be_taken_is_an_sdp_error(
    lines: list[str], security: Security
) -> None:
    with pytest.raises(SdpError):
        take(sdp(*lines), security=security)


def test_an_offer_without_an_address_is_an_sdp_error() -> None:
    with pytest.raises(SdpError, match="no c="):
        take("v=0\r\nm=audio 4000 RTP/AVP 0\r\n")


def test_an_offer_without_a_common_codec_says_so() -> None:
    with pytest.raises(NoCommonCodec):
        take(sdp("m=audio 4000 RTP/AVP 18 3"))
    with pytest.raises(NoCommonCodec):
        take(sdp(*PLAIN), (G722,))


def test_an_offer_has_our_codecs_in_our_order_and_the_events_that_fit() -> None:
    text = write_offer(LOCAL, {G722: 9, PCMA: 8}, EVENTS)
    assert "m=audio 20000 RTP/AVP 9 8 101\r\n" in text
    text = write_offer(LOCAL, {OPUS: 111, PCMA: 8}, EVENTS)
    assert "m=audio 20000 RTP/AVP 111 8 101 110\r\n" in text
    assert "a=rtcp-mux" in text


def test_a_further_offer_keeps_the_events_that_were_agreed() -> None:
    text = write_offer(LOCAL, {OPUS: 111}, {101: 8_000})
    assert "m=audio 20000 RTP/AVP 111 101\r\n" in text
    assert "a=rtpmap:101 telephone-event/8000\r\n" in text


def test_no_payload_type_is_offered_twice() -> None:
    assert "m=audio 20000 RTP/AVP 110\r\n" in write_offer(LOCAL, {OPUS: 110}, {110: 48_000})


def test_an_offer_names_a_port_for_reports_that_is_not_the_next() -> None:
    assert "a=rtcp:20005\r\n" in write_offer(replace(LOCAL, rtcp_port=20_005), {PCMA: 8}, {})
    assert "a=rtcp:" not in write_offer(LOCAL, {PCMA: 8}, {})


def test_the_first_codec_of_an_answer_is_used_and_all_are_received() -> None:
    answer = sdp("m=audio 4000 RTP/AVP 3 8 0")
    audio = read_answer(answer, (PCMU, PCMA), (), "off").audio
    assert audio.codec is PCMA
    assert audio.codecs == {8: PCMA, 0: PCMU}
    assert audio.payload_types == {8, 0, 13}


def test_telephone_events_of_every_codec_of_an_answer_are_received() -> None:
    opus, events = "a=rtpmap:96 opus/48000/2", "a=rtpmap:110 telephone-event/48000"
    lines = ["m=audio 4000 RTP/AVP 0 96 101 110", opus, events, "a=rtpmap:101 telephone-event/8000"]
    audio = read_answer(sdp(*lines), CODECS, (), "off").audio
    assert audio.telephone_events == {101: 8_000, 110: 48_000}


def test_of_an_offer_one_codec_is_taken() -> None:
    assert read_offer(sdp("m=audio 4000 RTP/AVP 8 0"), (PCMU, PCMA), "off").audio.codecs == {
        0: PCMU
    }


@pytest.mark.parametrize(
    ("lines", "security"),
    [
        (["m=audio 0 RTP/AVP 0"], "off"),
        (["m=video 4000 RTP/AVP 31", "m=audio 4000 RTP/AVP 0"], "off"),
        (["m=audio 4000 RTP/AVP 18"], "off"),
        (["m=audio 4000 RTP/SAVP 0"], "required"),
        (["m=audio 4000 RTP/SAVP 0", CRYPTO.replace(":1 ", ":3 ")], "required"),
        (["m=audio 4000 RTP/SAVP 0", CRYPTO.replace("_80", "_32")], "required"),
        (["m=audio 4000 RTP/AVP 0"], "required"),
        ([], "off"),
    ],
)
def test_an_answer_that_is_none_to_our_offer_is_an_sdp_error(
    lines: list[str], security: Security
) -> None:
    with pytest.raises(SdpError):
        read_answer(sdp(*lines), (PCMU,), (OUR_KEY,), security)


def test_optional_encryption_falls_back_to_plain_packets() -> None:
    assert read_answer(sdp(*PLAIN), (PCMU,), (OUR_KEY,), "optional").crypto is None
    assert read_answer(sdp(*PLAIN, CRYPTO), (PCMU,), (OUR_KEY,), "optional").crypto is not None


suites = st.sampled_from(sorted(SUITES))
cryptos = suites.flatmap(
    lambda suite: st.builds(
        Crypto,
        st.integers(1, 9),
        st.just(suite),
        st.binary(min_size=SUITES[suite], max_size=SUITES[suite]),
    )
)
locals_ = st.builds(
    LocalRtp,
    host=st.one_of(
        st.ip_addresses(v=4, network="203.0.113.0/24"),
        st.ip_addresses(v=6, network="2001:db8::/32"),
    ).map(str),
    port=st.integers(1024, 65_000),
    rtcp_port=st.integers(1024, 65_000),
    session_id=st.integers(0, 2**62),
    session_version=st.integers(0, 999),
    direction=st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"]),
    cryptos=st.tuples(cryptos),
)
codec_lists = st.permutations(CODECS).flatmap(
    lambda every: st.integers(1, len(every)).map(lambda count: tuple(every[:count]))
)


@given(locals_, locals_, codec_lists, codec_lists, st.sampled_from(["off", "optional", "required"]))
def test_what_one_side_writes_the_other_reads(
    caller: LocalRtp,
    callee: LocalRtp,
    offered: tuple[Codec, ...],
    wanted: tuple[Codec, ...],
    security: Security,
) -> None:
    if security == "off":
        caller, callee = replace(caller, cryptos=()), replace(callee, cryptos=())
    formats = {codec: PAYLOAD_TYPES[codec] for codec in offered}
    protocol = "RTP/SAVP" if security == "required" else "RTP/AVP"
    offer = write_offer(caller, formats, EVENTS, protocol)
    if not set(offered) & set(wanted):
        with pytest.raises(NoCommonCodec):
            read_offer(offer, wanted, security)
        return
    taken = agree(read_offer(offer, wanted, security), callee.direction)
    assert taken.audio.codec is next(codec for codec in wanted if codec in offered)
    assert (taken.host, taken.port) == (caller.host, caller.port)
    if taken.crypto is not None:
        (mine,) = callee.cryptos
        key = (mine.key * 2)[: SUITES[taken.crypto.suite]]
        callee = replace(callee, cryptos=(replace(taken.crypto, key=key),))
    answered = read_answer(write_answer(taken, callee), offered, caller.cryptos, security)
    assert answered.audio.codec is taken.audio.codec
    assert answered.audio.telephone_events == taken.audio.telephone_events
    assert answered.audio.direction == opposite(taken.audio.direction)
    assert answered.crypto == (callee.cryptos[0] if callee.cryptos else None)


def check_any(text: str) -> None:
    for security in ("off", "optional", "required"):
        with contextlib.suppress(SdpError):
            write_answer(read_offer(text, CODECS, security), LOCAL)
        with contextlib.suppress(SdpError):
            read_answer(text, CODECS, (OUR_KEY,), security)


@given(st.lists(st.sampled_from([*sdp(*PLAIN, CRYPTO).splitlines(), "m=audio", "c=", "a=crypto:"])))
def test_any_lines_are_read_or_are_an_sdp_error(lines: list[str]) -> None:
    check_any("\r\n".join(["v=0", *lines]))


@given(st.data())
def test_a_damaged_description_is_read_or_is_an_sdp_error(data: st.DataObject) -> None:
    text = list(sdp(*PLAIN, CRYPTO, "a=rtcp:40001 IN IP4 192.0.2.1", "b=RR:0"))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.one_of(st.characters(), st.sampled_from(list("0|:;=/ \r\n"))))
    check_any("".join(text))


def test_events_of_8_khz_are_offered_beside_opus_alone() -> None:
    text = write_offer(LOCAL, {OPUS: 111}, EVENTS)
    assert "m=audio 20000 RTP/AVP 111 101 110\r\n" in text
    assert "a=rtpmap:101 telephone-event/8000\r\n" in text


def test_keys_are_taken_also_where_the_protocol_has_dtls_in_its_name() -> None:
    line = "m=audio 40000 UDP/TLS/RTP/SAVPF 8"
    found = take(sdp(line, CRYPTO), security="required")
    assert found.crypto is not None
    assert "m=audio 20000 UDP/TLS/RTP/SAVPF 8" in write_answer(found, LOCAL)
