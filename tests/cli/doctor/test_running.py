"""Whether the bridge runs, and whether its port can be used."""

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.app.databases import engine_of
from bridge.cli.doctor.running import (
    Occupant,
    check_http,
    evaluate,
    local_url,
    occupant,
    trunks_down,
)
from bridge.settings.model import Data, Http, Settings
from bridge.stores.secret import identity, shared_secret
from tests.cli.doctor.surroundings import assert_fails, assert_ok, only, surroundings
from tests.support.inprocess import running, settings
from tests.support.machine import free_port


def at(port: int | None, folder="nowhere", host: str = "127.0.0.1") -> Settings:
    return Settings(http=Http(host=host, port=port or 0), data=Data(dir=str(folder)))


async def look(chosen: Settings, **more):
    async with surroundings(chosen, **more) as around:
        return await occupant(chosen, around.http), only(await check_http(around))


async def test_a_free_port_is_reached_by_a_second_socket():
    who, finding = await look(at(free_port()))
    assert who is Occupant.NOBODY
    assert_ok(finding, "second socket")


async def test_port_0_is_any_that_is_free():
    assert_ok((await look(at(0)))[1], "any port")


async def test_a_bridge_of_the_same_data_folder_is_not_in_the_way(tmp_path):
    async with running(msgspec.structs.replace(settings(), data=Data(dir=str(tmp_path)))) as client:
        who, finding = await look(at(client.http.port, tmp_path))
        assert who is Occupant.OURS
        assert_ok(finding, "is running")


async def test_a_bridge_of_another_data_folder_is(tmp_path):
    async with running() as client:
        shared_secret(engine_of(Data(dir=str(tmp_path))), tmp_path)
        who, finding = await look(at(client.http.port, tmp_path))
    assert who is Occupant.ANOTHER_BRIDGE
    assert_fails(finding, "another bridge", setting="http.port")


async def test_another_web_server_is_in_the_way():
    async with TestServer(web.Application()) as server:
        who, finding = await look(at(server.port))
    assert who is Occupant.ANOTHER_PROGRAM
    assert_fails(finding, "a program answers", setting="http.port")


async def test_an_address_of_another_machine_is_told():
    _, finding = await look(at(free_port(), host="192.0.2.1"))
    assert_fails(finding, "192.0.2.1", setting="http.host")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"status":"ok"}', b'{"bridge":1}'])
def test_what_is_no_answer_of_a_bridge_is_a_strangers(body):
    assert evaluate(body, "own") is Occupant.ANOTHER_PROGRAM


def test_a_bridge_that_was_never_started_is_not_the_one_that_answers():
    body = msgspec.json.encode({"status": "ok", "bridge": identity(b"secret")})
    assert evaluate(body, "") is Occupant.ANOTHER_BRIDGE
    assert evaluate(body, identity(b"secret")) is Occupant.OURS


@pytest.mark.parametrize(
    ("http", "url"),
    [
        (Http(), "http://127.0.0.1:8080"),
        (Http(host="0.0.0.0", port=80), "http://127.0.0.1:80"),
        (Http(host="::", port=80), "http://[::1]:80"),
        (Http(host="192.0.2.1", tls_cert="a", tls_key="b"), "https://192.0.2.1:8080"),
    ],
)
def test_the_bridge_is_asked_where_it_listens(http, url):
    assert local_url(Settings(http=http)) == url


@pytest.mark.parametrize(
    ("answer", "down"),
    [
        ({"status": "ready", "trunks": {"up": 1, "down": 2}}, 2),
        ({"status": "ready"}, 0),
        ("nonsense", 0),
    ],
)
async def test_the_running_bridge_is_asked_for_its_trunks(answer, down):
    async def readyz(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    async with TestServer(app) as server:
        chosen = at(server.port)
        async with surroundings(chosen, running=True) as around:
            assert await trunks_down(chosen, around.http) == down
