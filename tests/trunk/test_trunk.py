"""A trunk and its calls in the terms of SIP."""

import pytest

from bridge.sip.boundary import Credentials, Target
from bridge.trunk.trunk import OutboundCall, TrunkAddress, dial_request, registration, uri_of

TARGET = Target("udp", "192.0.2.1", 5060)


@pytest.mark.parametrize(
    ("trunk", "expected"),
    [
        ({"host": "trunk.test"}, "sip:+49301@trunk.test"),
        ({"host": "trunk.test", "port": 5070}, "sip:+49301@trunk.test:5070"),
        ({"host": "trunk.test", "port": 5070, "domain": "home.test"}, "sip:+49301@home.test"),
        ({"host": "2001:db8::1", "port": 5070}, "sip:+49301@[2001:db8::1]:5070"),
    ],
)
def test_a_number_is_a_user_of_the_trunk(trunk, expected):
    assert uri_of(TrunkAddress(name="t", **trunk), "+49301") == expected


@pytest.mark.parametrize("uri", ["sip:a@b.test", "sips:a@b.test", "SIP:a@b.test"])
def test_a_uri_stays_as_it_is(uri):
    assert uri_of(TrunkAddress(name="t", host="trunk.test"), uri) == uri


def test_what_no_uri_may_contain_is_escaped():
    number = "1 2;x=y>\r\nTo: <sip:z@w>"
    uri = uri_of(TrunkAddress(name="t", host="trunk.test"), number)
    assert not set(uri.removeprefix("sip:").removesuffix("@trunk.test")) & set(" ;<>\r\n@:")


def test_the_account_calls_where_the_caller_is_not_said():
    account = TrunkAddress(name="t", host="trunk.test", credentials=Credentials("me", "secret"))
    request = dial_request(account, OutboundCall(number="1"), TARGET, "v=0")
    assert request.from_uri == "sip:me@trunk.test"
    assert request.contact_user == "me"
    assert request.p_asserted_identity == ""
    shown = dial_request(account, OutboundCall(number="1", caller="49", asserted=True), TARGET, "")
    assert shown.from_uri == shown.p_asserted_identity == "sip:49@trunk.test"


def test_the_account_is_registered_in_its_domain():
    account = TrunkAddress(
        name="t",
        host="proxy.test",
        domain="home.test",
        credentials=Credentials("me", "secret"),
        register_seconds=600,
    )
    binding = registration(account, TARGET)
    assert binding.registrar == "sip:home.test"
    assert binding.address_of_record == "sip:me@home.test"
    assert (binding.name, binding.target, binding.expires) == ("t", TARGET, 600)
