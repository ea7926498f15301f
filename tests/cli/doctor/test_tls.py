"""Certificates, made here: good ones, and every way in which they can be bad."""

from datetime import UTC, datetime

import msgspec
import pytest

from bridge.app.databases import engine_of
from bridge.cli.certificate import Certificate, handshake
from bridge.cli.doctor.running import Occupant
from bridge.cli.doctor.tls import check_tls, evaluate, evaluate_public, names_of
from bridge.cli.lan import on_lan
from bridge.settings.model import Data, Http, Settings
from bridge.stores.secret import shared_secret
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    assert_warns,
    only,
    surroundings,
)
from tests.support.inprocess import running, settings
from tests.support.machine import free_port
from tests.support.servers.authority import HOST, Authority, tls_server

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTING = "http.tls_cert"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_a_good_certificate_is_trusted(authority):
    seen = handshake(authority.issue(days=90), HOST, authority.trust)
    assert seen.distrust == ""
    assert_ok(evaluate(HOST, seen, datetime.now(UTC), setting=SETTING), HOST, "89 days")


def test_one_that_expires_soon_is_told(authority):
    seen = handshake(authority.issue(days=5), HOST, authority.trust)
    assert_warns(evaluate(HOST, seen, datetime.now(UTC), setting=SETTING), "renew", setting=SETTING)


@pytest.mark.parametrize(
    ("made", "word"),
    [({"days": -1}, "expired"), ({"host": "other.example"}, "not valid for")],
)
def test_one_that_is_bad_is_told(authority, made, word):
    seen = handshake(authority.issue(**made), HOST, authority.trust)
    assert_fails(evaluate(HOST, seen, NOW, setting=SETTING), word, setting=SETTING)


def test_one_of_an_unknown_authority_is_told(authority):
    assert "issuer" in handshake(authority.issue(), HOST).distrust


async def test_a_self_signed_one_is_told(tmp_path):
    chosen = on_lan(Settings(data=Data(dir=str(tmp_path))), "192.0.2.1")
    assert_warns(only(await look(chosen.http)), "self-signed", setting=SETTING)


def test_without_a_name_the_name_is_not_checked(authority):
    assert handshake(authority.issue(), "", authority.trust).distrust == ""


async def look(http: Http, **more):
    async with surroundings(Settings(http=http, data=Data(dir="nowhere")), **more) as around:
        return await check_tls(around)


async def test_the_files_of_the_settings_are_checked(authority):
    assert_fails(only(await look(authority.issue())), HOST, "issuer", setting=SETTING)


@pytest.mark.parametrize("broken", ["missing", "nonsense", "another key"])
async def test_files_that_cannot_be_used_are_told(authority, tmp_path, broken):
    http = authority.issue()
    key = tmp_path / "key.pem"
    if broken == "missing":
        key.unlink()
    elif broken == "nonsense":
        key.write_text("nonsense")
    else:
        former = (tmp_path / "cert.pem").read_bytes()
        authority.issue()
        (tmp_path / "cert.pem").write_bytes(former)
    assert_fails(only(await look(http)), "cannot be used", setting="http.tls_key")


async def test_without_https_others_are_warned():
    assert_ok(only(await look(Http())))
    assert_warns(only(await look(Http(host="0.0.0.0"))), "microphone", setting="http.tls_cert")


@pytest.mark.parametrize(
    ("http", "names"),
    [
        (Http(), []),
        (Http(host="0.0.0.0"), []),
        (Http(host="192.0.2.1"), ["192.0.2.1"]),
        (Http(public_url="https://a.example/x", allowed_hosts=["b.example"]), ["a.example", "b.example"]),
    ],
)  # fmt: skip
def test_the_names_that_browsers_use_are_known(http, names):
    assert names_of(http) == names


# The public address


async def test_a_public_address_that_leads_to_the_bridge_is_right(tmp_path):
    async with running(msgspec.structs.replace(settings(), data=Data(dir=str(tmp_path)))) as client:
        http = Http(public_url=str(client.http.make_url("/")))
        chosen = Settings(http=http, data=Data(dir=str(tmp_path)))
        async with surroundings(chosen, running=True) as around:
            found = await check_tls(around)
    assert_ok(found[-1], "leads to this bridge")


async def test_one_that_leads_elsewhere_is_wrong(tmp_path):
    async with running() as client:
        shared_secret(engine_of(Data(dir=str(tmp_path))), tmp_path)
        http = Http(public_url=str(client.http.make_url("/")))
        chosen = Settings(http=http, data=Data(dir=str(tmp_path)))
        async with surroundings(chosen, running=True) as around:
            assert_fails((await check_tls(around))[-1], "another bridge", setting="http.public_url")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_one_where_nobody_answers_is_told(scheme):
    found = await look(Http(public_url=f"{scheme}://127.0.0.1:{free_port()}"))
    assert_warns(found[-1], "cannot be reached", setting="http.public_url")


async def test_a_certificate_is_checked_at_the_public_address(authority, monkeypatch):
    http = authority.issue(host="127.0.0.1")
    async with tls_server(authority.server_context(http)) as port:
        public = Http(public_url=f"https://127.0.0.1:{port}")
        assert_fails((await look(public))[0], "issuer", setting="http.public_url")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        trusted, elsewhere = await look(public)
    assert_ok(trusted, f"https://127.0.0.1:{port}")
    assert_warns(elsewhere, "start the bridge")


def test_where_an_address_leads_is_not_known_while_the_bridge_does_not_run():
    assert_warns(
        evaluate_public("https://x", Occupant.ANOTHER_PROGRAM, running=False), "start the bridge"
    )


def test_a_certificate_that_was_not_sent_is_not_trusted():
    assert_fails(evaluate(HOST, Certificate(), NOW, setting=SETTING))
