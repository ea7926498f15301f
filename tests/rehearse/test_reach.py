"""Where the bridge of a rehearsal may connect to."""

from ipaddress import ip_address, ip_network

import pytest

from bridge.rehearse.reach import only
from bridge.rehearse.scenario_file import ScenarioError
from bridge.settings.model import Net


def denied(net: Net, address: str) -> bool:
    return any(ip_address(address) in ip_network(one) for one in net.deny)


async def test_nothing_but_loopback_is_reached():
    net = await only([])
    assert not denied(net, "127.0.0.1")
    assert not denied(net, "::1")
    assert denied(net, "192.0.2.1")
    assert denied(net, "2001:db8::1")


async def test_the_bot_of_the_user_is_reached():
    net = await only(["ws://192.0.2.7:8000/media"])
    assert not denied(net, "192.0.2.7")
    assert denied(net, "192.0.2.8")
    assert "192.0.2.7/32" in net.allow


async def test_a_bot_whose_host_has_no_address_is_a_mistake():
    with pytest.raises(ScenarioError, match="has no address"):
        await only(["ws://bot.invalid/media"])
