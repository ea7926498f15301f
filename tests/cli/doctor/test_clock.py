"""The clock, against the Date headers of services."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.cli.doctor.clock import check_clock, evaluate, origins_in, synchronised
from bridge.settings.model import S3, Http, Line, Recording, Settings, WhatsApp
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    assert_warns,
    only,
    surroundings,
)


def ahead(seconds: float) -> web.Application:
    async def answer(_):
        date = datetime.now(UTC) + timedelta(seconds=seconds)
        return web.Response(headers={"Date": format_datetime(date, usegmt=True)})

    application = web.Application()
    application.add_routes([web.get("/", answer)])
    return application


async def look(seconds: float):
    async with TestServer(ahead(seconds)) as server:
        s3 = S3(bucket="b", endpoint=str(server.make_url("/")))
        chosen = Settings(recording=Recording(s3=s3))
        async with surroundings(chosen) as around:
            return only(await check_clock(around))


async def test_a_clock_that_agrees_is_right():
    assert_ok(await look(0), "agrees with 1")


@pytest.mark.parametrize(("seconds", "side"), [(30, "behind"), (-30, "ahead")])
async def test_a_clock_that_is_off_is_told(seconds, side):
    assert_warns(await look(seconds), side, "NTP")


async def test_a_clock_that_is_wrong_is_told():
    assert_fails(await look(3600), "3600 s behind")


async def test_without_a_service_nothing_is_asked():
    async with surroundings(Settings()) as around:
        assert_ok(only(await check_clock(around)), "no configured service")
    assert_warns(evaluate([], synchronised=False, exposed=True), "NTP")
    assert_ok(evaluate([], synchronised=True, exposed=True), "keeps its clock")


def test_one_service_that_is_wrong_is_outvoted():
    assert_ok(evaluate([0.1, 4000.0, 0.3], synchronised=None, exposed=True))


def test_the_kernel_is_asked_without_rights():
    assert synchronised() in (True, False, None)


def test_the_services_of_the_settings_are_asked():
    lines = {
        "b": Line(keys=["b"], whatsapp=WhatsApp(provider="cloud")),
        "c": Line(keys=["c"], whatsapp=WhatsApp(provider="gateway", url="http://e.example/x?y=1")),
    }
    chosen = Settings(lines=lines, http=Http(public_url="https://calls.example/a"))
    assert [*origins_in(chosen)] == [
        "https://calls.example",
        "https://graph.facebook.com",
        "http://e.example",
    ]
