"""Who asks, where reverse proxies stand in between."""

from ipaddress import ip_network

import pytest
from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.test_utils import make_mocked_request

from bridge.api.server.proxies import Proxies, sign_of_proxy

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


def signed(*, version=HttpVersion11, **headers):
    return sign_of_proxy(make_mocked_request("GET", "/", headers=headers, version=version))


HERE = {"Host": "127.0.0.1:8080"}


@pytest.mark.parametrize(
    "name",
    [
        "Forwarded",
        "Forwarded-For",
        "X-Forwarded",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X_Forwarded_For",
        "Via",
        "X-Real-IP",
        "x_real_ip",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Client-IP",
    ],
)
def test_a_header_of_a_proxy_is_noticed(name):
    assert signed(**HERE, **{name: "x"}) == name.title()


@pytest.mark.parametrize("name", ["X-Request-ID", "Origin", "Accept", "X-Forward", "Device"])
def test_other_headers_are_not(name):
    assert signed(**HERE, **{name: "x"}) is None


def test_http_1_0_is_what_a_proxy_speaks():
    assert signed(**HERE, version=HttpVersion10) == "HTTP/1.0"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.0.0.9"],
)
def test_the_names_of_this_machine_are_of_no_proxy(host):
    assert signed(Host=host) is None


@pytest.mark.parametrize(
    "host", ["calls.example", "localhost.example", "10.0.0.1:80", "", "[", "0.0.0.0"]
)
def test_another_name_is(host):
    assert signed(Host=host) == "its Host header"
