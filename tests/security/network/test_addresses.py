"""Where customers' URLs may not lead: the machine's own addresses, its networks, and what is denied."""

import ifaddr
import msgspec
import pytest

from bridge.settings.model import Net
from tests.support.inprocess import running, settings

INTERFACE = "93.184.215.10"
NEIGHBOUR = "https://93.184.215.20:9/hook"
ELSEWHERE = "https://93.184.216.20:9/hook"


@pytest.fixture(autouse=True)
def public_interface(monkeypatch):
    """The machine has a public address, in a network of 256."""
    address = ifaddr.IP(INTERFACE, 24, "eth0")
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [ifaddr.Adapter("eth0", "eth0", [address])])


async def registered(url, **net):
    """The status of an attempt to register a webhook there."""
    async with running(settings(net=Net(**net))) as client:
        response = await client.post("/webhook", {"WebhookURL": url})
        return response.status, await response.text()


@pytest.mark.parametrize(
    "url", [NEIGHBOUR, f"https://{INTERFACE}/", f"http://[::ffff:{INTERFACE}]/"]
)
async def test_the_machines_own_networks_are_closed(url):
    status, text = await registered(url)
    assert status == 422
    assert "net.allow" in text


async def test_other_public_addresses_are_open():
    status, _ = await registered(ELSEWHERE)
    assert status == 200


async def test_the_operator_opens_the_machines_network():
    status, _ = await registered(NEIGHBOUR, allow=["93.184.215.0/24"])
    assert status == 200


async def test_what_is_denied_stays_closed_whatever_is_allowed():
    both = {"allow": ["93.184.0.0/16", "127.0.0.0/8"], "deny": ["93.184.216.0/24", "127.0.0.1/32"]}
    assert (await registered(NEIGHBOUR, **both))[0] == 200
    assert (await registered(ELSEWHERE, **both))[0] == 422
    assert (await registered("http://localhost:9/", **both))[0] == 422


async def test_a_denied_network_is_closed_to_what_is_played_too():
    async with running(settings(net=Net(deny=["93.184.216.0/24"]))) as client:
        call_id = await client.dial("15550100008")
        response = await client.post("/call/play", {"callId": call_id, "audioUrl": ELSEWHERE})
        assert response.status == 422


async def test_the_public_address_of_nat_is_our_own():
    chosen = settings(net=Net())
    behind_nat = msgspec.structs.replace(chosen.rtc, external_address="93.184.216.1")
    async with running(msgspec.structs.replace(chosen, rtc=behind_nat)) as client:
        response = await client.post("/webhook", {"WebhookURL": "https://93.184.216.1/"})
        assert response.status == 422
