"""DNS."""

from bridge.cli.doctor.names import check_names, hosts_in
from bridge.settings.model import S3, Http, Line, Realtime, Recording, Settings, Turn, WhatsApp
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    only,
    surroundings,
)
from tests.support.servers.dns_server import dns_server


async def look(chosen: Settings, nameserver: str):
    async with surroundings(chosen, nameserver=nameserver) as around:
        return await check_names(around)


async def test_names_with_and_without_an_address():
    chosen = Settings(
        http=Http(public_url="https://calls.example"),
        recording=Recording(s3=S3(bucket="b", endpoint="https://s3.example")),
    )
    async with dns_server() as server:
        server.names["calls.example"] = ["192.0.2.1"]
        found = await look(chosen, server.where)
    assert_ok(found[0], "calls.example")
    assert_fails(found[1], "s3.example", setting="recording.s3.endpoint")


async def test_a_name_server_that_fails_is_told():
    async with dns_server() as server:
        server.broken.add("calls.example")
        found = await look(Settings(http=Http(public_url="https://calls.example")), server.where)
    assert_fails(only(found), "name server failed", "net.nameservers", setting="http.public_url")


async def test_addresses_need_no_name_server():
    chosen = Settings(http=Http(public_url="http://[::1]:80"))
    assert_ok(only(await look(chosen, "127.0.0.1:9")), "no name")


def test_only_what_is_in_use_is_looked_up():
    lines = {
        "a": Line(keys=["a"]),
        "b": Line(keys=["b"], whatsapp=WhatsApp(provider="cloud")),
        "c": Line(keys=["c"], whatsapp=WhatsApp(provider="gateway", url="http://engine.example")),
        "d": Line(
            keys=["d"],
            realtime=Realtime(url="wss://model.example/v1", tools_url="https://tools.example/run"),
        ),
    }
    unused = Turn(urls=["turn:turn.example"])
    assert dict(hosts_in(Settings(lines=lines, turn=unused))) == {
        "graph.facebook.com": "lines.b.whatsapp.base_url",
        "engine.example": "lines.c.whatsapp.url",
        "model.example": "lines.d.realtime.url",
        "tools.example": "lines.d.realtime.tools_url",
    }
    used = Turn(mode="shared_secret", urls=["turn:turn.example"], secret="s")
    assert dict(hosts_in(Settings(turn=used))) == {"turn.example": "turn.urls"}
