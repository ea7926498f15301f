"""How the simulated telephone network is found."""

import asyncio
from ipaddress import ip_address

import pytest

from bridge.http.resolver import LookupFailed, Service
from bridge.providers.sip.simulated import HOST, SimulatedNames


async def test_it_is_found_on_loopback_once_it_listens():
    names = SimulatedNames()
    asked = asyncio.create_task(names.services(HOST))
    await asyncio.sleep(0)
    assert not asked.done()
    names.listening(5070)
    names.listening(5071)
    assert await asked == [Service(0, 0, 5070, HOST)]
    assert await names.resolve(HOST) == [ip_address("127.0.0.1")]


async def test_no_other_name_is_known():
    with pytest.raises(LookupFailed):
        await SimulatedNames().resolve("example.com")
