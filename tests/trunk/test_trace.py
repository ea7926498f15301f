"""What is logged and counted of a SIP message."""

import logging

import pytest

from bridge.sip.boundary import Target
from bridge.trunk.trace import MessageKind, kind_of, trace

INVITE = (
    b"INVITE sip:+4930123@trunk.test SIP/2.0\r\nCall-ID: 8f3a+49301@x\r\nCSeq: 1 INVITE\r\n"
    b'Authorization: Digest username="me", response="0f0f"\r\n\r\na=crypto:1 X inline:secret\r\n'
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (INVITE, MessageKind("INVITE", 0)),
        (b"SIP/2.0 486 Busy\r\nCSeq: 2 INVITE\r\n\r\n", MessageKind("INVITE", 486)),
        (b"SIP/2.0 200 OK\r\ncseq : 2 BYE\r\n\r\n", MessageKind("BYE", 200)),
        (b"SIP/2.0 200 OK\r\n\r\n", MessageKind("other", 200)),
        (b"FLOOD sip:a SIP/2.0\r\n\r\n", MessageKind("other", 0)),
        (b"\xff\x00" * 40, MessageKind("other", 0)),
        (b"", MessageKind("other", 0)),
    ],
)
def test_methods_and_codes_are_of_closed_sets(data, expected):
    assert kind_of(data) == expected


def test_a_trace_holds_no_number_credential_or_key(caplog):
    caplog.set_level(logging.DEBUG)
    trace("sip.sent", INVITE, Target("udp", "192.0.2.1", 5060))
    (record,) = caplog.records
    assert record.getMessage() == "sip.sent"
    assert record.__dict__["method"] == "INVITE"
    text = str(record.__dict__)
    for secret in ("4930123", "49301", "8f3a", "username", "0f0f", "inline", "secret"):
        assert secret not in text


def test_messages_of_one_call_have_the_same_hash(caplog):
    caplog.set_level(logging.DEBUG)
    for data in (INVITE, b"SIP/2.0 200 OK\r\ni:8f3a+49301@x\r\n\r\n"):
        trace("sip.received", data, Target("udp", "192.0.2.1", 5060))
    assert len({record.__dict__["sip_call"] for record in caplog.records}) == 1


def test_nothing_is_logged_at_other_levels(caplog):
    caplog.set_level(logging.INFO)
    trace("sip.sent", INVITE, Target("udp", "192.0.2.1", 5060))
    assert caplog.records == []
