"""Who may call by SIP."""

import hashlib
from ipaddress import ip_network

import pytest

from bridge.sip.boundary import Allow, Arrival, Challenge, Invitation, Refuse, Target
from bridge.trunk.admission import InboundTrunk, SipAdmission

OFFICE = InboundTrunk(name="office", networks=(ip_network("192.0.2.0/24"),))
CARRIER = InboundTrunk(name="carrier", username="carrier", password="secret")


def arrival(host="198.51.100.1", method="INVITE"):
    return Arrival(Target("udp", host, 5060), method)


def invitation(host="198.51.100.1", username=""):
    return Invitation(
        source=Target("udp", host, 5060),
        sdp="",
        to_user="",
        from_user="",
        from_name="",
        username=username,
    )


def test_a_trusted_network_calls_without_a_password():
    admission = SipAdmission([OFFICE, CARRIER])
    assert admission.admit(arrival("192.0.2.7")) == Allow()
    assert admission.admit(arrival("192.0.2.7", method="")) == Allow()
    assert admission.trunks_of(invitation("192.0.2.7")) == {"office"}


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", ("192.0.2.0", "192.0.2.255"), ("192.0.1.255", "192.0.3.0", "2001:db8::1")),
        ("192.0.2.7/32", ("192.0.2.7",), ("192.0.2.6", "::c000:207")),
        ("0.0.0.0/0", ("0.0.0.0", "255.255.255.255"), ("::1",)),
        ("2001:db8::/33", ("2001:db8::", "2001:db8:7fff::1"), ("2001:db8:8000::", "32.1.13.184")),
        ("fe80::/10", ("fe80::1%eth0",), ("fec0::1%eth0",)),
    ],
)
def test_a_network_reaches_from_its_first_address_to_its_last(network, inside, outside):
    admission = SipAdmission([OFFICE, InboundTrunk(name="x", networks=(ip_network(network),))])
    assert [admission.trusts(host) for host in inside] == [True] * len(inside)
    admission.replace([InboundTrunk(name="x", networks=(ip_network(network),))])
    assert [admission.trusts(host) for host in outside] == [False] * len(outside)


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "MESSAGE"])
def test_a_stranger_is_challenged_the_same_whatever_it_asks_for(method):
    admission = SipAdmission([OFFICE, CARRIER], realm="calls.test")
    assert admission.admit(arrival(method=method)) == Challenge("calls.test")


def test_a_stranger_gets_no_answer_to_what_cannot_be_parsed():
    assert SipAdmission([OFFICE, CARRIER]).admit(arrival(method="")) == Refuse(0)


def test_a_stranger_does_not_learn_that_nobody_has_a_password():
    assert SipAdmission([OFFICE]).admit(arrival()) == Challenge("bridge")
    assert SipAdmission([]).admit(arrival("192.0.2.7")) == Challenge("bridge")


def test_who_logs_in_calls_as_its_own_trunk_only():
    admission = SipAdmission([OFFICE, CARRIER])
    assert admission.trunks_of(invitation("192.0.2.7", "carrier")) == {"carrier"}
    assert admission.trunks_of(invitation(username="other")) == frozenset()


@pytest.mark.parametrize(("algorithm", "name"), [("MD5", "md5"), ("SHA-256", "sha256")])
def test_passwords_are_known_as_digests(algorithm, name):
    admission = SipAdmission([OFFICE, CARRIER])
    wanted = hashlib.new(name, b"carrier:calls.test:secret").hexdigest()
    assert admission.ha1("calls.test", "carrier", algorithm) == wanted
    assert admission.ha1("calls.test", "", algorithm) is None
    assert admission.ha1("calls.test", "nobody", algorithm) is None
    assert "secret" not in repr(CARRIER)


def test_a_registrar_may_send_calls_for_as_long_as_we_are_registered_there():
    admission = SipAdmission([OFFICE, CARRIER])
    admission.registered("carrier", ["203.0.113.1"])
    assert admission.admit(arrival("203.0.113.1")) == Allow()
    assert admission.trunks_of(invitation("203.0.113.1")) == {"carrier"}
    admission.registered("carrier", [])
    assert admission.admit(arrival("203.0.113.1")) == Challenge("bridge")


def within(admission, host, *trunks):
    return admission.admit_within(frozenset(trunks), host)


def test_in_its_calls_a_trunk_speaks_from_its_networks_its_registrar_and_the_addresses_of_its_host():
    admission = SipAdmission([OFFICE, CARRIER])
    admission.registered("office", ["203.0.113.1"])
    admission.resolved("office", ["203.0.113.2", "203.0.113.3"])
    for host in ("192.0.2.7", "203.0.113.1", "203.0.113.2", "203.0.113.3"):
        assert within(admission, host, "office") == Allow()
        assert within(admission, host, "carrier") != Allow()
        assert admission.knows(host)
    assert within(admission, "198.51.100.1", "office") == Refuse(481)
    assert not admission.knows("198.51.100.1")


def test_the_addresses_of_a_trunks_host_begin_no_calls_without_a_password():
    admission = SipAdmission([OFFICE])
    admission.resolved("office", ["203.0.113.2"])
    assert admission.admit(arrival("203.0.113.2")) == Challenge("bridge")
    assert admission.trunks_of(invitation("203.0.113.2")) == frozenset()


def test_the_last_addresses_of_a_trunks_host_count():
    admission = SipAdmission([OFFICE])
    admission.resolved("office", ["203.0.113.2"])
    admission.resolved("office", ["203.0.113.3"])
    assert within(admission, "203.0.113.2", "office") == Refuse(481)
    admission.replace([CARRIER])
    assert not admission.knows("203.0.113.3")


def test_from_elsewhere_the_user_of_the_calls_trunk_is_asked_for_its_password():
    admission = SipAdmission([OFFICE, CARRIER, InboundTrunk(name="other", username="other")])
    asked = within(admission, "198.51.100.1", "office", "carrier")
    assert asked == Challenge("bridge", users=frozenset({"carrier"}))


def test_a_trunk_that_is_gone_is_trusted_no_longer():
    admission = SipAdmission([OFFICE, CARRIER])
    admission.registered("carrier", ["203.0.113.1"])
    admission.replace([OFFICE])
    assert not admission.trusts("203.0.113.1")
    assert admission.ha1("bridge", "carrier", "MD5") is None
    assert admission.trusts("192.0.2.7")
