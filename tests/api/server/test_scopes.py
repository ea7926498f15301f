"""Keys that open one thing only."""

from contextlib import asynccontextmanager

import pytest

from bridge.settings.model import Http, Line, Metrics, WhatsApp
from tests.support.inprocess import running, settings

LINE = {"token": "the-key-of-the-line-sales"}
SCRAPER = {"Authorization": "Bearer a-key-for-the-metrics-only"}
ENGINE = "a-key-for-the-engine-only"


@asynccontextmanager
async def scoped(metrics=("a-key-for-the-metrics-only",), host="0.0.0.0"):
    engine = WhatsApp(
        provider="gateway", url="http://127.0.0.1:9", token="t", webhook_keys=[ENGINE]
    )
    sales = Line(keys=[LINE["token"]], whatsapp=engine)
    chosen = settings(
        http=Http(host=host), metrics=Metrics(keys=list(metrics)), lines={"sales": sales}
    )
    async with running(chosen) as client:
        yield client


async def test_a_key_for_metrics_opens_them_and_nothing_else():
    async with scoped() as client:
        assert (await client.get("/metrics", headers=SCRAPER)).status == 200
        for path in ("/call/status", "/events", "/call/webrtc/config", "/recordings/x"):
            answer = await client.get(path, headers=SCRAPER)
            assert answer.status == 403, path
            assert "/metrics and nothing else" in (await answer.json())["error"]
        posted = await client.http.post("/gateway/webhook", data=b"{}", headers=SCRAPER)
        assert posted.status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_where_metrics_have_keys_nothing_else_opens_them(host):
    async with scoped(host=host) as client:
        assert (await client.get("/metrics", headers={})).status == 401
        assert (await client.get("/metrics", headers=LINE)).status == 403
        assert (await client.get("/metrics", headers={"token": "wrong"})).status == 401


async def test_without_keys_of_their_own_a_lines_key_opens_the_metrics():
    async with scoped(metrics=()) as client:
        assert (await client.get("/metrics", headers=LINE)).status == 200


async def test_a_key_for_the_engine_opens_its_webhook_and_nothing_else():
    async with scoped() as client:
        path = "/gateway/webhook"
        assert (await client.http.post(f"{path}?token={ENGINE}", data=b"{}")).status == 200
        assert (await client.http.post(f"{path}?token={LINE['token']}", data=b"{}")).status == 200
        assert (await client.http.post(f"{path}?token=wrong", data=b"{}")).status == 401
        for asked in ("/call/status", "/metrics", "/call/permission"):
            answer = await client.get(asked, headers={"token": ENGINE})
            assert answer.status == 403, asked
            assert "/gateway/webhook and nothing else" in (await answer.json())["error"]
