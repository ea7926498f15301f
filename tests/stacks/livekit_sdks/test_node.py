"""LiveKit's SDK for Node, unchanged, as a party of a call."""

import pytest

from tests.stacks.clients import node_missing
from tests.stacks.livekit_sdks.party import heard_tone, join, party, told
from tests.support.inprocess import running

ECHO = "15550100001"
LACK = node_missing("@livekit/rtc-node")

pytestmark = [
    pytest.mark.full,
    pytest.mark.call,
    pytest.mark.skipif(LACK is not None, reason=LACK or ""),
]


async def test_it_is_heard_and_hears_until_the_call_ends(tmp_path):
    async with running() as client, party("node", tmp_path) as sdk:
        call_id = await client.dial(ECHO)
        await join(client, call_id, sdk)
        await sdk.ask("publish", hertz=440.0)
        await heard_tone(sdk, 440.0)
        await client.data("/call/hangup", {"callId": call_id})
        assert "ROOM_DELETED" in await told(sdk, "disconnected")
