"""The check of a number's configuration: what it says when all is well, and when one step fails."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.app.lines import graph_of
from bridge.cli.whatsapp_check import Check, webhook_url
from bridge.errors import SettingsError
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.settings.model import Line, Rtc, Settings
from tests.calls.whatsapp.test_cloud import World, cloud_line, world
from tests.cli.test_stun import server as stun_server
from tests.support.inprocess import free_udp_ports
from tests.support.machine import free_port


@dataclass
class Report:
    code: int
    lines: list[str]

    def of(self, step: str) -> str:
        """How a step went."""
        steps = [line for line in self.lines if not line.startswith("hint")]
        [line] = [line for line in steps if line[9:].startswith(f"{step}:")]
        return line

    @property
    def failed(self) -> list[str]:
        return [line[9:].partition(":")[0] for line in self.lines if line.startswith("FAILED")]

    def hints(self) -> str:
        return " ".join(line for line in self.lines if line.startswith("hint"))


@asynccontextmanager
async def enabled():
    """A bridge, and a number with calling switched on."""
    async with world() as meta:
        meta.graph.settings["calling"]["status"] = "ENABLED"
        yield meta


async def check(meta: World, url: str | None = None, *, rtc: Rtc | None = None, **changed):
    """Check a line whose settings differ from those of the bridge that runs."""
    whatsapp = msgspec.structs.replace(cloud_line(meta.graph).whatsapp, **changed)
    first = free_udp_ports(2)
    rtc = rtc or Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + 1}", stun_urls=[])
    chosen = Settings(lines={"main": Line(keys=["k"], whatsapp=whatsapp)}, rtc=rtc)
    http = Http(Guard(allow=[], require_tls=False))
    said: list[str] = []
    try:
        made = Check(chosen, "main", graph_of(whatsapp, http), http, say=said.append)
        code = await made.run(meta.graph.webhook if url is None else url)
    finally:
        await http.aclose()
    return Report(code, said)


async def test_all_is_in_order():
    async with enabled() as meta:
        report = await check(meta)
    assert (report.code, report.failed) == (0, [])
    assert sum(line.startswith("ok ") for line in report.lines) == 4
    assert "in order" in report.lines[-1]


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("changed", "step", "words"),
    [
        (
            {"access_token": "old"},
            "token and number",
            ["main.whatsapp.access_token", "system user"],
        ),
        ({"phone_number_id": "15550101000"}, "token and number", ["phone_number_id", "not the"]),
        ({"base_url": "http://127.0.0.1:1"}, "token and number", ["TCP connections to http://127"]),
        ({"verify_token": "x"}, "webhook", ["main.whatsapp.verify_token", "restarted"]),
        ({"app_secret": "x"}, "signature", ["main.whatsapp.app_secret", "proxy"]),
    ],
)
async def test_a_setting_that_is_wrong_is_named(changed, step, words):
    async with enabled() as meta:
        report = await check(meta, **changed)
    assert (report.code, report.failed) == (1, [step])
    assert all(word in report.of(step) for word in words), report.of(step)
    assert report.lines[-1].endswith(f"Fix first: {step}")


@pytest.mark.parametrize(
    ("calling", "word"),
    [
        ({"status": "DISABLED"}, "`enable`"),
        ({}, "`enable`"),
        ({"status": "ENABLED", "sip": {"status": "ENABLED"}}, "SIP"),
    ],
)
async def test_calling_that_is_off_says_how_to_switch_it_on(calling, word):
    async with enabled() as meta:
        meta.graph.settings["calling"] = calling
        report = await check(meta)
    assert report.failed == ["calling"]
    assert word in report.of("calling")


async def test_a_token_without_the_right_to_settings_is_said_to_lack_it():
    async with enabled() as meta:
        meta.graph.faults["settings"] = [(403, {"error": {"code": 200, "message": "no"}})]
        report = await check(meta)
    assert "whatsapp_business_management" in report.of("calling")


async def test_a_hidden_call_button_is_told_of():
    async with enabled() as meta:
        meta.graph.settings["calling"]["call_icon_visibility"] = "DISABLE_ALL"
        report = await check(meta)
    assert report.code == 0
    assert "hidden" in report.of("calling")


async def test_steps_that_need_a_failed_one_are_left_out():
    async with enabled() as meta:
        report = await check(meta, access_token="old", verify_token="x")
    assert report.failed == ["token and number", "webhook"]
    assert [line[9:].partition(":")[0] for line in report.lines if "skipped" in line] == [
        "calling",
        "signature",
    ]


# The webhook's address


async def test_nobody_at_the_address_is_said_without_the_verify_token():
    async with enabled() as meta:
        report = await check(meta, f"http://127.0.0.1:{free_port()}/whatsapp/webhook")
    assert report.failed == ["webhook"]
    assert "nothing answers" in report.of("webhook")
    assert "a-verify-token" not in " ".join(report.lines)


async def test_a_name_that_is_unknown_is_said_to_be():
    async with enabled() as meta:
        report = await check(meta, "https://bridge.invalid/whatsapp/webhook")
    assert "DNS" in report.of("webhook")


@pytest.mark.virtual_time
async def test_a_server_that_does_not_answer_is_given_up():
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    application = web.Application()
    application.add_routes([web.get("/whatsapp/webhook", never)])
    async with enabled() as meta, TestServer(application) as other:
        report = await check(meta, str(other.make_url("/whatsapp/webhook")))
    assert "firewall" in report.of("webhook")


@pytest.mark.parametrize("path", ["/elsewhere", "/docs"])
async def test_an_address_that_leads_elsewhere_is_said_to(path):
    async with enabled() as meta:
        report = await check(meta, str(meta.client.http.make_url(path)))
    assert report.failed == ["webhook"]
    assert "/whatsapp/webhook" in report.of("webhook")


async def test_without_an_address_the_webhook_is_left_out_and_said_so():
    async with enabled() as meta:
        report = await check(meta, "")
    assert report.code == 0
    assert "--url" in report.of("webhook")
    assert "but the webhook" in report.lines[-1]


def test_the_path_may_be_left_out_of_the_address():
    whole = "https://bridge.example.com/whatsapp/webhook"
    for text in ("https://bridge.example.com", "https://bridge.example.com/", whole):
        assert webhook_url(text) == whole
    assert webhook_url("") == ""
    for text in ("bridge.example.com", "ftp://x", "https://", "http://[1"):
        with pytest.raises(SettingsError, match="--url"):
            webhook_url(text)


# Media


async def udp(meta: World, *, ports: str, stun_url: str, bind: str = "127.0.0.1") -> str:
    rtc = Rtc(bind=[bind], ports=ports, stun_urls=[stun_url] if stun_url else [])
    report: Report = await check(meta, "", rtc=rtc)
    return report.hints()


@pytest.mark.virtual_time
async def test_where_udp_leaves_is_told():
    first = free_udp_ports(2)
    ports = f"{first}-{first + 1}"
    async with enabled() as meta, stun_server() as (host, port):
        told = await udp(meta, ports=ports, stun_url=f"stun:{host}:{port}")
        assert "sees this machine as 203.0.113.7" in told
        assert "was not tried" in await udp(meta, ports=ports, stun_url="")
        assert "DNS" in await udp(meta, ports=ports, stun_url="stun:stun.invalid:3478")
    async with enabled() as meta, stun_server(loses=9) as (host, port):
        told = await udp(meta, ports=ports, stun_url=f"stun:{host}:{port}")
        assert "UDP is closed" in told
        told = await udp(meta, ports=f"{port}-{port}", stun_url=f"stun:{host}:{port}")
        assert "no port of rtc.ports" in told
        assert "closed" not in told
        told = await udp(meta, ports=ports, stun_url="stun:198.51.100.1:3478")
        assert "cannot be sent to" in told  # from loopback
