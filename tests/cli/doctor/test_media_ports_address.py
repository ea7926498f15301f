"""The external address, and STUN servers."""

import socket

import msgspec
import pytest

from bridge.cli.doctor.media_ports import check_address, evaluate_external
from bridge.cli.stun import Reflexive
from bridge.settings.model import Http, Line, Rtc, Settings
from tests.cli.doctor.surroundings import assert_fails, assert_ok, assert_warns, surroundings
from tests.cli.test_stun import server as stun_server
from tests.support.inprocess import free_udp_ports
from tests.support.servers.authority import Authority, tls_server

EXPOSED = Http(host="0.0.0.0")
PRIVATE, PUBLIC, OTHER = "10.0.0.5", "203.0.113.7", "198.51.100.9"
"""The public ones are documentation addresses, which Python does not call global."""


def chosen(*, external: str = "", exposed: bool = True) -> Settings:
    http = EXPOSED if exposed else Http()
    return Settings(
        http=http, rtc=Rtc(external_address=external), lines={"main": Line(keys=["k" * 32])}
    )


def seen(address: str, port: int = 20000) -> tuple[int, Reflexive]:
    return 20000, Reflexive(address, port)


def test_an_address_that_is_seen_as_it_is_told_is_right():
    assert_ok(evaluate_external(chosen(), PUBLIC, seen(PUBLIC)))
    assert_ok(evaluate_external(chosen(external=PUBLIC), PRIVATE, seen(PUBLIC)))


def test_another_external_address_than_packets_come_from_is_wrong():
    found = evaluate_external(chosen(external=OTHER), PRIVATE, seen(PUBLIC))
    assert_fails(found, OTHER, PUBLIC, setting="rtc.external_address")
    found = evaluate_external(chosen(), "8.8.8.8", seen(PUBLIC))
    assert_fails(found, "8.8.8.8", PUBLIC, setting="rtc.external_address")


def test_a_nat_that_changes_ports_is_told():
    found = evaluate_external(chosen(external=PUBLIC), PRIVATE, seen(PUBLIC, 1234))
    assert_warns(found, "20000 into 1234", setting="rtc.external_address")


def test_a_private_address_is_told_where_others_reach_the_bridge():
    found = evaluate_external(chosen(), PRIVATE, seen(PUBLIC))
    assert_warns(found, PRIVATE, f'rtc.external_address to "{PUBLIC}"')
    assert_warns(evaluate_external(chosen(), PRIVATE, None), "it is private")


def test_on_this_machine_alone_any_address_will_do():
    assert_ok(evaluate_external(chosen(exposed=False), PRIVATE, seen(PUBLIC)))
    assert_ok(evaluate_external(chosen(exposed=False), PRIVATE, None))
    assert_ok(evaluate_external(chosen(), "8.8.8.8", None), "no STUN server")


async def look(*urls: str):
    first = free_udp_ports(4)
    rtc = Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + 3}", stun_urls=[*urls])
    async with surroundings(Settings(rtc=rtc)) as around:
        return await check_address(around)


async def test_a_stun_server_that_answers_is_asked_from_a_media_port():
    async with stun_server() as (host, port):
        found = await look(f"stun:{host}:{port}", f"stun:{host}:{port}")
    assert [one.check for one in found] == ["stun", "stun", ""]
    assert_ok(found[0], PUBLIC)


@pytest.mark.parametrize("url", ["stun:stun.invalid:3478", "stuns:127.0.0.1:1", "stun:[::1]:3478"])
async def test_a_stun_server_that_is_not_there_is_told(url):
    assert_warns((await look(url))[0], url.partition(":3")[0][:9], setting="rtc.stun_urls")


async def test_a_stun_server_that_is_silent_is_told(monkeypatch):
    monkeypatch.setattr("bridge.cli.stun.reflexive_address.__kwdefaults__", {"tries": (0.01,)})
    async with stun_server(loses=99) as (host, port):
        assert_warns((await look(f"stun:{host}:{port}"))[0], "no answer", setting="rtc.stun_urls")


async def test_a_network_that_is_unreachable_is_said_to_be():
    found = (await look("stun:198.51.100.1:3478"))[0]
    assert_warns(found, "stun:198.51.100.1", setting="rtc.stun_urls")
    assert "no port" not in found.found  # a socket on loopback cannot send there


async def test_a_port_that_a_call_has_is_passed_over():
    first = free_udp_ports(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as call:
        call.bind(("127.0.0.1", first + 1))
        rtc = Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + 1}")
        async with stun_server() as (host, port):
            rtc = msgspec.structs.replace(rtc, stun_urls=[f"stun:{host}:{port}"])
            async with surroundings(Settings(rtc=rtc)) as around:
                assert_ok((await check_address(around))[0], PUBLIC)


async def test_a_stun_server_over_tls_is_connected_to(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    context = authority.server_context(authority.issue(host="127.0.0.1"))
    async with tls_server(context) as port:
        assert_warns((await look(f"stuns:127.0.0.1:{port}"))[0], setting="rtc.stun_urls")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        assert_ok((await look(f"stuns:127.0.0.1:{port}"))[0], "TLS")


async def test_none_at_all_is_in_order():
    assert_ok((await look())[0], "empty")
