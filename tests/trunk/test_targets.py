"""Where a trunk's messages go, by the records of its name."""

from ipaddress import ip_address
from typing import TypeVar

import pytest

from bridge.http.resolver import Address, LookupFailed, Service
from bridge.sip.boundary import Target
from bridge.trunk.targets import (
    FAILED_SECONDS,
    FRESH_SECONDS,
    MAX_FAILED,
    MAX_HOSTS,
    SipTargets,
    in_order,
)

T = TypeVar("T")


class Names:
    """A resolver that knows what the test says."""

    def __init__(self):
        self.names: dict[str, list[str]] = {}
        self.srv: dict[str, list[Service]] = {}
        self.broken = False
        self.asked: list[str] = []

    async def resolve(self, host: str) -> list[Address]:
        return [ip_address(text) for text in self.look_up(self.names, host)]

    async def services(self, name: str) -> list[Service]:
        return self.look_up(self.srv, name)

    def look_up(self, table: dict[str, list[T]], name: str) -> list[T]:
        self.asked.append(name)
        if self.broken:
            raise LookupFailed("no answer", outcome="failed")
        if name not in table:
            raise LookupFailed("nothing", outcome="nothing")
        return table[name]


@pytest.fixture
def names():
    return Names()


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def targets(names, clock):
    return SipTargets(names, now=lambda: clock[0], below=lambda _: 0)


@pytest.mark.parametrize(
    ("transport", "port", "expected"),
    [("udp", 0, 5060), ("tcp", 0, 5060), ("tls", 0, 5061), ("tls", 5070, 5070)],
)
async def test_an_address_is_asked_of_nobody(targets, names, transport, port, expected):
    assert await targets.find(transport, "192.0.2.7", port) == [
        Target(transport, "192.0.2.7", expected)
    ]
    assert await targets.find(transport, "[2001:db8::7]", port) == [
        Target(transport, "2001:db8::7", expected)
    ]
    assert names.asked == []


async def test_the_hosts_of_a_service_come_by_priority_each_with_its_port(targets, names):
    names.srv["_sips._tcp.trunk.test"] = [
        Service(20, 0, 5063, "b.trunk.test"),
        Service(10, 0, 5062, "a.trunk.test"),
    ]
    names.names = {"a.trunk.test": ["192.0.2.1", "192.0.2.2"], "b.trunk.test": ["192.0.2.3"]}
    assert await targets.find("tls", "trunk.test") == [
        Target("tls", "192.0.2.1", 5062),
        Target("tls", "192.0.2.2", 5062),
        Target("tls", "192.0.2.3", 5063),
    ]


async def test_a_port_rules_out_the_records_of_the_service(targets, names):
    names.srv["_sip._udp.trunk.test"] = [Service(1, 0, 5999, "elsewhere.test")]
    names.names = {"trunk.test": ["192.0.2.1"]}
    assert await targets.find("udp", "trunk.test", 5080) == [Target("udp", "192.0.2.1", 5080)]


async def test_where_no_transport_is_set_the_records_of_the_service_name_it(targets, names):
    names.names = {"trunk.test": ["192.0.2.1"], "t.trunk.test": ["192.0.2.2"]}
    assert await targets.find(None, "trunk.test", 5080) == [Target("udp", "192.0.2.1", 5080)]
    assert await targets.find(None, "192.0.2.9") == [Target("udp", "192.0.2.9", 5060)]
    names.srv["_sip._tcp.trunk.test"] = [Service(1, 0, 5066, "t.trunk.test")]
    assert await targets.find(None, "trunk.test") == [Target("tcp", "192.0.2.2", 5066)]


async def test_a_name_without_service_records_has_the_default_port(targets, names):
    names.names = {"trunk.test": ["192.0.2.1"]}
    assert await targets.find("udp", "Trunk.Test.") == [Target("udp", "192.0.2.1", 5060)]


async def test_a_host_of_the_service_without_an_address_is_passed_over(targets, names):
    names.srv["_sip._udp.trunk.test"] = [
        Service(1, 0, 5060, "gone.test"),
        Service(2, 0, 5060, "there.test"),
    ]
    names.names = {"there.test": ["192.0.2.1"]}
    assert await targets.find("udp", "trunk.test") == [Target("udp", "192.0.2.1", 5060)]
    del names.srv["_sip._udp.trunk.test"][1]
    with pytest.raises(LookupFailed):
        await SipTargets(names, now=lambda: 0.0).find("udp", "trunk.test")


async def test_an_address_that_failed_comes_last_for_a_while(targets, names, clock):
    names.names = {"trunk.test": ["192.0.2.1", "192.0.2.2"]}
    first, second = await targets.find("udp", "trunk.test", 5060)
    targets.failed(first)
    assert await targets.find("udp", "trunk.test", 5060) == [second, first]
    clock[0] = FAILED_SECONDS
    assert await targets.find("udp", "trunk.test", 5060) == [first, second]


async def test_an_address_that_answers_is_first_again(targets, names):
    names.names = {"trunk.test": ["192.0.2.1", "192.0.2.2"]}
    first, second = await targets.find("udp", "trunk.test", 5060)
    targets.failed(first)
    targets.answered(first)
    assert await targets.find("udp", "trunk.test", 5060) == [first, second]
    targets.failed(Target("tcp", first.host, first.port))
    assert await targets.find("udp", "trunk.test", 5060) == [first, second]


async def test_what_is_fresh_is_not_asked_again_and_what_is_old_serves_while_dns_fails(
    targets, names, clock
):
    names.names = {"trunk.test": ["192.0.2.1"]}
    found = await targets.find("udp", "trunk.test", 5060)
    await targets.find("udp", "trunk.test", 5060)
    assert names.asked == ["trunk.test"]
    clock[0] = FRESH_SECONDS
    names.broken = True
    assert await targets.find("udp", "trunk.test", 5060) == found
    assert names.asked == ["trunk.test"] * 2
    with pytest.raises(LookupFailed):
        await targets.find("udp", "other.test")


async def test_so_many_failures_are_remembered(targets, names):
    names.names = {"two.test": ["192.0.2.1", "192.0.2.2"]}
    targets.failed(Target("udp", "192.0.2.1", 5060))
    for number in range(MAX_FAILED):
        [first, _] = await targets.find("udp", "two.test", 5060)
        assert first.host == "192.0.2.2", number
        targets.failed(Target("udp", "192.0.2.9", number))
    [first, _] = await targets.find("udp", "two.test", 5060)
    assert first.host == "192.0.2.1"


async def test_so_many_names_are_remembered(targets, names):
    for number in range(MAX_HOSTS + 1):
        names.names[f"{number}.test"] = ["192.0.2.1"]
        await targets.find("udp", f"{number}.test", 5060)
    asked = len(names.asked)
    for number in (1, 0):
        await targets.find("udp", f"{number}.test", 5060)
    assert names.asked[asked:] == ["0.test"]


def test_hosts_of_the_same_priority_are_chosen_by_weight():
    heavy, light, none = (Service(1, weight, 5060, f"w{weight}.test") for weight in (70, 30, 0))
    last = Service(2, 0, 5060, "last.test")
    asked = []

    def below(limit):
        asked.append(limit)
        return limit - 1

    assert in_order([heavy, last, none, light], below) == [heavy, light, none, last]
    assert asked == [101, 31, 1, 1]
    assert in_order([heavy, none, light], lambda _: 0)[0] == none
    assert in_order([heavy, none, light], lambda limit: min(30, limit - 1))[0] == light
