"""Bodies: SDP alone or among others, and sipfrag."""

import pytest

from bridge.sip.message.body import fragment_code, put_sdp, sdp_of
from bridge.sip.message.message import Request, SipError
from tests.support.sip.sip_pair import OFFER
from tests.support.sip.sip_text import read, request


def with_body(kind, body, **changed):
    return read(request(body=body, Content_Type=kind, **changed))


def test_sdp():
    assert sdp_of(with_body("Application/SDP; charset=utf-8", OFFER.encode())) == OFFER
    assert sdp_of(with_body("application/sdp", b"\r\n")) == ""
    assert sdp_of(read(request())) == ""


@pytest.mark.parametrize("quote", ["", '"'])
def test_sdp_in_a_multipart_body(quote):
    body = (
        b"preamble\r\n--b1\r\nContent-Type: application/isup\r\n\r\n\x01\x02\r\n"
        b"--b1\r\nContent-Disposition: session\r\ncontent-type : application/sdp\r\n\r\n"
        + OFFER.encode()
        + b"--b1--\r\n"
    )
    assert "m=audio 4000" in sdp_of(with_body(f"multipart/mixed; boundary={quote}b1{quote}", body))


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "text/plain", "body": b"x"},
        {"kind": "multipart/mixed", "body": b"--a\r\n\r\nx"},
        {"kind": "multipart/mixed;boundary=a", "body": b"--a\r\nContent-Type: text/plain\r\n\r\nx"},
        {"kind": 'multipart/mixed;boundary="a', "body": b"x"},
        {"kind": "application/sdp", "body": b"x", "Content_Encoding": "gzip"},
        {"kind": "", "body": b"x"},
    ],
)
def test_bodies_that_are_no_sdp(given):
    with pytest.raises(SipError) as raised:
        sdp_of(with_body(**given))
    assert raised.value.code == 415


def test_a_message_is_given_sdp():
    message = Request("INVITE", "sip:a@b")
    put_sdp(message, "")
    assert "content-type" not in message.headers
    put_sdp(message, OFFER)
    assert sdp_of(message) == OFFER


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"SIP/2.0 200 OK\r\n", 200),
        (b"  sip/2.0 486", 486),
        (b"SIP/2.0 2000 x", 0),
        (b"x", 0),
        (b"\xff", 0),
    ],
)
def test_the_code_of_a_fragment(body, code):
    assert fragment_code(with_body("message/sipfrag", body)) == code
