"""Looking names up, against a name server on loopback."""

import asyncio
import os

import pycares
import pytest

from bridge.http.resolver import MAX_ADDRESSES, Dns, Hosts, LookupFailed, Service
from tests.support.servers.dns_server import AAAA, dns_server
from tests.support.waiting import until


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
async def server():
    async with dns_server() as running:
        yield running


@pytest.fixture
def dns(server):
    return Dns([server.where])


async def test_a_name_has_its_addresses_of_both_kinds(server, dns):
    server.names["both.test"] = ["93.184.215.14", "2606:4700:4700::1111"]
    found = {str(address) for address in await dns.resolve("both.test")}
    assert found == {"93.184.215.14", "2606:4700:4700::1111"}


async def test_no_look_up_has_an_option_that_pycares_frees_before_it_is_read(
    server, dns, monkeypatch
):
    """`lookups` and `resolvconf_path` are freed at once: then some look-ups asked no server at all."""
    real, options = pycares.Channel, []

    def channel(**given):
        options.append(given)
        return real(**given)

    monkeypatch.setattr(pycares, "Channel", channel)
    server.names["both.test"] = ["93.184.215.14"]
    await dns.resolve("both.test")
    assert options
    assert [each for each in options if {"lookups", "resolvconf_path"} & each.keys()] == []


async def test_a_name_whose_other_kind_of_address_cannot_be_asked_has_those_of_one(server, dns):
    server.names["one.test"] = ["93.184.215.14"]
    server.fails_for["one.test"] = AAAA
    assert [str(address) for address in await dns.resolve("one.test")] == ["93.184.215.14"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_its_own_and_asks_no_server(server, dns, address):
    assert [str(found) for found in await dns.resolve(address)] == [address]
    assert server.asked == []


async def test_a_server_that_fails_for_one_kind_and_has_none_of_the_other_has_failed(server, dns):
    server.names["six.test"] = []
    server.fails_for["six.test"] = AAAA
    with pytest.raises(LookupFailed) as caught:
        await dns.resolve("six.test")
    assert caught.value.outcome == "failed"


async def test_names_of_etc_hosts_are_asked_of_no_server(server, dns):
    assert "127.0.0.1" in {str(address) for address in await dns.resolve("localhost")}
    assert server.asked == []


@pytest.mark.parametrize("name", ["nowhere.test", "", "a\0b.test", "x" * 254, "..", "a" * 64])
async def test_what_is_no_name_has_no_address(dns, name):
    with pytest.raises(LookupFailed) as caught:
        await dns.resolve(name)
    assert caught.value.outcome == "nothing"


async def test_a_name_in_any_script_is_asked_for_as_dns_writes_it(server, dns):
    server.names["xn--bcher-kva.test"] = ["93.184.215.14"]
    assert [str(address) for address in await dns.resolve("bücher.test")] == ["93.184.215.14"]


@pytest.mark.parametrize("name", ["nowhere.invalid", "Nowhere.Invalid."])
async def test_a_name_that_can_have_no_address_is_asked_of_no_name_server(server, dns, name):
    with pytest.raises(LookupFailed) as caught:
        await dns.resolve(name)
    assert caught.value.outcome == "nothing"
    assert server.asked == []


async def test_a_name_server_that_fails_is_told_apart_from_a_name_that_is_not(server, dns):
    server.broken.add("broken.test")
    with pytest.raises(LookupFailed) as caught:
        await dns.resolve("broken.test")
    assert caught.value.outcome == "failed"


async def test_search_domains_are_tried(server, tmp_path, monkeypatch):
    server.names["gateway.internal.test"] = ["93.184.215.14"]
    monkeypatch.setenv("LOCALDOMAIN", "internal.test")
    assert [str(a) for a in await Dns([server.where]).resolve("gateway")] == ["93.184.215.14"]


@pytest.mark.virtual_time
async def test_a_silent_name_server_is_given_up(server, dns):
    server.dead.add("dead.test")
    with pytest.raises(LookupFailed) as caught:
        await dns.resolve("dead.test")
    assert caught.value.outcome == "failed"


async def test_a_cancelled_look_up_leaves_no_socket_behind(server, dns):
    server.dead.add("dead.test")
    before = descriptors()
    look_ups = [asyncio.create_task(dns.resolve(f"{n}.dead.test")) for n in range(50)]
    await until(lambda: len(set(server.asked)) == 50)
    assert descriptors() > before
    for look_up in look_ups:
        look_up.cancel()
    await asyncio.gather(*look_ups, return_exceptions=True)
    assert descriptors() == before


async def test_an_answer_that_is_cut_off_counts_as_it_is_and_only_so_many_addresses(server, dns):
    server.names["many.test"] = [f"93.184.215.{n}" for n in range(60)]
    server.truncates.add("many.test")
    assert len(await dns.resolve("many.test")) == MAX_ADDRESSES


async def test_a_name_of_the_hosts_file_wins_over_the_name_server(server, tmp_path):
    path = tmp_path / "hosts"
    path.write_text("10.0.0.7 gateway.test\n")
    server.names["gateway.test"] = ["93.184.215.14"]
    dns = Dns([server.where], hosts=Hosts(path))
    assert [str(address) for address in await dns.resolve("gateway.test")] == ["10.0.0.7"]
    assert server.asked == []


async def test_a_service_has_the_hosts_that_its_records_name(server, dns):
    server.services["_sip._udp.trunk.test"] = [
        (10, 60, 5060, "a.trunk.test"),
        (20, 0, 5070, "b.trunk.test"),
    ]
    assert await dns.services("_sip._udp.trunk.test") == [
        Service(10, 60, 5060, "a.trunk.test"),
        Service(20, 0, 5070, "b.trunk.test"),
    ]


async def test_a_service_whose_only_record_names_the_root_is_not_offered(server, dns):
    server.services["_sip._tcp.trunk.test"] = [(0, 0, 0, "")]
    with pytest.raises(LookupFailed) as caught:
        await dns.services("_sip._tcp.trunk.test")
    assert caught.value.outcome == "nothing"


async def test_a_service_that_nobody_has_is_told_apart_from_a_server_that_fails(server, dns):
    server.broken.add("broken.test")
    for name, outcome in {
        "_sip._udp.broken.test": "failed",
        "_sip._udp.other.test": "nothing",
    }.items():
        with pytest.raises(LookupFailed) as caught:
            await dns.services(name)
        assert caught.value.outcome == outcome
