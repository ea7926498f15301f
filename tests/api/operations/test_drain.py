"""Draining nodes over HTTP: who may, what is answered, what goes on and what does not."""

import msgspec
import pytest

from bridge.call.model import EndReason
from bridge.node.calls.announcement import beep
from bridge.settings.model import Admin, Calls, Limits
from tests.support.inprocess import KEY, running, settings
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until

ADMIN = {"token": "operators-own-credential"}
NEVER = "15550100003"


def chosen(**limits: float):
    return settings(
        admin=Admin(keys=[ADMIN["token"]]),
        limits=Limits(**({"overload_seconds": 0.0} | limits)),  # type: ignore[arg-type]
    )


@pytest.fixture
async def client():
    async with running(chosen()) as client:
        yield client


async def drain(client, body=None, node="0", headers=ADMIN):
    response = await client.http.post(f"/nodes/{node}/drain", json=body or {}, headers=headers)
    return response.status, await response.json()


async def test_a_node_takes_no_new_calls_says_so_and_serves_those_it_has(client):
    call_id = await client.dial(NEVER)
    assert await drain(client, {"seconds": 50}) == (
        200,
        {"node": 0, "calls": 1, "seconds": pytest.approx(50, abs=1), "successor": None},
    )
    ready = await client.get("/readyz")
    body = {"status": "draining", "reason": "request", "calls": 1}
    assert (ready.status, await ready.json()) == (503, body)
    refused = await client.post("/call/dial", {"phone": NEVER})
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    quality = await client.get(f"/call/{call_id}/quality")
    assert (quality.status, quality.headers["Connection"]) == (200, "close")
    assert not client.bridge.drain.done.is_set()
    await client.data("/call/hangup", {"callId": call_id})
    await until(client.bridge.drain.done.is_set)


async def test_without_seconds_the_setting_counts():
    async with running(chosen(drain_seconds=600)) as client:
        await client.dial(NEVER)
        _, answer = await drain(client)
        assert answer["seconds"] == pytest.approx(600, abs=1)


async def test_without_both_it_lasts_until_the_last_call_has_ended(client):
    await client.dial(NEVER)
    assert await drain(client) == (
        200,
        {"node": 0, "calls": 1, "seconds": None, "successor": None},
    )


@pytest.mark.parametrize("node", ["1", "256", "-1", "x", "0000000000"])
async def test_only_nodes_that_there_are_can_drain(client, node):
    status, _ = await drain(client, node=node)
    assert (status, client.bridge.drain.active) == (404, False)


@pytest.mark.parametrize("body", [{"seconds": -1}, {"seconds": "soon"}, {"seconds": 1e9}])
async def test_a_time_that_is_none_is_refused(client, body):
    status, _ = await drain(client, body)
    assert (status, client.bridge.drain.active) == (400, False)


async def test_the_key_of_a_line_drains_nothing(client):
    status, _ = await drain(client, headers=KEY)
    assert (status, client.bridge.drain.active) == (403, False)


async def test_those_that_are_left_at_the_end_are_told_and_hear_the_announcement(tmp_path):
    data = msgspec.structs.replace(chosen().data, dir=str(tmp_path))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "goodbye.wav").write_bytes(beep())
    wanted = msgspec.structs.replace(
        chosen(), data=data, calls=Calls(drain_announcement="goodbye.wav")
    )
    async with running(wanted) as client:
        call_id = await client.dial("15550100008")
        await client.until_state(call_id, "active")
        happened: list[str] = []
        client.bridge.manager.publisher.subscribe(lambda event: happened.append(event.type))
        await drain(client, {"seconds": 0.2})
        await until(client.bridge.drain.done.is_set)
        await client.bridge.manager.aclose()
        assert happened[:2] == ["call.draining", "leg.joined"]
        assert happened[-1] == "call.ended"
        assert "playback.completed" in happened
        assert (await client.quality(call_id))["endReason"] == EndReason.DRAINED


async def test_any_node_drains_another():
    async with two_nodes(chosen()) as (first, second):
        response = await second.http.post("/nodes/0/drain", json={"seconds": 9}, headers=ADMIN)
        assert (response.status, (await response.json())["node"]) == (200, 0)
        assert (first.bridge.drain.active, second.bridge.drain.active) == (True, False)
