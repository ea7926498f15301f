"""The example of a mobile app's server: a call at a bridge wakes phones, of which one answers."""

import base64
import importlib
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from bridge.settings.model import Net
from bridge.wire.signature import timestamped
from tests.support.inprocess import running, settings
from tests.support.machine import free_port
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

EXAMPLE = Path(__file__).parents[2] / "examples" / "push"
MODULES = ("server", "calls", "bridge_client", "senders", "fcm", "apns", "pushes", "signed_token")
ALICE = {"authorization": "Bearer alice-login"}
FCM_URL = "https://fcm.googleapis.com/v1/projects/the-app/messages:send"
TOKEN_URL = "https://oauth2.googleapis.com/token"
APNS_URL = "https://api.push.apple.com/3/device/"


@pytest.fixture(scope="module")
def example():
    """The modules of the example, as its own programs import them."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        loaded = {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(EXAMPLE))
    yield type("Example", (), loaded)
    for name in MODULES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def keys():
    return {
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "p256": ec.generate_private_key(ec.SECP256R1()),
    }


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass
class Vendors:
    """Google and Apple as far as the example asks them; notes what it is sent."""

    sent: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By push token: status and body."""

    async def send(self, url, headers, body):
        self.sent.append((url, headers, body))
        if url == TOKEN_URL:
            return 200, b'{"access_token":"ya29.access","expires_in":3599}'
        named = url.rpartition("/")[2] if url.startswith(APNS_URL) else None
        return self.answers.get(named or json.loads(body)["message"]["token"], (200, b"{}"))

    def pushes(self):
        return [
            (url, headers, json.loads(body)) for url, headers, body in self.sent if url != TOKEN_URL
        ]


@pytest.fixture
def vendors():
    return Vendors()


@pytest.fixture
def push(example, vendors, keys, tmp_path):
    account = {
        "project_id": "the-app",
        "client_email": "push@the-app.iam.gserviceaccount.com",
        "private_key": pem(keys["rsa"]),
        "token_uri": TOKEN_URL,
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    (tmp_path / "key.p8").write_text(pem(keys["p256"]))
    setting = {
        "FCM_ACCOUNT_FILE": str(tmp_path / "account.json"),
        "APNS_KEY_FILE": str(tmp_path / "key.p8"),
        "APNS_KEY_ID": "ABC1234567",
        "APNS_TEAM_ID": "DEF1234567",
        "APNS_BUNDLE_ID": "com.example.app",
    }
    return example.senders.pushing(setting, vendors.send)


def token_of(text, key):
    """Check a JSON Web Token by its public key; return its header and claims."""
    *signed, signature = text.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    message = ".".join(signed).encode()
    if isinstance(key, rsa.RSAPrivateKey):
        key.public_key().verify(raw, message, padding.PKCS1v15(), SHA256())
    else:
        numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        der = utils.encode_dss_signature(*numbers)
        key.public_key().verify(der, message, ec.ECDSA(SHA256()))
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed]


# One push


async def test_a_push_to_android_is_a_data_message_of_high_priority(example, push, vendors, keys):
    assert await push(example.pushes.Device("android", "registration"), {"callId": "C1"})
    (url, headers, form), (pushed_to, pushed_with, body) = vendors.sent
    assert (url, headers["content-type"]) == (TOKEN_URL, "application/x-www-form-urlencoded")
    asked = {name: value for name, [value] in parse_qs(form.decode()).items()}
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    header, claims = token_of(asked["assertion"], keys["rsa"])
    assert header == {"alg": "RS256", "typ": "JWT"}
    assert claims["iss"] == "push@the-app.iam.gserviceaccount.com"
    assert claims["aud"] == TOKEN_URL
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
    assert claims["exp"] - claims["iat"] == 3600
    assert pushed_to == FCM_URL
    assert pushed_with["authorization"] == "Bearer ya29.access"
    assert json.loads(body) == {
        "message": {
            "token": "registration",
            "data": {"callId": "C1"},
            "android": {"priority": "HIGH", "ttl": "30s"},
        }
    }


async def test_a_push_to_ios_is_a_voip_push_that_is_delivered_now_or_never(
    example, push, vendors, keys
):
    assert await push(example.pushes.Device("ios", "aabbcc"), {"callId": "C1"})
    [(url, headers, body)] = vendors.pushes()
    assert url == APNS_URL + "aabbcc"
    scheme, token = headers.pop("authorization").split()
    assert scheme == "bearer"
    header, claims = token_of(token, keys["p256"])
    assert header == {"alg": "ES256", "typ": "JWT", "kid": "ABC1234567"}
    assert claims.keys() == {"iss", "iat"}
    assert claims["iss"] == "DEF1234567"
    assert headers == {
        "apns-push-type": "voip",
        "apns-topic": "com.example.app.voip",
        "apns-priority": "10",
        "apns-expiration": "0",
    }
    assert body == {"aps": {}, "callId": "C1"}


async def test_access_tokens_are_kept(example, push, vendors):
    for _ in range(2):
        await push(example.pushes.Device("android", "registration"), {})
        await push(example.pushes.Device("ios", "aabbcc"), {})
    assert [url for url, *_ in vendors.sent].count(TOKEN_URL) == 1
    bearers = {headers["authorization"] for url, headers, _ in vendors.pushes()}
    assert len(bearers) == 2


@pytest.mark.parametrize(
    ("platform", "answer"),
    [
        ("android", (404, b'{"error":{"status":"NOT_FOUND"}}')),
        ("ios", (410, b'{"reason":"Unregistered"}')),
        ("ios", (400, b'{"reason":"BadDeviceToken"}')),
    ],
)
async def test_an_app_that_was_removed_is_told_apart_from_an_error(
    example, push, vendors, platform, answer
):
    device = example.pushes.Device(platform, "old")
    vendors.answers["old"] = answer
    assert await push(device, {}) is False
    vendors.answers["old"] = (500, b"")
    with pytest.raises(RuntimeError, match="500"):
        await push(device, {})


# The server


@asynccontextmanager
async def serving(example, push, bridge):
    """Run the app's server, with a webhook at the bridge."""
    port = free_port()
    wanted = {"url": f"http://127.0.0.1:{port}/bridge/events", "events": ["call.*"]}
    secret = (await bridge.data("/webhook", wanted))["secret"]
    client = example.bridge_client.Bridge(str(bridge.http.make_url("")).rstrip("/"), "demo")
    logins = example.calls.Logins({"alice-login": "alice"})
    app = example.server.make_app(client, secret, push, logins)
    async with TestClient(TestServer(app, port=port), headers=ALICE) as server:
        yield server, secret


@pytest.fixture
async def bridge():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


@pytest.fixture
async def app_server(example, push, bridge):
    """The app's server with two phones, and the webhook's secret."""
    async with serving(example, push, bridge) as (started, secret):
        for device in (
            {"platform": "android", "token": "pixel"},
            {"platform": "ios", "token": "aa"},
        ):
            assert (await started.post("/devices", json=device)).status == 204
        yield started, secret


@pytest.fixture
def server(app_server):
    return app_server[0]


async def called(bridge, vendors, pushes):
    """Have a contact call, and wait for the pushes; return the call's id."""
    incoming = await bridge.post("/simulator/incoming", {"from": "15550100001"})
    call = (await incoming.json())["data"]["callId"]
    await until(lambda: len(vendors.pushes()) == pushes)
    return call


async def test_a_call_rings_all_phones_and_the_first_that_answers_has_it(server, bridge, vendors):
    call = await called(bridge, vendors, pushes=2)
    data = {"callId": call, "from": "+15550100001"}
    bodies = {url: body for url, _, body in vendors.pushes()}
    assert bodies[FCM_URL]["message"]["data"] == data
    assert bodies[APNS_URL + "aa"] == {"aps": {}, **data}

    joined = await (await server.post(f"/calls/{call}/ticket")).json()
    assert joined["bridge"] == str(bridge.http.make_url("")).rstrip("/")
    async with StockPeer() as phone:
        await phone.call(bridge.exchange(call, key=joined["ticket"]))
        assert await bridge.state(call) == "ringing"
        assert (await server.post(f"/calls/{call}/answer")).status == 204
        await bridge.until_state(call, "active")
    assert (await server.post(f"/calls/{call}/answer")).status == 409, "of the other phone"


async def test_a_call_that_is_declined_ends(server, bridge, vendors):
    call = await called(bridge, vendors, pushes=2)
    assert (await server.post(f"/calls/{call}/hangup")).status == 204
    await bridge.until_state(call, "gone")
    assert (await server.post(f"/calls/{call}/ticket")).status == 404


async def test_an_outgoing_call_has_a_ticket_and_wakes_nobody(server, bridge, vendors):
    dialled = await (await server.post("/calls", json={"phone": "15550100001"})).json()
    token = {"token": dialled["ticket"]}
    assert (await bridge.http.get("/call/webrtc/config", headers=token)).status == 200
    await bridge.until_state(dialled["callId"], "active")
    assert vendors.pushes() == []


async def test_a_phone_without_the_app_is_not_woken_again_and_the_others_are(
    server, bridge, vendors
):
    vendors.answers["aa"] = (410, b"")
    await called(bridge, vendors, pushes=2)
    await called(bridge, vendors, pushes=3)


async def test_a_phone_that_cannot_be_woken_does_not_keep_the_others_asleep(
    server, bridge, vendors
):
    vendors.answers["pixel"] = (500, b"")
    await called(bridge, vendors, pushes=2)
    await called(bridge, vendors, pushes=4)


async def test_strangers_can_neither_wake_phones_nor_join_calls(server, vendors):
    routes = ("/devices", "/calls", f"/calls/{'A' * 32}/ticket", f"/calls/{'A' * 32}/answer")
    stranger = {"authorization": "Bearer guess"}
    answered = [(await server.post(route, json={}, headers=stranger)).status for route in routes]
    assert answered == [401] * 4
    event = json.dumps(ringing(datetime.now(UTC))).encode()
    for signature in ("", "t=1,v1=00", "t=now,v1=é", signed("whsec_other", event)):
        sent = await server.post("/bridge/events", data=event, headers=signature_of(signature))
        assert sent.status == 403
    assert vendors.sent == []


@pytest.mark.parametrize(("seconds", "pushes"), [(5, 2), (60, 0)])
async def test_a_webhook_that_was_delayed_for_long_wakes_nobody(
    app_server, vendors, seconds, pushes
):
    server, secret = app_server
    event = json.dumps(ringing(datetime.now(UTC) - timedelta(seconds=seconds))).encode()
    headers = signature_of(signed(secret, event))
    assert (await server.post("/bridge/events", data=event, headers=headers)).status == 200
    assert len(vendors.pushes()) == pushes


def ringing(at):
    call = {"callId": "A" * 32, "direction": "inbound", "from": "15550100001"}
    return {"type": "call.ringing", "createdAt": at.isoformat(), "callId": "A" * 32, "call": call}


def signed(secret, body):
    return timestamped(secret, body, now=datetime.now(UTC).timestamp())


def signature_of(value):
    return {"bridge-signature": value}
