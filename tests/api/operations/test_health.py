"""For operators."""

import msgspec
import pytest

from bridge.settings.model import Http, Line
from tests.support.inprocess import running, settings
from tests.support.two_nodes import one_node_only, two_nodes

pytestmark = pytest.mark.usefixtures("nodes")
of_one_machine = pytest.mark.parametrize(
    "nodes", ["one_node", pytest.param("wrong_node", marks=pytest.mark.full)], indirect=True
)
"""Load balancers and Prometheus ask every machine by itself."""


async def test_a_running_bridge_is_alive_and_ready(client):
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/readyz")).status == 200


@one_node_only  # the other node of a machine goes on taking calls
async def test_a_bridge_that_shuts_down_is_alive_but_not_ready(client):
    await client.bridge.manager.aclose()
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/readyz")).status == 503
    assert (await client.post("/call/dial", {"phone": "15550100001"})).status == 503


@of_one_machine
async def test_metrics_count_live_calls_and_legs(client):
    await client.dial("15550100003")
    text = await (await client.get("/metrics")).text()
    assert 'bridge_legs{kind="simulator",node="0"} 1.0' in text
    assert 'bridge_calls_started_total{direction="outbound",node="0"} 1.0' in text


async def test_metrics_are_text_for_prometheus(client):
    response = await client.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain")


async def test_metrics_beyond_loopback_need_a_key():
    http = msgspec.structs.replace(Http(), host="0.0.0.0")
    lines = {"main": Line(keys=["k"])}
    async with running(settings(http=http, lines=lines)) as client:
        assert (await client.get("/metrics", headers={})).status == 401
        assert (await client.get("/metrics", headers={"token": "k"})).status == 200


async def test_a_route_label_is_the_pattern_and_never_the_path(client):
    await client.get("/call/00AB/quality")
    text = await (await client.get("/metrics")).text()
    assert "/call/{callId}/quality" in text
    assert "00AB" not in text


@one_node_only
async def test_a_machine_that_drains_leaves_the_others_ready():
    async with two_nodes(machines=True) as (draining, other):
        await draining.bridge.manager.aclose()
        assert (await draining.http.get("/readyz")).status == 503
        assert (await other.http.get("/readyz")).status == 200


@one_node_only
async def test_each_machine_is_scraped_by_itself():
    async with two_nodes(machines=True) as both:
        for number, node in enumerate(both):
            text = await node.metrics()
            assert f'bridge_node_up{{node="{number}"}} 1.0' in text
            assert f'node="{1 - number}"' not in text
            assert f'bridge_nodes{{state="serving",node="{number}"}} 2.0' in text


@one_node_only
async def test_without_the_database_the_service_is_alive_but_not_ready(client):
    client.bridge.manager.admission.database_lost = lambda: True
    assert (await client.get("/healthz")).status == 200
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["status"]) == (503, "database_lost")
