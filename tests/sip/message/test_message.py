"""Requests and responses, read and written."""

import pytest
import sipmessage

from bridge.sip.boundary import Local, Target
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import MAX_HEADERS, Request, Response, SipError, parse, reply
from bridge.sip.stack import Stack
from tests.support.sip.sip_pair import ANSWER, established
from tests.support.sip.sip_text import invite, read, request


def test_compact_names_are_the_long_ones():
    long = invite(Supported="timer")
    compact = long
    for name, letter in (("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("Contact", "m"),
                         ("Content-Length", "l"), ("Content-Type", "c"), ("Supported", "k")):  # fmt: skip
        compact = compact.replace(f"\r\n{name}:".encode(), f"\r\n{letter}:".encode())
    assert read(compact).headers.text() == read(long).headers.text()


def test_octets_that_are_not_utf_8_are_echoed_as_they_came():
    data = invite(From='"M\udce4rz" <sip:a@b.org>;tag=1')
    assert b"M\xe4rz" in data
    assert b'From: "M\xe4rz" <sip:a@b.org>;tag=1\r\n' in bytes(reply(read(data), 486))


def test_folded_lines_are_one():
    assert read(invite(Subject="a\r\n\t b\r\n c")).headers.first("subject") == "a b c"


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b"])
def test_control_characters_in_a_value_are_refused(value):
    with pytest.raises(SipError):
        parse(invite(Subject=value))


@pytest.mark.parametrize("line", ["no colon", ": value", "na me: value", "n\xe4me: x"])
def test_lines_that_are_no_header_fields_are_refused(line):
    with pytest.raises(SipError) as raised:
        parse(invite().replace(b"Max-Forwards: 70", line.encode()))
    assert raised.value.request is not None


def test_limits():
    with pytest.raises(SipError, match="too many"):
        parse(invite(X=["1"] * MAX_HEADERS))
    for data in (invite(X="1" * 17_000), invite("v" * 70_000)):
        with pytest.raises(SipError) as raised:
            parse(data)
        assert (raised.value.code, raised.value.request) == (513, None)
    assert read(invite("v" * 60_000)).body


def test_a_body_without_a_length_is_all_of_a_datagram_and_nothing_of_a_stream():
    data = invite(Content_Length=None)
    assert read(data).body
    with pytest.raises(SipError):
        parse(data, datagram=False)


def test_a_response_repeats_what_identifies_the_request():
    asked = read(
        invite(
            Via=["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b;branch=2"],
            Record_Route="<sip:p;lr>",
            Timestamp="54",
        )
    )
    ringing = reply(asked, 180, tag="mine")
    assert ringing.headers.all("via") == asked.headers.all("via")
    assert ringing.headers.first("record-route") == "<sip:p;lr>"
    assert ringing.headers.to.tag == "mine"
    assert reply(asked, 486).headers.first("record-route") == ""
    trying = reply(asked, 100, tag="mine")
    assert trying.headers.to.tag == ""
    assert trying.headers.first("timestamp") == "54"


def test_a_tag_that_is_there_stays():
    assert reply(read(invite(To="<sip:a@b>;TAG = x")), 200, tag="mine").headers.to.tag == "x"


def test_values_that_we_add_cannot_end_the_line():
    headers = Headers([("X-Note", "a\r\nY: b\0c")])
    assert headers.text() == "X-Note: a Y: b c\r\n"


def test_header_names_are_spelled_as_the_rfcs_do():
    names = ["call-id", "cseq", "www-authenticate", "rack", "rseq", "min-se", "x-note", "Via"]
    text = Headers((name, "1") for name in names).text()
    assert [line.partition(":")[0] for line in text.splitlines()] == [
        "Call-ID", "CSeq", "WWW-Authenticate", "RAck", "RSeq", "Min-SE", "X-Note", "Via",
    ]  # fmt: skip


def test_another_implementation_reads_what_we_send():
    network, a, b, ours, theirs = established(session_expires=1800)
    a.say("reoffer", ours, ANSWER)
    network.run(0.1)
    b.say("answer", theirs, ANSWER)
    network.run(0.1)
    a.say("refer", ours, "sip:300@192.0.2.7")
    network.run(0.1)
    b.say("hang_up", theirs)
    network.run(0.1)
    for _, message in [*a.sent, *b.sent]:
        theirs_read = sipmessage.Message.parse(bytes(message))
        assert theirs_read.call_id == message.headers.call_id
        assert theirs_read.cseq.sequence == message.headers.cseq.number
        assert theirs_read.from_address.parameters.get("tag") == message.headers.from_.tag
        assert theirs_read.via[0].parameters["branch"] == message.headers.top_via.branch
        assert theirs_read.content_length == len(message.body)


def test_bytes_of_a_message_are_read_as_the_same_message():
    for message in (Request("OPTIONS", "sip:a@b.org"), Response(200, "OK")):
        for name, value in read(request("OPTIONS")).headers:
            message.headers.add(name, value)
        assert bytes(read(bytes(message))) == bytes(message)


def test_a_stack_names_itself_as_others_reach_it():
    stack = Stack(lambda n: b"\1" * n, "", lambda _: Local("2001:db8::1", 5061))
    target = Target("tls", "2001:db8::2", 5061)
    assert stack.via(target).startswith("SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bK01")
    assert stack.contact(target, "a b") == "<sip:a%20b@[2001:db8::1]:5061;transport=tls>"
