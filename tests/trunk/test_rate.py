"""Limits of messages by address."""

import pytest

from bridge.trunk.rate import (
    BURST_SECONDS,
    MAX_ADDRESSES,
    MESSAGES_PER_REQUEST,
    TRUNK_FACTOR,
    SipRate,
)

INVITE, BYE, OK = b"INVITE sip:a SIP/2.0\r\n", b"BYE sip:a SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n"


def taken(rate, data, address="192.0.2.1", now=0.0, count=10_000):
    return sum(rate.admits(data, address, now) for _ in range(count))


@pytest.fixture
def rate():
    return SipRate(20, known=lambda address: address == "192.0.2.9")


def test_an_address_begins_only_so_many_calls_in_a_second(rate):
    assert taken(rate, INVITE) == 20 * BURST_SECONDS
    assert taken(rate, INVITE, now=1.0) == 20
    assert taken(rate, INVITE, now=60.0) == 20 * BURST_SECONDS


def test_messages_within_calls_have_more_room(rate):
    taken(rate, INVITE)
    assert taken(rate, BYE) == 20 * BURST_SECONDS * (MESSAGES_PER_REQUEST - 1)
    assert taken(rate, OK) == 0


def test_another_address_is_not_limited_by_the_first(rate):
    taken(rate, INVITE)
    assert rate.admits(INVITE, "192.0.2.2", 0.0)


def test_a_trunk_may_send_more(rate):
    assert taken(rate, INVITE, "192.0.2.9") == 20 * BURST_SECONDS * TRUNK_FACTOR


def test_addresses_of_one_ipv6_network_share_a_limit(rate):
    taken(rate, INVITE, "2001:db8::1")
    assert not rate.admits(INVITE, "2001:db8::2", 0.0)
    assert rate.admits(INVITE, "2001:db8:0:1::1", 0.0)


def test_so_many_addresses_are_remembered(rate):
    taken(rate, INVITE, "192.0.2.1")
    for number in range(1, MAX_ADDRESSES):
        assert rate.admits(INVITE, f"10.0.{number >> 8}.{number & 255}", 0.0)
    assert not rate.admits(INVITE, "192.0.2.1", 0.0)
    for number in range(MAX_ADDRESSES):
        rate.admits(INVITE, f"10.1.{number >> 8}.{number & 255}", 0.0)
    assert rate.admits(INVITE, "192.0.2.1", 0.0)
