"""Who asks, where reverse proxies stand in between."""

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request

from bridge.api.proxies import Proxies, forwarding_header

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


class Transport:
    def __init__(self, peer):
        self.peer = peer

    def get_extra_info(self, name, default=None):
        return {"peername": self.peer}.get(name, default)


def request(peer, *forwarded, **headers):
    given = [*headers.items(), *(("X-Forwarded-For", hops) for hops in forwarded)]
    return make_mocked_request("GET", "/", headers=given, transport=Transport(peer))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7, 10.2.3.4"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("fd00::1", ["[2001:db8::1]:99"], "2001:db8::/64"),
        ("2001:db8:0:1::5", [], "2001:db8:0:1::/64"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
    ],
)
def test_the_address_is_the_one_that_the_last_trusted_proxy_saw(peer, forwarded, client):
    assert PROXIES.client(request((peer, 1), *forwarded)) == client


def test_what_came_over_no_network_has_no_address():
    assert PROXIES.client(request("")) == "unknown"


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "x-forwarded-proto"])
def test_a_header_of_a_proxy_is_noticed(name):
    assert forwarding_header(request(("127.0.0.1", 1), **{name: "x"})) == name.title()


def test_other_headers_are_not():
    assert forwarding_header(request(("127.0.0.1", 1), Host="a", Via="b")) is None
