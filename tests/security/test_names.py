"""A customer whose name server keeps silent: nobody else's names wait for it."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.http import resolver
from bridge.http.dns_limits import MAX_AT_ONCE
from bridge.settings.model import Line, Net, WhatsApp
from tests.support.inprocess import running, settings
from tests.support.servers.dns_server import dns_server
from tests.support.waiting import until

pytestmark = pytest.mark.full
"""One after the other, and not beside other tests: a busy machine starves the look-ups of time."""

ATTACKER, OTHER, META = {"token": "attacker"}, {"token": "other"}, {"token": "meta"}
DEAD = 40


class World:
    """A bridge with three lines, its name server, and a server that the names lead to."""

    def __init__(self, client, dns, port):
        self.client, self.dns, self.port = client, dns, port
        self.asked: list[str] = []

    def register(self, name, headers):
        """Register a webhook, for which the bridge looks its name up."""
        body = {"WebhookURL": f"http://{name}:{self.port}/hook"}
        return self.client.http.post("/webhook", json=body, headers=headers)

    def attack(self):
        return [
            asyncio.create_task(self._refused(f"n{number}.dead.test")) for number in range(DEAD)
        ]

    async def _refused(self, name):
        async with self.register(name, ATTACKER) as response:
            return response.status

    async def attacked(self):
        await until(lambda: len({n for n in self.dns.asked if "dead" in n}) >= MAX_AT_ONCE)


@pytest.fixture
async def world(monkeypatch):
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(attacked_bridge())
        with monkeypatch.context() as patch:
            patch.setattr(resolver, "RESOLVE_SECONDS", 0.0)  # else the rest would take 10 s
            await stack.aclose()


@asynccontextmanager
async def attacked_bridge():
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"error": {"message": "no", "code": 138000}}, status=400)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with dns_server() as dns, TestServer(application) as server:
        dns.dead.add("dead.test")
        dns.names |= {"graph.test": ["127.0.0.1"], "customer.test": ["127.0.0.1"]}
        whatsapp = WhatsApp(
            provider="cloud", phone_number_id="1", access_token="t", app_secret="s",
            verify_token="v", base_url=f"http://graph.test:{server.port}",
        )  # fmt: skip
        lines = {
            "attacker": Line(keys=["attacker"]),
            "other": Line(keys=["other"]),
            "meta": Line(keys=["meta"], whatsapp=whatsapp),
        }
        net = Net(allow=["127.0.0.0/8"], nameservers=[dns.where])
        async with running(settings(lines=lines, net=net)) as client:
            here = World(client, dns, server.port)
            here.asked = asked
            yield here


async def test_calls_to_meta_do_not_wait_for_a_customers_dead_names(world):
    attack = world.attack()
    await world.attacked()
    body = {"phone": "15550100001"}
    async with world.client.http.post("/call/dial", json=body, headers=META) as response:
        assert response.status != 500
    assert world.asked
    assert not any(task.done() for task in attack)


async def test_another_lines_names_do_not_wait_for_them_either(world):
    attack = world.attack()
    await world.attacked()
    async with world.register("customer.test", OTHER) as response:
        assert response.status == 200
    assert not any(task.done() for task in attack)


async def test_a_line_asks_the_name_server_so_many_questions_at_a_time(world):
    world.attack()
    await world.attacked()
    async with world.register("customer.test", OTHER) as response:
        assert response.status == 200
    assert len({name for name in world.dns.asked if "dead" in name}) == MAX_AT_ONCE


async def test_how_look_ups_went_is_counted(world):
    async with world.register("nowhere.test", OTHER) as response:
        assert response.status == 200
    async with world.register("nowhere.test", OTHER) as response:
        assert response.status == 200
    assert world.dns.asked.count("nowhere.test") == 2  # both kinds of address, once
    async with world.client.http.get("/metrics", headers=OTHER) as response:
        text = await response.text()
    rows = [row for row in text.splitlines() if row.startswith("bridge_dns_lookups_total")]
    for outcome in ("nothing", "remembered"):
        [row] = [row for row in rows if f'asker="customer",outcome="{outcome}"' in row]
        assert row.endswith(" 1.0")
