"""URIs, addresses, Via and CSeq, as they come."""

import pytest

from bridge.sip.message.values import (
    Address,
    CSeq,
    Uri,
    ValueSyntaxError,
    Via,
    escape,
    parameters,
    quote,
    readable,
    split_outside,
    unquote,
)


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:alice@example.org", "alice", "example.org", 0),
        ("SIP:+4930123:secret@node1:5070;transport=TCP", "+4930123", "node1", 5070),
        ("sips:[2001:db8::1]:5061", "", "2001:db8::1", 5061),
        ("sip:a%40b@192.0.2.1;lr?X=1&Replaces=a%3Bb", "a@b", "192.0.2.1", 0),
        ("sip:*31#17@under_score.example", "*31#17", "under_score.example", 0),
        ("tel:+49-30-123;phone-context=x", "+49-30-123", "", 0),
        ("urn:service:sos", "", "", 0),
    ],
)
def test_uris(text, user, host, port):
    uri = Uri.parse(text)
    assert (uri.user, uri.host, uri.port, uri.text) == (user, host, port, text)


def test_the_parts_of_a_uri_are_unescaped():
    uri = Uri.parse("sip:a@b.org;Transport=TCP;lr;maddr=[::1]?Replaces=x%3Bto-tag%3D1&a=")
    assert uri.parameters == {"transport": "TCP", "lr": "", "maddr": "[::1]"}
    assert uri.headers == {"replaces": "x;to-tag=1", "a": ""}
    assert uri.transport == "tcp"
    assert Uri.parse("sips:b.org;transport=tcp").transport == "tls"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@",
        "sip:a@",
        "sip:a@b c",
        "sip:a@b:99999",
        "sip:a@b@c",
        "sip:a@b:x",
        "<sip:a@b>",
        "sip:a@[::1",
        'sip:"a"@b',
    ],
)
def test_what_is_no_uri(text):
    with pytest.raises(ValueSyntaxError):
        Uri.parse(text)


@pytest.mark.parametrize(
    ("text", "name", "uri", "given"),
    [
        ('"A \\"B\\" <c>" <sip:x@y>;tag=1', 'A "B" <c>', "sip:x@y", {"tag": "1"}),
        ("A B <sip:x@y;lr>", "A B", "sip:x@y;lr", {}),
        ("sip:x@y;tag=1", "", "sip:x@y", {"tag": "1"}),
        ('<sip:x@y>;a="b;c";SELF=1', "", "sip:x@y", {"a": "b;c", "self": "1"}),
        ("< sip:x@y > ; q = 0.5", "", "sip:x@y", {"q": "0.5"}),
    ],
)
def test_addresses(text, name, uri, given):
    address = Address.parse(text)
    assert (address.name, address.uri.text, address.parameters) == (name, uri, given)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        '"A',
        '"A" sip:x@y',
        '"A" B <sip:x@y>',
        "<sip:x@y",
        "<sip:x@y>x",
        "sip:x@y?a=b",
        'A"B <sip:x@y>',
        "<sip:x@y>;;",
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(ValueSyntaxError):
        Address.parse(text)


def test_via():
    via = Via.parse("SIP / 2.0 / udp node1 : 5060 ;branch=z9hG4bK1;rport;received=2001:db8::1")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "node1", 5060, "z9hG4bK1")
    assert via.parameters["received"] == "2001:db8::1"
    for wrong in ("", "SIP/2.0/UDP", "SIP/3.0/UDP a", "SIP/2.0/UDP a:99999", "SIP/2.0/UDP a;;"):
        with pytest.raises(ValueSyntaxError):
            Via.parse(wrong)


def test_cseq():
    assert CSeq.parse(" 0009   INVITE") == CSeq(9, "INVITE")
    for wrong in ("", "1", "x INVITE", "4294967296 INVITE", "-1 INVITE", "1 IN VITE"):
        with pytest.raises(ValueSyntaxError):
            CSeq.parse(wrong)


def test_lists_are_split_outside_quotes_and_brackets():
    assert split_outside('"a,b" <sip:c,d@e>, f', ",") == ['"a,b" <sip:c,d@e>', "f"]
    assert split_outside('"a\\",b", c', ",") == ['"a\\",b"', "c"]
    for wrong in ('"a, b', "<a, b"):
        with pytest.raises(ValueSyntaxError):
            split_outside(wrong, ",")


def test_lists_and_parameters_have_an_end():
    with pytest.raises(ValueSyntaxError):
        split_outside("a," * 1000, ",")
    with pytest.raises(ValueSyntaxError):
        parameters(";a" * 1000)
    assert Uri.parse("sip:a@b" + ";a=b" * 1000).host == "b"


def test_of_equal_parameters_the_first_counts():
    assert parameters(";tag=1;TAG=2;x") == {"tag": "1", "x": ""}


def test_quoting_is_undone_by_unquoting():
    for text in ('a"b\\c', "", 'x\\"'):
        assert unquote(quote(text)) == text
    assert escape("a b@c\u00e9") == "a%20b%40c%C3%A9"


def test_readable_text_has_neither_surrogates_nor_control_characters():
    assert readable("a\udce9\x00b\u00e9") == "a\u00e9\ufffdb\u00e9"
