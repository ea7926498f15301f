"""WhatsApp lines and gateway engines, against their doubles."""

import msgspec
import pytest

from bridge.cli.doctor.whatsapp import check_cloud, check_gateways, evaluate_step
from bridge.cli.steps import Outcome, Step
from bridge.settings.model import Http, Line, Rtc, Settings, WhatsApp
from tests.calls.whatsapp.test_cloud import cloud_line, world
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    assert_warns,
    only,
    surroundings,
)
from tests.support.machine import free_port
from tests.support.whatsapp.gateway_double import WaDialDouble, ZuckZapGoDouble
from tests.support.whatsapp.gateway_engine import SESSION, TOKEN
from tests.support.whatsapp.graph_double import GraphDouble

NONE = Rtc(stun_urls=[])


async def look(check, lines, *, running=False, public_url=""):
    chosen = Settings(rtc=NONE, lines=lines, http=Http(public_url=public_url))
    async with surroundings(chosen, running=running) as around:
        return await check(around)


@pytest.mark.parametrize("check", [check_cloud, check_gateways])
async def test_lines_of_another_kind_are_not_asked(check):
    assert_ok(only(await look(check, {"main": Line(keys=["k"])})), "no line")


async def test_a_line_beside_its_bridge_is_in_order():
    async with world() as meta:
        meta.graph.settings["calling"]["status"] = "ENABLED"
        public = str(meta.client.http.make_url("")).rstrip("/")
        lines = {"main": cloud_line(meta.graph)}
        found = await look(check_cloud, lines, running=True, public_url=public)
    assert len(found) == 4
    for finding in found:
        assert_ok(finding, "line main")


async def test_a_token_that_meta_refuses_is_told_with_its_setting():
    async with GraphDouble() as graph:
        line = cloud_line(graph)
        whatsapp = msgspec.structs.replace(line.whatsapp, access_token="old")
        changed = msgspec.structs.replace(line, whatsapp=whatsapp)
        found = await look(check_cloud, {"main": changed})
    assert_fails(found[0], "access_token", setting="lines.main.whatsapp")
    assert_warns(found[-1], "not running")
    assert len(found) == 2


async def test_without_a_public_address_the_webhook_is_not_tried():
    async with GraphDouble() as graph:
        graph.settings["calling"]["status"] = "ENABLED"
        found = await look(check_cloud, {"main": cloud_line(graph)}, running=True)
    assert_warns(found[-1], "http.public_url is empty", setting="http.public_url")


def test_a_step_that_another_failure_prevented_says_nothing():
    assert evaluate_step("main", Step(Outcome.SKIPPED, "calling", "needs the step before")) == []


def gateway(double, **changed) -> dict[str, Line]:
    known = {"url": double.url, "token": TOKEN, "session": SESSION, "dialect": double.dialect}
    return {"main": Line(keys=["k"], whatsapp=WhatsApp(provider="gateway", **(known | changed)))}


@pytest.mark.parametrize("kind", [ZuckZapGoDouble, WaDialDouble])
async def test_an_engine_that_answers_is_right(kind):
    async with kind() as engine:
        assert_ok(only(await look(check_gateways, gateway(engine))), "has 0 calls")
        wrong = only(await look(check_gateways, gateway(engine, token="another-token")))
    assert_fails(wrong, "refuses", setting="lines.main.whatsapp.url, token")
    assert "another-token" not in wrong.found + wrong.fix


async def test_an_engine_that_is_not_there_is_told():
    async with ZuckZapGoDouble() as engine:
        lines = gateway(engine, url=f"http://127.0.0.1:{free_port()}")
        assert_fails(only(await look(check_gateways, lines)), "does not answer")
