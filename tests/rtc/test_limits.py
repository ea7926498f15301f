"""Which addresses are admitted, and which are probed."""

import pytest

from bridge.rtc.limits import MAX_ADDRESSES, Address, VerifiedAddresses, may_probe


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "192.0.0.9",
        "3fff::1",
        "example.com",
        "a1b2.local",
        "",
    ],
)
def test_what_is_not_a_public_address_is_not_probed(host):
    assert not may_probe(host, 40_000, private=False)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_probed(host):
    assert may_probe(host, 40_000, private=False)


@pytest.mark.parametrize("port", [-1, 0, 53, 161, 1023, 65_536])
def test_ports_below_1024_are_not_probed(port):
    assert not may_probe("8.8.8.8", port, private=True)


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "fe80::1", "192.168.0.7"])
def test_private_addresses_are_probed_if_configured(host):
    assert may_probe(host, 40_000, private=True)


@pytest.mark.parametrize(
    "host",
    ["224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255", "host.local"],
)
def test_multicast_and_names_are_never_probed(host):
    assert not may_probe(host, 40_000, private=True)


def full_table(evicted):
    verified = VerifiedAddresses(evicted.append)
    for number in range(MAX_ADDRESSES):
        assert verified.admit(("192.0.2.1", number), keep=None, now=float(number))
    return verified


def test_one_address_too_many_is_refused():
    evicted: list[Address] = []
    verified = full_table(evicted)
    assert not verified.admit(("192.0.2.1", 99), keep=None, now=10.0)
    assert ("192.0.2.1", 99) not in verified.addresses
    assert not evicted


def test_a_verified_address_is_admitted_to_a_full_table():
    assert full_table([]).admit(("192.0.2.1", 3), keep=None, now=10.0)


def test_an_address_not_verified_for_long_makes_room():
    evicted: list[Address] = []
    verified = full_table(evicted)
    assert verified.admit(("192.0.2.1", 99), keep=None, now=31.0)
    assert evicted == [("192.0.2.1", 0)]
    assert len(verified.addresses) == MAX_ADDRESSES


def test_the_address_in_use_is_never_evicted():
    evicted: list[Address] = []
    verified = full_table(evicted)
    assert verified.admit(("192.0.2.1", 99), keep=("192.0.2.1", 0), now=60.0)
    assert evicted == [("192.0.2.1", 1)]
