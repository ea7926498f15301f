"""`GET /calls/{callId}/turns`; what is in it is tested with the meters."""

from tests.support.inprocess import running


async def test_a_call_without_a_bot_has_no_turns():
    async with running() as client:
        call_id = await client.dial("15550100001")
        assert await client.data_of(f"/calls/{call_id}/turns") == {"callId": call_id, "turns": []}


async def test_a_call_that_is_not_there_has_none():
    async with running() as client:
        assert (await client.get("/calls/00000000000000000000000000000000/turns")).status == 404
