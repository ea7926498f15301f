"""Tests of what browsers are told about STUN and TURN, and of the credentials with a real coturn."""

import time

import pytest
from aioice import stun

from bridge.api.server.turn import NAMES_OF_TICKET, ice_configuration, timed_credentials
from bridge.settings.model import Rtc, Turn, TurnServer
from tests.support.inprocess import running, settings
from tests.support.machine import own_address
from tests.support.peers.turn_client import TurnClient
from tests.support.servers.coturn import running_coturn

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
    expiry, _, name = server["username"].partition(":")
    assert expiry == "1800000600"
    assert name.startswith("demo.")
    assert server["credential"] == timed_credentials("north", name, expires_unix=1_800_000_600)[1]


def test_each_answer_has_a_name_of_its_own():
    turn = Turn(mode="shared_secret", urls=["turn:a.example"], secret="north")
    names = {configuration(turn)["iceServers"][1]["username"] for _ in range(100)}
    assert len(names) == 100


def test_holders_of_a_ticket_share_a_few_names():
    turn = Turn(mode="shared_secret", urls=["turn:a.example"], secret="north")

    def names(holder):
        made = (
            ice_configuration([], turn, user="demo", now_unix=NOW, holder=holder)
            for _ in range(400)
        )
        return {one["iceServers"][0]["username"] for one in made}

    assert len(names("a call near ann")) == NAMES_OF_TICKET
    assert not names("a call near ann") & names("a call near bob")


async def test_a_browser_that_asks_again_and_again_gets_no_more_names():
    turn = Turn(mode="shared_secret", urls=["turn:a.example"], secret="north")
    async with running(settings(turn=turn)) as browser:
        dialled = await (await browser.post("/call/dial", json={"phone": "15550100003"})).json()
        call_id = dialled["data"]["callId"]
        made = await (await browser.post(f"/call/{call_id}/ticket", json={})).json()
        headers = {"Authorization": f"Bearer {made['data']['ticket']}"}
        names = set()
        for _ in range(2 * NAMES_OF_TICKET):
            answer = await browser.get("/call/webrtc/config", headers=headers)
            [server] = [one for one in (await answer.json())["iceServers"] if "username" in one]
            names.add(server["username"].partition(":")[2])
    assert len(names) <= NAMES_OF_TICKET


def test_the_password_is_the_hmac_sha1_of_the_user_name():
    # Worked out with: printf '1433895918:ann' | openssl dgst -sha1 -hmac logen -binary | base64
    assert timed_credentials("logen", "ann", expires_unix=1433895918) == (
        "1433895918:ann",
        "wHI6uzTeh2SV9gRA+iv3cuoogCA=",
    )


@pytest.mark.parametrize("mode", ["static", "shared_secret"])
def test_turn_counts_as_configured_in_both_modes(mode):
    shown = ice_configuration([], Turn(mode=mode), user="ann", now_unix=0.0)["turn"]
    assert shown == {"enabled": True, "status": "configured"}


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


def client(coturn, *, expires_in, transport="udp"):
    username, password = timed_credentials(
        coturn.secret, "demo", expires_unix=int(time.time()) + expires_in
    )
    return TurnClient((coturn.address, coturn.port), username, password, transport=transport)


@pytest.mark.coturn
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_coturn_relays_with_a_credential_that_is_good(coturn, transport):
    async with client(coturn, expires_in=60, transport=transport) as one:
        relayed, port = await one.allocate()
        assert relayed == coturn.address
        assert port
        await one.reach((coturn.address, 20000))


@pytest.mark.coturn
async def test_coturn_refuses_a_credential_past_its_time(coturn):
    async with client(coturn, expires_in=-5) as one:
        with pytest.raises(stun.TransactionFailed) as refusal:
            await one.allocate()
    assert refusal.value.response.error_code == 401


@pytest.mark.coturn
async def test_coturn_refuses_a_credential_of_another_secret(coturn):
    async with client(coturn, expires_in=60) as one:
        one.protocol.password = timed_credentials("wrong", "demo", expires_unix=1)[1]
        with pytest.raises(stun.TransactionFailed) as refusal:
            await one.allocate()
    assert refusal.value.response.error_code == 401


@pytest.mark.coturn
@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "203.0.113.5"])
async def test_coturn_relays_to_the_bridge_and_to_nobody_else(coturn, peer):
    async with client(coturn, expires_in=60) as one:
        await one.allocate()
        with pytest.raises(stun.TransactionFailed) as refusal:
            await one.reach((peer, 20000))
    assert refusal.value.response.error_code == 403
