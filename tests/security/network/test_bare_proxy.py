"""A bridge behind a real nginx of one `proxy_pass` line, which an operator has told nothing else."""

import aiohttp
import pytest

from bridge.settings.model import Line
from tests.support.inprocess import KEY, running, settings
from tests.support.servers.nginx import running_bare_nginx

pytestmark = [pytest.mark.nginx, pytest.mark.full]

OLD = "proxy_http_version 1.0;"
NEW = "proxy_http_version 1.1;"
OUTSIDE = {"Host": "calls.example.com"}
ITS_OWN = ["/metrics", "/console/api/calls"]


@pytest.fixture(params=[OLD, NEW])
async def front(request, tmp_path):
    """A client of nginx, the bridge behind it, and what they speak."""
    async with running() as bridge:
        with running_bare_nginx(tmp_path, bridge.http.port, request.param) as url:
            async with aiohttp.ClientSession(url, headers=OUTSIDE) as outside:
                yield outside, bridge, request.param


async def status_of(session, path, headers):
    async with session.get(path, headers=headers) as answer:
        return answer.status


async def test_nothing_of_the_machines_own_is_open_to_the_world(front):
    outside, bridge, _ = front
    for path in ITS_OWN:
        for headers in ({}, KEY):
            assert await status_of(outside, path, headers) == 401, (path, headers)
        assert (await bridge.get(path, headers=bridge.local)).status == 200


async def test_the_demo_key_is_closed_where_the_proxy_speaks_http_1_0(front):
    outside, _, spoken = front
    # Over HTTP/1.1 this nginx sends what a program on the machine would send.
    expected = 401 if spoken == OLD else 200
    assert await status_of(outside, "/call/status", KEY) == expected
    async with outside.post("/call/dial", json={"phone": "15550100003"}, headers=KEY) as answer:
        assert answer.status == expected


async def test_the_page_and_the_probes_are_there(front):
    outside, _, _ = front
    for path in ("/", "/healthz", "/readyz"):
        assert await status_of(outside, path, {}) == 200, path


@pytest.mark.parametrize("spoken", [OLD, NEW])
async def test_metrics_of_a_bridge_with_lines_are_not_open_to_the_world(tmp_path, spoken):
    async with running(settings(lines={"main": Line(keys=["main-1"])})) as bridge:
        with running_bare_nginx(tmp_path, bridge.http.port, spoken) as url:
            async with aiohttp.ClientSession(url, headers=OUTSIDE) as outside:
                assert await status_of(outside, "/metrics", {}) == 401
                assert await status_of(outside, "/metrics", {"token": "main-1"}) == 200
