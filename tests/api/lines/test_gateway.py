from typing import Any

import pytest

from bridge.settings.model import Line, WhatsApp
from tests.support.inprocess import running, settings
from tests.support.waiting import until
from tests.support.whatsapp.gateway_double import TOKEN, ZuckZapGoDouble

pytestmark = pytest.mark.usefixtures("nodes")

EVENT = {"event": "v1.call.offer"}


async def test_an_event_makes_the_bridge_ask_the_engine(nodes):
    async with ZuckZapGoDouble() as engine:
        whatsapp = WhatsApp(provider="gateway", url=engine.url, token=TOKEN)
        lines = {"main": Line(keys=["demo"], whatsapp=whatsapp)}
        async with running(settings(lines=lines)) as client:
            looks = 1 if nodes == "one_node" else 2
            await until(lambda: len(engine.requests) == looks)
            ways: list[Any] = [{}, {"headers": {}, "params": {"token": "demo"}}]
            for more in ways:
                before = len(engine.requests)
                response = await client.post("/gateway/webhook", EVENT, **more)
                assert response.status == 200
                await until(lambda: len(engine.requests) > before)  # noqa: B023 - awaited here


async def test_an_event_without_the_lines_key_is_refused():
    async with running() as client:
        for key in ("", "wrong"):
            headers = {"token": key} if key else {}
            assert (await client.post("/gateway/webhook", EVENT, headers=headers)).status == 401


async def test_an_event_of_a_line_without_an_engine_is_refused():
    async with running() as client:
        assert (await client.post("/gateway/webhook", EVENT)).status == 409


async def test_an_event_that_is_no_json_is_refused():
    async with running() as client:
        assert (await client.post("/gateway/webhook", data=b"hello")).status == 400
