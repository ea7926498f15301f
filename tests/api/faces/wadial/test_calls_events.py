"""The event stream of a session."""

import pytest

from tests.support.clients.event_stream import listening
from tests.support.clients.vendor import ECHO

pytestmark = pytest.mark.usefixtures("nodes")


async def test_a_sessions_stream_has_wadials_events(client):
    async with listening(client, "/api/v1/sessions/demo/events") as stream:
        call_id = await client.dial(ECHO)
        await client.data("/call/hangup", {"callId": call_id})
        ended = await stream.until_type("call.ended")
        assert ended["sessionId"] == "demo"
        assert ended["data"]["callId"] == call_id


async def test_another_lines_session_has_no_stream(client):
    assert (await client.get("/api/v1/sessions/other/events")).status == 404
