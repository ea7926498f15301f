"""A number is set up for SIP in one command, and checked."""

import stat
from contextlib import asynccontextmanager
from ipaddress import ip_address

import msgspec
import pytest

from bridge.app.lines import graph_of
from bridge.cli.whatsapp import read_settings
from bridge.cli.whatsapp_sip import SipLine, password_file, set_up
from bridge.errors import BridgeError, SettingsError
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.http.resolver import LookupFailed
from bridge.settings.model import Data, Line, Settings, Sip, load
from tests.calls.whatsapp.test_cloud import cloud_line
from tests.cli.test_whatsapp import arguments
from tests.support.machine import free_port
from tests.support.servers.authority import Authority, tls_server
from tests.support.whatsapp.graph_double import GraphDouble

NAME = "sip.example.com"


class Names:
    """Knows where the bridge's name leads."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host):
        if not self.addresses:
            raise LookupFailed("no such name", outcome="nothing")
        return [ip_address(each) for each in self.addresses]


class Bench:
    """A line, Meta, and what the command says."""

    def __init__(self, graph: GraphDouble, http: Http, folder) -> None:
        self.graph, self.http, self.folder = graph, http, folder
        self.authority = Authority(folder)
        self.certified = NAME
        self.names = Names("127.0.0.1")
        self.port = free_port()
        self.said: list[str] = []

    def settings(self, **more) -> Settings:
        issued = self.authority.issue(host=self.certified)
        sip = Sip(
            listen=[f"tls:127.0.0.1:{self.port}"], tls_cert=issued.tls_cert, tls_key=issued.tls_key
        )
        changed = {"signalling": "sip", "sip_hostname": NAME} | more
        line: Line = cloud_line(self.graph, **changed)
        return Settings(lines={"main": line}, sip=sip, data=Data(dir=str(self.folder)))

    def one(self, **more) -> SipLine:
        chosen = self.settings(**more)
        graph = graph_of(chosen.lines["main"].whatsapp, self.http)
        return SipLine(chosen, "main", graph, dns=self.names, trust=self.authority.trust)

    async def set_up(self, **more) -> int:
        chosen = self.settings(**more)
        graph = graph_of(chosen.lines["main"].whatsapp, self.http)
        kept = password_file(chosen, "main")
        return await set_up(self.one(**more), graph, kept, port=self.port, say=self.said.append)

    @property
    def server(self):
        [found] = self.graph.settings["calling"]["sip"]["servers"]
        return found

    @property
    def failed(self) -> list[str]:
        return [line[9:].partition(":")[0] for line in self.said if line.startswith("FAILED")]


@asynccontextmanager
async def bench(folder):
    http = Http(Guard(allow=[], require_tls=False))
    async with GraphDouble() as graph:
        try:
            yield Bench(graph, http, folder)
        finally:
            await http.aclose()


async def test_one_command_sets_all_at_meta_and_keeps_the_password_to_itself(tmp_path):
    async with bench(tmp_path) as made:
        assert await made.set_up() == 0, made.said
        password = made.server["sip_user_password"]
        posted = [body["calling"] for name, body in made.graph.requests if name == "settings"]
    assert (made.server["hostname"], made.server["port"]) == (NAME, made.port)
    assert posted[-1] == {"srtp_key_exchange_protocol": "SDES"}
    assert made.graph.settings["calling"]["srtp_key_exchange_protocol"] == "SDES"
    kept = tmp_path / "secrets" / "main.sip_password"
    assert kept.read_text().strip() == password
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert password not in " ".join(made.said)
    assert any("nothing listens" in line for line in made.said)


async def test_it_may_be_repeated_and_keeps_the_same_password(tmp_path):
    async with bench(tmp_path) as made:
        assert await made.set_up() == 0
        before = made.server["sip_user_password"]
        assert await made.set_up(media="dtls", sip_password=before) == 0, made.said
        assert made.server["sip_user_password"] == before
        assert made.graph.settings["calling"]["srtp_key_exchange_protocol"] == "DTLS"


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ("certificate", "certificate"),
        ("name", "name"),
        ("password", "password"),
        ("token", "settings at Meta"),
    ],
)
async def test_a_step_that_fails_is_named(tmp_path, fault, step):
    async with bench(tmp_path) as made:
        more = {}
        if fault == "certificate":
            made.certified = "other.example.com"
        elif fault == "name":
            made.names = Names()
        elif fault == "password":
            more["sip_password"] = "of another number"
        else:
            made.graph.broken.add("expired")
        assert await made.set_up(**more) == 1
    assert made.failed == [step], made.said
    assert f"Fix first: {step}" in made.said[-1]


async def test_a_check_finds_nothing_wrong_with_what_was_set_up(tmp_path):
    async with bench(tmp_path) as made:
        await made.set_up()
        one = made.one(sip_password=made.server["sip_user_password"])
        assert "SDES" in await one.settings()
        assert "is the number's" in await one.password()
        assert "AVAILABLE" in await one.health()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "DISABLED"}, "calling is off"),
        ({"sip": {"status": "DISABLED"}}, "SIP is off at Meta"),
        ({"sip": {"servers": [{"hostname": "old.example.com", "port": 5061}]}}, "old.example.com"),
        ({"srtp_key_exchange_protocol": "DTLS"}, 'media = "sdes" needs SDES'),
    ],
)
async def test_what_differs_at_meta_is_named_with_the_command_that_mends_it(
    tmp_path, change, words
):
    async with bench(tmp_path) as made:
        await made.set_up()
        calling = made.graph.settings["calling"]
        sip = calling["sip"] | change.get("sip", {})
        made.graph.settings["calling"] = calling | change | {"sip": sip}
        with pytest.raises(SettingsError, match="sip-setup main") as found:
            await made.one().settings()
    assert words in str(found.value)


async def test_another_password_and_a_number_that_gets_no_calls_are_named(tmp_path):
    async with bench(tmp_path) as made:
        with pytest.raises(BridgeError, match="138024"):
            await made.one().health()
        with pytest.raises(SettingsError, match="access_token"):
            await made.one().password_at_meta()
        await made.set_up()
        with pytest.raises(SettingsError, match=r"main\.whatsapp\.sip_password"):
            await made.one(sip_password="old").password()


@pytest.mark.parametrize(("certified", "good"), [(NAME, True), ("other.example.com", False)])
async def test_the_name_is_connected_to_where_it_is_this_machines(tmp_path, certified, good):
    async with bench(tmp_path) as made:
        context = made.authority.server_context(made.authority.issue(host=certified))
        async with tls_server(context) as port:
            made.port = port
            if good:
                assert "good for sip.example.com" in await made.one().reach(running=True)
            else:
                with pytest.raises(SettingsError, match="not one that Meta takes"):
                    await made.one().reach(running=True)


async def test_another_machines_address_is_not_connected_to(tmp_path):
    async with bench(tmp_path) as made:
        made.names = Names("198.51.100.7")
        assert "not tried from here" in await made.one().reach(running=True)
        made.names = Names("127.0.0.1")
        with pytest.raises(BridgeError, match="nothing listens"):
            await made.one().reach(running=True)


def write(folder, *, listen='listen = ["tls:127.0.0.1"]\ntls_cert = "c"\ntls_key = "k"\n', **more):
    values = {
        "provider": "cloud", "phone_number_id": "1", "access_token": "t", "app_secret": "s",
        "verify_token": "v", "signalling": "sip", "sip_hostname": NAME,
    } | more  # fmt: skip
    rows = "".join(f'{key} = "{text}"\n' for key, text in values.items())
    text = f'[data]\ndir = "{folder}"\n[sip]\n{listen}[lines.main]\nkeys = ["k"]\nnumbers = ["15550101000"]\n'
    path = folder / "bridge.toml"
    path.write_text(f"{text}[lines.main.whatsapp]\n{rows}")
    return path


def read(path, action="sip-setup"):
    asked = arguments(action, "main")
    asked.config = path
    return read_settings({}, asked)


def test_the_command_begins_without_the_password_and_nothing_else_does(tmp_path):
    path = write(tmp_path)
    assert read(path).lines["main"].whatsapp.sip_password == ""
    for begin in (lambda: load({}, path), lambda: read(path, "check")):
        with pytest.raises(SettingsError, match=r"sip_password: needed .*sip-setup"):
            begin()


def test_what_else_is_wrong_with_the_line_is_said_at_once(tmp_path):
    with pytest.raises(SettingsError, match="sip_hostname"):
        read(write(tmp_path, sip_hostname=""))
    with pytest.raises(SettingsError, match=r"sip\.listen"):
        read(write(tmp_path, listen=""))
    with pytest.raises(SettingsError, match="signalling"):
        read(write(tmp_path, signalling="graph"))


def test_the_kept_password_is_used_unless_the_settings_have_one(tmp_path):
    path = write(tmp_path)
    kept = password_file(msgspec.structs.replace(Settings(), data=Data(dir=str(tmp_path))), "main")
    kept.parent.mkdir()
    kept.write_text("of Meta's\n")
    assert load({}, path).lines["main"].whatsapp.sip_password == "of Meta's"
    path = write(tmp_path, sip_password="own")
    assert load({}, path).lines["main"].whatsapp.sip_password == "own"
