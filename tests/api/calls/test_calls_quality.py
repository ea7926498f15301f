"""How a call's quality went, as `/call/{callId}/quality` tells it."""

import asyncio

import pytest

from tests.support.sampling import sample_calls

ECHO = "15550100001"


async def pulses(client, count, *, first=0):
    """Let seconds pass for the figures, in no time."""
    now = asyncio.get_running_loop().time()
    for second in range(first, first + count):
        sample_calls(client.bridge.manager, now + second)


async def test_a_new_call_has_an_empty_timeline(client):
    call_id = await client.dial(ECHO)
    assert (await client.quality(call_id))["timeline"] == []


async def test_the_timeline_has_a_row_for_every_second_of_a_leg(client):
    call_id = await client.dial(ECHO)
    await pulses(client, 4)
    (leg,) = (await client.quality(call_id))["timeline"]
    # The bridge may have taken the figures once itself before: a row more, of less than a second.
    rows = len(leg["seconds"])
    assert rows in (3, 4)
    assert (leg["kind"], leg["party"], leg["seconds"][-3:]) == ("simulator", "far", [1, 1, 1])
    at = leg["at"][-3:]
    assert at == pytest.approx([at[0] + second for second in range(3)], abs=0.11)
    columns = [leg["roundTripMs"], *leg["received"].values(), *leg["sent"].values()]
    assert {len(column) for column in columns} == {rows}
    assert {"lossRatio", "jitterMs", "playoutDelayMs", "mos"} <= leg["received"].keys()
    assert {"remoteLossRatio", "remoteJitterMs", "mos"} <= leg["sent"].keys()


async def test_only_the_newest_part_is_given_when_that_is_asked_for(client):
    call_id = await client.dial(ECHO)
    await pulses(client, 10)
    response = await client.get(f"/call/{call_id}/quality?since=5.5")
    (leg,) = (await response.json())["data"]["timeline"]
    assert 2 <= len(leg["at"]) <= 4
    assert min(leg["at"]) >= 5.5


@pytest.mark.parametrize("since", ["soon", "-1", "nan", "inf", ""])
async def test_a_moment_that_makes_no_sense_is_refused(client, since):
    call_id = await client.dial(ECHO)
    response = await client.get(f"/call/{call_id}/quality?since={since}")
    assert response.status == 400
    assert (await response.json())["field"] == "since"


async def test_the_timeline_of_an_ended_call_stays(client):
    call_id = await client.dial(ECHO)
    await pulses(client, 3)
    await client.data("/call/hangup", {"callId": call_id})
    quality = await client.quality(call_id)
    assert quality["state"] == "ended"
    assert len(quality["timeline"][0]["at"]) in (2, 3)
