"""Tests of what browsers are told about STUN and TURN, and of the credentials with a real coturn."""

import asyncio
import time

import pytest
from aioice import stun
from aioice.turn import TurnClientTcpProtocol, TurnClientUdpProtocol

from bridge.net.turn import ice_configuration, timed_credentials, turn_state
from bridge.settings import Rtc, Turn, TurnServer
from tests.support.coturn import running_coturn
from tests.support.machine import own_address

NOW = 1_800_000_000.7
GOOGLE = "stun:stun.l.google.com:19302"


def configuration(turn, stun_urls=(GOOGLE,)):
    return ice_configuration(stun_urls, turn, user="demo", now_unix=NOW)


def test_with_nothing_configured_the_answer_is_the_documented_one():
    assert ice_configuration(Rtc().stun_urls, Turn(), user="demo", now_unix=NOW) == {
        "iceServers": [{"urls": ["stun:stun.l.google.com:19302"]}],
        "turn": {"enabled": False, "status": "coming_soon"},
    }


def test_stun_may_be_left_out():
    assert configuration(Turn(), stun_urls=())["iceServers"] == []


def test_static_servers_come_with_their_own_credentials():
    turn = Turn(
        mode="static",
        urls=["turn:a.example:3478", "turns:a.example:443?transport=tcp"],
        username="ann",
        credential="secret",
        servers=[TurnServer(urls=["turn:b.example"], username="bob", credential="other")],
    )
    answer = configuration(turn)
    assert answer["turn"] == {"enabled": True, "status": "configured"}
    assert answer["iceServers"] == [
        {"urls": [GOOGLE]},
        {"urls": turn.urls, "username": "ann", "credential": "secret"},
        {"urls": ["turn:b.example"], "username": "bob", "credential": "other"},
    ]


def test_static_may_have_only_further_servers():
    server = TurnServer(urls=["turn:b.example"], username="bob", credential="other")
    turn = Turn(mode="static", servers=[server])
    assert configuration(turn, stun_urls=())["iceServers"] == [
        {"urls": ["turn:b.example"], "username": "bob", "credential": "other"}
    ]


def test_a_shared_secret_makes_credentials_that_run_out():
    turn = Turn(mode="shared_secret", urls=["turn:a.example"], secret="north", ttl=600)
    (server,) = configuration(turn, stun_urls=())["iceServers"]
    assert server["urls"] == ["turn:a.example"]
    assert server["username"] == "1800000600:demo"
    assert server["credential"] == timed_credentials("north", "demo", expires_unix=1_800_000_600)[1]


def test_the_password_is_the_hmac_sha1_of_the_user_name():
    # Worked out with: printf '1433895918:ann' | openssl dgst -sha1 -hmac logen -binary | base64
    assert timed_credentials("logen", "ann", expires_unix=1433895918) == (
        "1433895918:ann",
        "wHI6uzTeh2SV9gRA+iv3cuoogCA=",
    )


@pytest.mark.parametrize("mode", ["static", "shared_secret"])
def test_turn_counts_as_configured_in_both_modes(mode):
    assert turn_state(Turn(mode=mode)) == {"enabled": True, "status": "configured"}


# Against Debian's coturn, with the configuration that is shipped.


@pytest.fixture
def address():
    found = own_address()
    if found.startswith("127."):
        pytest.skip("the machine has no address but loopback, which coturn refuses to relay to")
    return found


@pytest.fixture
def coturn(tmp_path, address):
    with running_coturn(tmp_path, address, peer=address, secret="a shared secret") as server:
        yield server


class Client:
    """A browser's side of TURN, as aioice does it."""

    def __init__(self, coturn, *, expires_in, transport="udp"):
        username, password = timed_credentials(
            coturn.secret, "demo", expires_unix=int(time.time()) + expires_in
        )
        self._server = (coturn.address, coturn.port)
        self._tcp = transport == "tcp"
        protocol = TurnClientTcpProtocol if self._tcp else TurnClientUdpProtocol
        self._protocol = protocol(
            self._server, username, password, lifetime=600, channel_refresh_time=500
        )

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self._transport: asyncio.BaseTransport
        if self._tcp:
            self._transport, _ = await loop.create_connection(lambda: self._protocol, *self._server)
        else:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self._protocol, remote_addr=self._server
            )
        return self

    async def __aexit__(self, *_):
        if self._protocol.refresh_task:
            self._protocol.refresh_task.cancel()
        self._transport.close()
        await asyncio.sleep(0)

    async def allocate(self):
        """Return the relayed address."""
        return await self._protocol.connect()

    async def reach(self, peer):
        """Ask for a channel to a peer."""
        request = stun.Message(
            message_method=stun.Method.CHANNEL_BIND, message_class=stun.Class.REQUEST
        )
        request.attributes["CHANNEL-NUMBER"] = 0x4000
        request.attributes["XOR-PEER-ADDRESS"] = peer
        await self._protocol.request_with_retry(request)


@pytest.mark.coturn
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_coturn_relays_with_a_credential_that_is_good(coturn, transport):
    async with Client(coturn, expires_in=60, transport=transport) as client:
        relayed, port = await client.allocate()
        assert relayed == coturn.address
        assert port
        await client.reach((coturn.address, 20000))


@pytest.mark.coturn
async def test_coturn_refuses_a_credential_past_its_time(coturn):
    async with Client(coturn, expires_in=-5) as client:
        with pytest.raises(stun.TransactionFailed) as refusal:
            await client.allocate()
    assert refusal.value.response.error_code == 401


@pytest.mark.coturn
async def test_coturn_refuses_a_credential_of_another_secret(coturn):
    async with Client(coturn, expires_in=60) as client:
        client._protocol.password = timed_credentials("wrong", "demo", expires_unix=1)[1]
        with pytest.raises(stun.TransactionFailed) as refusal:
            await client.allocate()
    assert refusal.value.response.error_code == 401


@pytest.mark.coturn
@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "203.0.113.5"])
async def test_coturn_relays_to_the_bridge_and_to_nobody_else(coturn, peer):
    async with Client(coturn, expires_in=60) as client:
        await client.allocate()
        with pytest.raises(stun.TransactionFailed) as refusal:
            await client.reach((peer, 20000))
    assert refusal.value.response.error_code == 403
