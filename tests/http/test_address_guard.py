"""Which URLs customers may send the bridge to."""

from ipaddress import ip_network
from typing import Any

import pytest

from bridge.errors import AddressBlocked, InvalidRequest
from bridge.http.address_guard import ConnectorResolver, Guard, read_address
from tests.support.names import Names

PUBLIC = [
    "https://93.184.215.14/",
    "http://93.184.215.14:8081/hook?x=1",
    "https://1.1.1.1",
    "https://[2606:4700:4700::1111]/",
    "https://[2606:4700:4700::1111]:8443/a",
    "https://[64:ff9b::5db8:d70e]/",
    "https://172.32.0.1/",
    "https://100.128.0.1/",
    "https://192.169.0.1/",
    "https://user:secret@93.184.215.14/",
]
CLOSED = [
    "http://127.0.0.1/",
    "http://127.1.2.3:9200/",
    "http://127.1/",
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://0.0.0.0/",
    "http://0/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://192.0.0.192/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://168.63.129.16/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://203.0.113.9/",
    "http://224.0.0.251/",
    "http://239.255.255.250:1900/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::5db8:d70e]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:5ef5:79fd::1]/",
    "http://[2001:db8::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://93.184.215.14@127.0.0.1/",
]
NO_URLS = [
    "",
    "hook",
    "//93.184.215.14/",
    "ftp://93.184.215.14/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "https://",
    "https:///path",
    "http://93.184.215.14:99999/",
    "http://93.184.215.14\\@127.0.0.1/",
    "http://93.184.215.14/\r\nHost: x",
    "http://[::1/",
    "https://93.184.215.14/" + 2048 * "a",
]


def guard(*allow: str, require_tls: bool = False) -> Guard:
    return Guard(allow=[ip_network(text) for text in allow], require_tls=require_tls)


async def check(judge: Guard, url: str, names: Names | None = None, **more: Any) -> None:
    await judge.check(url, names or Names(), **more)


@pytest.mark.parametrize("url", PUBLIC)
async def test_a_public_address_may_be_reached(url):
    await check(guard(), url)


@pytest.mark.parametrize("url", CLOSED)
async def test_an_address_that_is_not_public_is_refused_in_every_spelling(url):
    with pytest.raises(AddressBlocked, match=r"net\.allow"):
        await check(guard(), url)


@pytest.mark.parametrize("url", NO_URLS)
async def test_what_is_no_url_is_refused(url):
    with pytest.raises(InvalidRequest):
        await check(guard(), url)


async def test_a_web_socket_url_is_one_only_where_it_is_expected():
    with pytest.raises(InvalidRequest):
        await check(guard(), "wss://93.184.215.14/")
    await check(guard(), "wss://93.184.215.14/", schemes=("wss", "ws"))


async def test_the_operators_networks_are_open():
    await check(guard("127.0.0.0/8", "fd00::/8"), "http://127.0.0.1:9000/")
    await check(guard("127.0.0.0/8", "fd00::/8"), "http://[fd00::1]/")
    await check(guard("127.0.0.0/8"), "http://[::ffff:127.0.0.1]/")
    with pytest.raises(AddressBlocked):
        await check(guard("127.0.0.0/8"), "http://10.0.0.1/")


async def test_a_name_is_judged_by_its_addresses():
    names = Names()
    names["inside.example"] = ["10.0.0.1", "fd00::1"]
    names["outside.example"] = ["93.184.215.14"]
    names["both.example"] = ["10.0.0.1", "93.184.215.14"]
    with pytest.raises(AddressBlocked):
        await check(guard(), "https://inside.example/", names)
    await check(guard(), "https://outside.example/", names)
    await check(guard(), "https://both.example/", names)


async def test_a_name_without_addresses_fails_when_it_is_connected_to():
    await check(guard(), "https://nowhere.example/")
    with pytest.raises(OSError, match="no address"):
        await ConnectorResolver(Names(), guard()).resolve("nowhere.example", 443)


async def test_only_addresses_that_may_be_reached_are_connected_to():
    names = Names()
    names["both.example"] = ["10.0.0.1", "93.184.215.14", "2606:4700:4700::1111"]
    names["inside.example"] = ["10.0.0.1"]
    resolver = ConnectorResolver(names, guard())
    found = await resolver.resolve("both.example", 443)
    assert [entry["host"] for entry in found] == ["93.184.215.14", "2606:4700:4700::1111"]
    with pytest.raises(AddressBlocked):
        await resolver.resolve("inside.example", 443)


async def test_plain_http_may_be_forbidden_outside_the_operators_networks():
    names, strict = Names(), guard("127.0.0.0/8", require_tls=True)
    await check(strict, "https://93.184.215.14/")
    await check(strict, "http://127.0.0.1/")
    with pytest.raises(AddressBlocked, match=r"net\.require_tls"):
        await check(strict, "http://93.184.215.14/")
    names["outside.example"] = ["93.184.215.14"]
    with pytest.raises(AddressBlocked, match=r"net\.require_tls"):
        await check(strict, "ws://outside.example/", names, schemes=("wss", "ws"))


def test_a_name_is_no_address():
    assert read_address("example.com") is None
    assert read_address("1.2.3.4.5") is None
    assert str(read_address("0x7f.1")) == "127.0.0.1"


async def test_a_denied_network_stays_closed_whatever_is_allowed():
    denied = [ip_network("93.184.215.0/24"), ip_network("127.0.0.1/32")]
    strict = Guard(allow=[ip_network("127.0.0.0/8")], deny=denied, require_tls=True)
    await check(strict, "http://127.0.0.2/")
    for url in ("https://93.184.215.14/", "https://[::ffff:93.184.215.14]/", "http://127.0.0.1/"):
        with pytest.raises(AddressBlocked):
            await check(strict, url)


@pytest.mark.parametrize("url", ["https://[64:ff9b::5db8:d70e]/", "https://[2002:5db8:d70e::1]/"])
async def test_an_address_within_another_is_denied_too(url):
    with pytest.raises(AddressBlocked):
        await check(Guard(allow=[], deny=[ip_network("93.184.215.0/24")], require_tls=False), url)


async def test_the_machines_networks_are_closed_until_they_are_allowed():
    def own():
        return [ip_network("93.184.215.0/24"), ip_network("2606:4700:4700::/64")]

    for url in ("https://93.184.215.14/", "https://[2606:4700:4700::1111]/"):
        with pytest.raises(AddressBlocked, match=r"net\.allow"):
            await check(Guard(allow=[], require_tls=False, own=own), url)
        await check(Guard(allow=own(), require_tls=False, own=own), url)
    await check(Guard(allow=[], require_tls=False, own=own), "https://93.184.216.14/")
