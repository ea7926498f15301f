"""The TURN server as it is delivered: every browser of a line is served, one credential is not enough for more."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aioice import stun

from bridge.settings.model import Turn
from tests.support.coturn import running_coturn
from tests.support.inprocess import running, settings
from tests.support.machine import own_address
from tests.support.turn_client import TurnClient

QUOTA = 12
"""`user-quota` of the delivered configuration."""
pytestmark = pytest.mark.coturn


@pytest.fixture
def coturn(tmp_path):
    address = own_address()
    if address.startswith("127."):
        pytest.skip("the machine has no address but loopback, which coturn refuses to relay to")
    with running_coturn(tmp_path, address, peer=address, secret="a shared secret") as server:
        yield server


@asynccontextmanager
async def bridge(coturn):
    turn = Turn(mode="shared_secret", urls=coturn.urls(), secret=coturn.secret)
    async with running(settings(turn=turn)) as client:
        yield client


async def credentials(client):
    """What a browser is told of the TURN server."""
    response = await client.get("/call/webrtc/config")
    [server] = [s for s in (await response.json())["iceServers"] if "username" in s]
    return server["username"], server["credential"]


async def allocate(stack, coturn, username, password):
    client = TurnClient((coturn.address, coturn.port), username, password)
    await stack.enter_async_context(client)
    return await client.allocate()


async def test_more_browsers_of_a_line_than_the_quota_get_their_allocations(coturn):
    async with bridge(coturn) as client, AsyncExitStack() as stack:
        for _ in range(QUOTA + 4):
            relayed, _ = await allocate(stack, coturn, *await credentials(client))
            assert relayed == coturn.address


async def test_one_credential_has_no_more_allocations_than_the_quota(coturn):
    async with bridge(coturn) as client, AsyncExitStack() as stack:
        stolen = await credentials(client)
        for _ in range(QUOTA):
            await allocate(stack, coturn, *stolen)
        with pytest.raises(stun.TransactionFailed) as refusal:
            await allocate(stack, coturn, *stolen)
        assert refusal.value.response.error_code == 486
        assert await allocate(stack, coturn, *await credentials(client))
