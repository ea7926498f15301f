"""Webhooks and speech providers that clients have stored."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.call.model import LineName
from bridge.cli.doctor import customers
from bridge.cli.doctor.customers import check_agents, check_webhooks
from bridge.db import sqlite
from bridge.db.sqlite import Sqlite
from bridge.node.lines import LineConfig, Lines
from bridge.settings.model import Data, Settings
from bridge.stores import endpoints
from bridge.stores.endpoints import Endpoint
from bridge.wire.webhook.formats import Style
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    assert_warns,
    only,
    surroundings,
)
from tests.support.databases import open_database
from tests.support.machine import free_port


class Receiver:
    """A customer's server."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.asked: list[tuple[str, str]] = []
        self.application = web.Application()
        self.application.add_routes([web.route("*", "/{path:.*}", self._answer)])

    async def _answer(self, request):
        self.asked.append((request.method, request.headers.get("Authorization", "")))
        return web.Response(status=self.status)


@pytest.fixture
async def receiver():
    made = Receiver()
    async with TestServer(made.application) as server:
        made.url = str(server.make_url("/hook?secret=hidden"))
        yield made


async def register(folder, url: str, *, active: bool = True):
    store = open_database(Sqlite(folder / sqlite.FILE))
    made = Endpoint(
        id="one", line="main", url=url, style=next(iter(Style)), created_at=1.0, active=active
    )
    await store.run(endpoints.put, made)
    await store.aclose()


async def configure(folder, **urls: Any):
    store = open_database(Sqlite(folder / sqlite.FILE))
    lines = Lines(store, {})
    await lines.put(LineName("main"), LineConfig(provider_token="a-token", **urls))
    await lines.connect(LineName("main"))
    await store.aclose()


async def look(check, folder):
    async with surroundings(Settings(data=Data(dir=str(folder)))) as around:
        return await check(around)


@pytest.mark.parametrize("check", [check_webhooks, check_agents])
async def test_before_the_first_start_there_are_none(tmp_path, check):
    assert_ok(only(await look(check, tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [200, 404, 405])
async def test_a_webhook_that_answers_is_right_and_gets_no_event(tmp_path, receiver, status):
    receiver.status = status
    await register(tmp_path, receiver.url)
    found = only(await look(check_webhooks, tmp_path))
    assert_ok(found, "line main")
    assert "hidden" not in found.found
    assert receiver.asked == [("HEAD", "")]


async def test_a_webhook_that_fails_is_told(tmp_path, receiver):
    receiver.status = 503
    await register(tmp_path, receiver.url)
    assert_warns(only(await look(check_webhooks, tmp_path)), "503")


async def test_a_webhook_where_nobody_answers_is_told(tmp_path):
    await register(tmp_path, f"http://127.0.0.1:{free_port()}/")
    assert_warns(only(await look(check_webhooks, tmp_path)), "does not answer")


async def test_a_webhook_at_a_blocked_address_is_told(tmp_path):
    await register(tmp_path, "http://10.0.0.1/")
    assert_warns(only(await look(check_webhooks, tmp_path)), "net.allow")


async def test_one_that_is_switched_off_is_not_asked(tmp_path, receiver):
    await register(tmp_path, receiver.url, active=False)
    assert_ok(only(await look(check_webhooks, tmp_path)), "no webhook")
    assert receiver.asked == []


async def test_a_provider_is_asked_with_its_token(tmp_path, receiver):
    await configure(tmp_path, stt_url=receiver.url)
    assert_ok(only(await look(check_agents, tmp_path)), "callSttUrl of line main")
    assert receiver.asked == [("HEAD", "Bearer a-token")]


async def test_a_token_that_is_refused_is_told(tmp_path, receiver):
    receiver.status = 401
    await configure(tmp_path, llm_url=receiver.url)
    found = only(await look(check_agents, tmp_path))
    assert_fails(found, "callLlmUrl", "callProviderToken")
    assert "a-token" not in found.found + found.fix


async def test_no_more_urls_than_the_limit_are_tried(tmp_path, receiver, monkeypatch):
    monkeypatch.setattr(customers, "MAX_URLS", 1)
    await configure(tmp_path, stt_url=receiver.url, tts_url=receiver.url)
    found = await look(check_agents, tmp_path)
    assert_ok(found[0])
    assert_warns(found[1], "1 more")
    assert len(receiver.asked) == 1


@pytest.mark.virtual_time
async def test_a_server_that_does_not_answer_is_given_up(tmp_path):
    async def never(_):
        await asyncio.sleep(60)
        return web.Response()

    application = web.Application()
    application.add_routes([web.get("/", never)])
    async with TestServer(application) as server:
        await register(tmp_path, str(server.make_url("/")))
        assert_warns(only(await look(check_webhooks, tmp_path)), "does not answer")
