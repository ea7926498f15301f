"""A packet through a TURN server, against Debian's coturn."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from bridge.api.server.turn import timed_credentials
from bridge.rtc import turn
from bridge.rtc.turn import RelayStep, TurnAddress, send_through_relay, turn_address
from tests.support.machine import free_port, own_address
from tests.support.servers.coturn import running_coturn

SECRET = "a shared secret"
SOON = int(datetime.now(UTC).timestamp()) + 3600
GOOD = timed_credentials(SECRET, "doctor", expires_unix=SOON)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("turn:t.example", TurnAddress("t.example", 3478, "udp", tls=False)),
        ("turn:t.example:80?transport=tcp", TurnAddress("t.example", 80, "tcp", tls=False)),
        ("turns:t.example", TurnAddress("t.example", 5349, "tcp", tls=True)),
        ("turn:[2001:db8::1]:9", TurnAddress("2001:db8::1", 9, "udp", tls=False)),
    ],
)
def test_a_url_says_where_and_how(url, expected):
    assert turn_address(url) == expected


def media(address: str = "127.0.0.1") -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.bind((address, 0))
    return opened


@pytest.mark.virtual_time
async def test_a_server_that_is_not_there_is_told():
    for transport in ("udp", "tcp"):
        server = TurnAddress("127.0.0.1", free_port(), transport, tls=False)
        outcome = await send_through_relay(server, GOOD, media(), ("127.0.0.1", 9))
        assert outcome.step is RelayStep.CONNECT


async def test_a_server_without_tls_is_told():
    async def speak(_, writer):
        writer.write(b"not TLS at all")
        writer.close()

    listener = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        server = TurnAddress("127.0.0.1", port, "tcp", tls=True)
        outcome = await send_through_relay(server, GOOD, media(), ("127.0.0.1", 9))
    assert outcome.step is RelayStep.CERTIFICATE


@pytest.fixture(scope="module")
def address():
    found = own_address()
    if found.startswith("127."):
        pytest.skip("the machine has no address but loopback, which coturn refuses to relay to")
    return found


@pytest.fixture(scope="module")
def coturn(tmp_path_factory, address):
    folder = tmp_path_factory.mktemp("coturn")
    with running_coturn(folder, address, peer=address, secret=SECRET) as server:
        yield server


async def relay(coturn, *, credentials=GOOD, transport="udp", peer=None, silent=False):
    server = TurnAddress(coturn.address, coturn.port, transport, tls=False)
    sock = media(coturn.address)
    to = peer or sock.getsockname()
    if silent:
        to = (coturn.address, free_port(coturn.address))
    return await send_through_relay(server, credentials, sock, to)


@pytest.mark.coturn
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_packet_goes_there_and_back(coturn, transport):
    outcome = await relay(coturn, transport=transport)
    assert (outcome.step, outcome.relayed) == (RelayStep.DONE, coturn.address)


@pytest.mark.coturn
async def test_credentials_of_another_secret_are_refused(coturn):
    wrong = timed_credentials("wrong", "doctor", expires_unix=SOON)
    outcome = await relay(coturn, credentials=wrong)
    assert (outcome.step, outcome.code) == (RelayStep.ALLOCATE, 401)


@pytest.mark.coturn
async def test_a_peer_that_the_server_does_not_allow_is_refused(coturn):
    outcome = await relay(coturn, peer=("10.0.0.1", 9))
    assert (outcome.step, outcome.code) == (RelayStep.PERMISSION, 403)


@pytest.fixture
def few_tries(monkeypatch):
    monkeypatch.setattr(turn, "TRIES", (0.1, 0.1))


@pytest.mark.coturn
@pytest.mark.usefixtures("few_tries")
async def test_a_packet_that_does_not_arrive_is_told(coturn):
    assert (await relay(coturn, silent=True)).step is RelayStep.THERE


@pytest.mark.coturn
@pytest.mark.usefixtures("few_tries")
async def test_an_answer_that_does_not_come_back_is_told(coturn, monkeypatch):
    def swallow(echo, data, addr):
        echo.heard = True

    monkeypatch.setattr("bridge.rtc.turn._Echo.datagram_received", swallow)
    assert (await relay(coturn)).step is RelayStep.BACK
