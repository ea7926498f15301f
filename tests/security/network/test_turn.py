"""The TURN server as it is delivered: every browser of a line is served, one credential is not enough for more."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aioice import stun

from bridge.api.server.turn import timed_credentials
from bridge.settings.model import Turn
from tests.support.inprocess import running, settings
from tests.support.machine import own_address
from tests.support.peers.turn_client import TurnClient
from tests.support.servers.coturn import CONFIGURATION, running_coturn

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


SPELLINGS = (
    *("0.0.0.0", "127.0.0.1", "127.0.0.53", "127.1.2.3", "127.255.255.255"),
    *("::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
)
"""Of this machine; every other address is denied by the same two lines of the configuration."""
DENIED = ("0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
FORBIDDEN, OTHER_FAMILY, UNSUPPORTED_TRANSPORT = 403, 443, 442
TCP = 6 << 24


async def refusal_of(client, method, **attributes):
    """Return the code with which the server refuses a request."""
    request = stun.Message(message_method=method, message_class=stun.Class.REQUEST)
    request.attributes.update({name.replace("_", "-"): it for name, it in attributes.items()})
    with pytest.raises(stun.TransactionFailed) as refusal:
        await client.protocol.request_with_retry(request)
    return refusal.value.response.error_code


async def peer_of(stack, coturn):
    username, password = timed_credentials(coturn.secret, "ann", expires_unix=2_000_000_000)
    client = TurnClient((coturn.address, coturn.port), username, password)
    return await stack.enter_async_context(client)


@pytest.mark.quick
def test_every_address_is_denied_but_the_bridges_own():
    lines = [line.partition("=") for line in CONFIGURATION.read_text().splitlines()]
    assert [value for name, _, value in lines if name == "denied-peer-ip"] == list(DENIED)
    assert len([value for name, _, value in lines if name == "allowed-peer-ip"]) == 1


@pytest.mark.full
@pytest.mark.parametrize(
    ("method", "more"),
    [(stun.Method.CHANNEL_BIND, {"CHANNEL_NUMBER": 0x4001}), (stun.Method.CREATE_PERMISSION, {})],
    ids=["channel", "permission"],
)
async def test_no_spelling_of_an_address_of_the_machine_is_relayed_to(coturn, method, more):
    async with AsyncExitStack() as stack:
        client = await peer_of(stack, coturn)
        await client.allocate()
        refused = {
            spelling: await refusal_of(client, method, **more, XOR_PEER_ADDRESS=(spelling, 20000))
            for spelling in SPELLINGS
        }
    assert set(refused.values()) == {FORBIDDEN, OTHER_FAMILY}, refused


@pytest.mark.full
async def test_connections_are_not_relayed(coturn):
    async with AsyncExitStack() as stack:
        client = await peer_of(stack, coturn)
        method, wanted = stun.Method.ALLOCATE, {"LIFETIME": 600, "REQUESTED_TRANSPORT": TCP}
        assert await refusal_of(client, method, **wanted) == UNSUPPORTED_TRANSPORT


@pytest.mark.full
@pytest.mark.parametrize("username", ["9999999999:ann", "0:ann", "ann", "", ":", f"{'9' * 20}:ann"])
async def test_a_name_that_the_bridge_has_not_made_is_refused(coturn, username):
    async with AsyncExitStack() as stack:
        with pytest.raises(stun.TransactionFailed) as refusal:
            await allocate(stack, coturn, username, "guessed")
    assert refusal.value.response.error_code == 401
