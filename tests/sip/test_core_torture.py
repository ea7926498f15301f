"""The cases of RFC 4475: messages that are odd and right, and messages that are wrong."""

import pytest

from bridge.sip.message.message import Response, SipError
from tests.support.sip.sip_text import STRANGER, codes, invite, party, read, request

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

ODD_INVITE = (
    b"INVITE sip:vivekg@chair.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:vivekg@chair.example.com ;   tag    = 19\r\n"
    b'from   : "J Rosenberg \\\\\\"" <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\n"
    b"Call-ID: odd.0ha0isndaksdj@192.0.2.1\r\n"
    b"cseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n"
    b"s :\r\n"
    b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
    b"Content-Type: application/sdp\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n'
    b"  secondparam ; q = 0.33\r\n"
    b"l: %d\r\n\r\n" % len(SDP)
) + SDP


def response(first, **changed):
    return request(start=first, **changed)


def test_3_1_1_1_a_short_tortuous_invite():
    message = read(ODD_INVITE.replace(b"0068", b"068"))
    assert message.headers.to.tag == "19"
    assert message.headers.from_.name == 'J Rosenberg \\"'
    assert message.headers.from_.tag == "98asjd8"
    assert message.headers.cseq.number == 9
    assert len(message.headers.split("via")) == 3
    assert message.headers.top_via.branch == "390skdjuw"
    assert message.headers.addresses("contact")[0].parameters["q"] == "0.33"
    assert message.body == SDP


def test_3_1_1_2_a_wide_range_of_valid_characters():
    method = "!interesting-Method0123456789_*+`.%indeed'~"
    uri = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com"
    message = request(
        method,
        uri,
        To='"BEL:\\\x07 NUL:\\\x01 DEL:\\\x7f" <sip:1_unusual.URI~@example.com>',
        From="token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\xd1\x80\";tag=_token~1'+`*%!-.",
        **{"extensionHeader-!.%*+_`'~": "\ufefe"},
    )
    assert read(message).headers.from_.tag == "_token~1'+`*%!-."
    assert codes(message) == [501]


def test_3_1_1_3_escapes_are_read():
    uri = "sip:sips%3Auser%40example.com@example.net"
    assert read(invite(uri=uri)).headers.to.uri.user == "callee"
    to = party()
    to.network.inject(invite(uri=uri), STRANGER, to)
    assert to.invitations[0].invitation.to_user == "sips:user@example.com"


def test_3_1_1_4_escaped_nulls_are_characters():
    to = party()
    to.network.inject(invite(uri="sip:null-%00-null@example.com"), STRANGER, to)
    assert to.invitations[0].invitation.to_user == "null-\ufffd-null"


def test_3_1_1_5_percent_signs_that_escape_nothing():
    assert read(request("RE%47IST%45R")).method == "RE%47IST%45R"
    assert codes(request("RE%47IST%45R", To='"%Z%45" <sip:resource@example.com>')) == [501]


def test_3_1_1_6_no_space_before_the_bracket():
    message = read(request("OPTIONS", From="caller<sip:caller@example.com>;tag=323"))
    assert message.headers.from_.name == "caller"
    assert message.headers.from_.tag == "323"


def test_3_1_1_7_long_values():
    long = "extreme" * 40
    vias = [f"SIP/2.0/TCP sip{n}.example.com;branch=z9hG4bK{n}" for n in range(32)]
    data = invite(
        To=f'"{long}" <sip:{long}@example.com;unknown{long}={long}>',
        From=f"sip:caller@example.com;{long}name={long}value;tag={long}",
        Call_ID=f"{long}{long}",
        Via=vias,
        Contact=f"<sip:{long}@host5.example.net>",
    )
    assert read(data).headers.from_.tag == long
    assert codes(data) == [100]


def test_3_1_1_8_what_follows_a_datagram_is_ignored():
    register = request("REGISTER")
    assert read(register + invite()).method == "REGISTER"
    assert codes(register + invite()) == [405]


def test_3_1_1_9_semicolons_in_the_user_part():
    uri = "sip:user;par=u%40example.net@example.com"
    assert read(request("OPTIONS", uri)).uri == uri
    assert read(request("OPTIONS", To=f"<{uri}>")).headers.to.uri.user == "user;par=u@example.net"


def test_3_1_1_10_unknown_transports_in_via():
    vias = [
        "SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw",
        "SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf",
        "SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en",
    ]
    assert codes(request("OPTIONS", Via=vias)) == [200]


def test_3_1_1_11_sdp_in_a_multipart_body():
    parts = (
        b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nHello\r\n"
        b"--7a9cbec02ceef655\r\nContent-Type: application/sdp\r\n\r\n"
        + SDP
        + b"\r\n--7a9cbec02ceef655--"
    )
    to = party()
    kind = "multipart/mixed;boundary=7a9cbec02ceef655"
    to.network.inject(request(body=parts, Content_Type=kind), STRANGER, to)
    assert "m=audio 4000" in to.invitations[0].invitation.sdp


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e", "= 2**3 * 5**2 \u043d\u043e"),
        ("SIP/2.0 100 ", ""),
    ],
)
def test_3_1_1_12_and_13_unusual_and_empty_reason_phrases(line, phrase):
    message = read(response(line))
    assert isinstance(message, Response)
    assert message.phrase == phrase


WRONG = {
    "3.1.2.1 extraneous separators": invite(
        Via="SIP/2.0/UDP 192.0.2.15;;,;,,", Contact='"Joe" <sip:joe@example.org>;;;;'
    ),
    "3.1.2.2 Content-Length larger than the message": invite(Content_Length="9999"),
    "3.1.2.3 negative Content-Length": invite(Content_Length="-999"),
    "3.1.2.4 overlarge CSeq": request("OPTIONS", CSeq="36893488147419103232 OPTIONS"),
    "3.1.2.4 overlarge Max-Forwards": request("OPTIONS", Max_Forwards="300"),
    "3.1.2.6 unterminated quoted string": invite(To='"Mr. J. User <sip:j.user@example.com>'),
    "3.1.2.7 brackets around the Request-URI": invite(uri="<sip:user@example.com>"),
    "3.1.2.8 white space in the Request-URI": invite(uri="sip:user@example.com; lr"),
    "3.1.2.9 several spaces in the request line": invite(
        start="INVITE  sip:u@example.com  SIP/2.0"
    ),
    "3.1.2.10 spaces after the request line": invite(start="INVITE sip:u@example.com SIP/2.0  "),
    "3.1.2.11 headers in the Request-URI": invite(uri="sip:u@example.com?Route=%3Csip:x%3E"),
    "3.1.2.13 a Contact without brackets": invite(Contact="sip:user@example.com?Route=%3Csip:x%3E"),
    "3.1.2.14 spaces within an address": request(
        "OPTIONS", To='"Watson" <sip:w atson@example.org>'
    ),
    "3.1.2.17 another method in CSeq": request("OPTIONS", CSeq="8 INVITE"),
    "3.3.8 several values of a single field": invite(To=["<sip:a@b.org>", "<sip:c@d.org>"]),
    "3.3.9 several Content-Lengths": invite(Content_Length=["5", "138"]),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_malformed_requests_raise_400(data):
    with pytest.raises(SipError) as raised:
        read(data)
    assert raised.value.code == 400
    assert codes(data) in ([400], [])


def test_a_malformed_request_of_a_stranger_is_not_answered():
    to = party()
    to.policy.realm = "trunk"
    to.network.inject(invite(Content_Length="9999"), STRANGER, to)
    assert to.sent == []
    assert to.core.counters.malformed == 1


def test_3_1_2_5_overlarge_values_in_a_response():
    with pytest.raises(SipError):
        read(response("SIP/2.0 503 Service Unavailable", CSeq="9292394834772304023312 OPTIONS"))
    late = response("SIP/2.0 503 Service Unavailable", Retry_After="949302838503028349304023988")
    assert read(late).code == 503


def test_3_1_2_12_a_bad_date_is_not_looked_at():
    assert codes(invite(Date="Fri, 01 Jan 2010 16:00:00 EST")) == [100]


def test_3_1_2_15_an_unquoted_display_name_is_read():
    assert (
        read(request("OPTIONS", From="Bell, Alexander <sip:a@example.com>;tag=4")).headers.from_.tag
        == "4"
    )


def test_3_1_2_16_another_version():
    assert codes(request(start="OPTIONS sip:t@example.org SIP/7.0", CSeq="1 OPTIONS")) == [505]


def test_3_1_2_18_an_unknown_method_with_another_in_cseq():
    assert codes(request("NEWMETHOD", CSeq="8 INVITE")) == [400]


@pytest.mark.parametrize("code", ["4294967301", "0200", "99", "700", "2x0"])
def test_3_1_2_19_codes_that_are_none(code):
    with pytest.raises(SipError) as raised:
        read(response(f"SIP/2.0 {code} better not break the receiver"))
    assert raised.value.request is None


def test_3_2_1_a_branch_of_the_cookie_alone_is_matched_as_before_rfc_3261():
    to = party()
    bare = {"Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"}
    to.network.inject(request("OPTIONS", **bare), STRANGER, to)
    to.network.inject(invite(**bare), STRANGER, to)
    assert to.methods() == [200, 100]


@pytest.mark.parametrize("missing", ["Call-ID", "From", "To", "CSeq", "Via"])
def test_3_3_1_a_missing_required_field(missing):
    with pytest.raises(SipError) as raised:
        read(invite(**{missing: None}))
    assert raised.value.code == 400
    assert raised.value.request is None


@pytest.mark.parametrize(
    "uri", ["nobodyKnowsThisScheme:totallyopaquecontent", "soap.beep://192.0.2.103:3002"]
)
def test_3_3_2_and_3_unknown_schemes_in_the_request_uri(uri):
    assert codes(request("OPTIONS", uri)) == [416]


def test_3_3_4_unknown_schemes_in_header_fields():
    odd = {"To": "isbn:2983792873", "From": "<http://www.example.com>;tag=3234233"}
    assert codes(request("OPTIONS", Contact="<name:John_Smith>", **odd)) == [200]


def test_3_3_5_unknown_extensions():
    to = party()
    data = request(
        "OPTIONS", Require="nothingSupportsThis, timer", Proxy_Require="noProxiesSupportThis"
    )
    to.network.inject(data, STRANGER, to)
    assert to.methods() == [420]
    assert to.of(420)[0].headers.first("unsupported") == "nothingsupportsthis"


def test_3_3_6_an_unknown_body():
    to = party()
    to.network.inject(
        request(body=b"<audio/>", Content_Type="application/unknownformat"), STRANGER, to
    )
    assert to.methods() == [415]
    assert to.of(415)[0].headers.first("accept") == "application/sdp"


def test_3_3_7_an_unknown_scheme_of_credentials():
    to = party()
    to.policy.realm = "trunk"
    to.network.inject(invite(Authorization="NoOneKnowsThisScheme opaque-data=here"), STRANGER, to)
    assert to.methods() == [401]


def test_3_3_10_a_response_to_nobody_is_dropped():
    via = [
        "SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923",
        "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK12",
    ]
    assert codes(response("SIP/2.0 200 OK", Via=via)) == []


def test_3_3_11_no_forwards_left_does_not_matter_to_the_last_hop():
    assert codes(request("OPTIONS", Max_Forwards="0")) == [200]


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH"])
def test_3_3_12_to_14_we_are_no_registrar(method):
    to = party()
    to.network.inject(request(method, Contact="sip:user@example.com;unknownparam"), STRANGER, to)
    assert to.methods() == [405]
    assert "INVITE" in to.of(405)[0].headers.first("allow")


def test_3_4_1_an_invite_of_rfc_2543():
    old = {
        "Via": "SIP/2.0/UDP iftgw.example.com",
        "From": "<sip:+13035551111@ift.example.org;user=phone>",
    }
    to = party()
    to.network.inject(
        invite(Contact=None, Max_Forwards=None, Record_Route="<sip:ss1.example.com>", **old),
        STRANGER,
        to,
    )
    assert to.invitations[0].invitation.from_user == "+13035551111"
