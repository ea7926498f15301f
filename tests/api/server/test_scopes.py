"""Keys that open one thing only."""

from contextlib import asynccontextmanager

import pytest

from bridge.settings.model import Admin, Console, Http, Line, Metrics, WhatsApp
from tests.support.inprocess import running, settings

LINE = {"token": "the-key-of-the-line-sales"}
SCRAPER = {"Authorization": "Bearer a-key-for-the-metrics-only"}
GATEWAY = "a-key-for-the-gateway-only"


@asynccontextmanager
async def scoped(metrics=("a-key-for-the-metrics-only",), host="0.0.0.0"):
    gateway = WhatsApp(
        provider="gateway", url="http://127.0.0.1:9", token="t", webhook_keys=[GATEWAY]
    )
    sales = Line(keys=[LINE["token"]], whatsapp=gateway)
    chosen = settings(
        http=Http(host=host),
        metrics=Metrics(keys=list(metrics)),
        lines={"sales": sales},
        admin=Admin(keys=["the-key-of-the-administrator"]),
        console=Console(keys=["the-key-of-the-console"]),
    )
    async with running(chosen) as client:
        yield client


async def test_a_key_for_metrics_opens_them_and_nothing_else():
    async with scoped() as client:
        assert (await client.get("/metrics", headers=SCRAPER)).status == 200
        for path in ("/call/status", "/events", "/call/webrtc/config", "/recordings/x"):
            answer = await client.get(path, headers=SCRAPER)
            assert answer.status == 403, path
            assert "only valid for /metrics" in (await answer.json())["error"]
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


async def test_a_key_for_the_gateway_opens_its_webhook_and_nothing_else():
    async with scoped() as client:
        path = "/gateway/webhook"
        assert (await client.http.post(f"{path}?token={GATEWAY}", data=b"{}")).status == 200
        assert (await client.http.post(f"{path}?token={LINE['token']}", data=b"{}")).status == 200
        assert (await client.http.post(f"{path}?token=wrong", data=b"{}")).status == 401
        for asked in ("/call/status", "/metrics", "/call/permission"):
            answer = await client.get(asked, headers={"token": GATEWAY})
            assert answer.status == 403, asked
            assert "only valid for /gateway/webhook" in (await answer.json())["error"]


@pytest.mark.parametrize("headers", [LINE, SCRAPER], ids=["line", "metrics"])
@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/admin/lines", "send the admin key (admin.keys)"),
        ("/nodes", "send the admin key (admin.keys)"),
        ("/console/api/live", "send the console key (console.keys)"),
    ],
)
async def test_a_refused_key_is_told_which_key_to_send(headers, path, wanted):
    async with scoped() as client:
        answer = await client.get(path, headers=headers)
        assert answer.status == 403
        assert wanted in (await answer.json())["error"]
