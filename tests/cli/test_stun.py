"""Asking a STUN server where it sees us."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from aioice import stun as independent
from typing_extensions import override

from bridge.cli.stun import ask_from_free_port, read_response, reflexive_address, server_of
from bridge.errors import SettingsError, SetupError

LOCAL = ("127.0.0.1", 0)
TRANSACTION = b"0123456789ab"


class Server(asyncio.DatagramProtocol):
    """Answers as an independent implementation does, after losing some requests."""

    def __init__(self, loses: int) -> None:
        self.loses = loses

    @override
    def connection_made(self, transport):
        self.transport = transport

    @override
    def datagram_received(self, data, addr):
        self.loses -= 1
        if self.loses < 0:
            self.transport.sendto(b"nonsense", addr)
            request = independent.parse_message(data)
            self.transport.sendto(answer(request.transaction_id, ("203.0.113.7", addr[1])), addr)


def answer(transaction: bytes, address: tuple[str, int]) -> bytes:
    message = independent.Message(
        message_method=independent.Method.BINDING,
        message_class=independent.Class.RESPONSE,
        transaction_id=transaction,
    )
    message.attributes["SOFTWARE"] = "odd"
    message.attributes["XOR-MAPPED-ADDRESS"] = address
    return bytes(message)


@asynccontextmanager
async def server(loses: int = 0):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Server(loses), local_addr=LOCAL)
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


@pytest.mark.parametrize("loses", [0, 1])
async def test_the_address_that_a_server_sees_is_found_though_a_packet_is_lost(loses):
    async with server(loses) as address:
        found = await reflexive_address(address, local=LOCAL, tries=(0.1, 5.0))
    assert found.address == "203.0.113.7"
    assert found.port > 0


async def test_a_server_that_does_not_answer_is_named():
    async with server(loses=9) as address:
        with pytest.raises(SetupError, match="no answer came over UDP"):
            await reflexive_address(address, local=LOCAL, tries=(0.01, 0.01))


async def test_the_first_free_port_is_asked_from():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as call:
        call.bind(LOCAL)
        taken = call.getsockname()[1]
        async with server() as there:
            port, seen = await ask_from_free_port(there, address="127.0.0.1", ports=[taken, 0])
            assert (port, seen.address) == (0, "203.0.113.7")
            with pytest.raises(SettingsError, match="no port"):
                await ask_from_free_port(there, address="127.0.0.1", ports=[taken])


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
def test_answers_hold_either_kind_of_address(address):
    assert read_response(answer(TRANSACTION, (address, 9)), TRANSACTION) == (address, 9)


def test_what_is_no_answer_is_none():
    good = answer(TRANSACTION, ("203.0.113.7", 9))
    assert read_response(good, b"another-one!") is None
    for length in range(len(good)):
        assert read_response(good[:length], TRANSACTION) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("stun:stun.example.com:19302", ("stun.example.com", 19302)),
        ("stun:stun.example.com", ("stun.example.com", 3478)),
        ("stun:192.0.2.1:3478?transport=udp", ("192.0.2.1", 3478)),
        ("stun:[2001:db8::1]:3478", ("2001:db8::1", 3478)),
        ("stun:[2001:db8::1]", ("2001:db8::1", 3478)),
    ],
)
def test_a_url_names_host_and_port(url, expected):
    assert server_of(url) == expected
