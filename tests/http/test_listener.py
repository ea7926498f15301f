"""Accepting connections; tests/security/network/test_silent_readers.py does it with a whole bridge."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from bridge.cli.lan import on_lan
from bridge.errors import SettingsError
from bridge.http.connections import Connections
from bridge.http.listener import Listeners, open_cluster_listeners, open_listeners
from bridge.metrics.registry import Metrics
from bridge.settings.model import Data, Settings
from tests.support.machine import free_port
from tests.support.waiting import until


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    @override
    def connection_made(self, transport):
        self.transport = transport

    @override
    def data_received(self, data):
        self.transport.write(data)


@asynccontextmanager
async def accepting(limit, tls=None):
    counters = Metrics(version="0").http
    connections = Connections(
        limit=limit, set_open=counters.set_connections, count_cut=counters.connection_cut
    )
    listeners = Listeners(Echo, connections=connections, tls=tls)
    port = free_port()
    listeners.start(open_listeners("127.0.0.1", port))
    try:
        yield port, connections
    finally:
        await listeners.aclose()


@pytest.fixture
def certificate(tmp_path):
    http = on_lan(Settings(data=Data(dir=str(tmp_path))), "127.0.0.1").http
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(http.tls_cert, http.tls_key)
    return context


async def echoed(port, **more):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **more)
    writer.write(b"hello")
    try:
        async with asyncio.timeout(5):
            return await reader.read(5)
    finally:
        writer.close()


async def test_a_connection_is_accepted_and_looked_after():
    async with accepting(8) as (port, connections):
        assert await echoed(port) == b"hello"
        assert len(connections) == 1


async def test_no_more_than_the_limit_are_open():
    async with accepting(8) as (port, connections):
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
        await until(lambda: len(connections) == 8)
        assert await echoed(port) == b"hello"
        assert len(connections) <= 8
        for _, writer in clients:
            writer.close()


async def test_handshakes_that_never_end_give_way_to_those_that_do(certificate):
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    async with accepting(4, certificate) as (port, connections):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        assert await echoed(port, ssl=client) == b"hello"
        assert len(connections) == 1
        for _, writer in silent:
            writer.close()


def test_an_address_that_cannot_be_had_is_named_with_the_settings():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="BRIDGE_HTTP__PORT"):
            open_listeners("127.0.0.1", taken.getsockname()[1])


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone")
async def test_a_machine_that_has_gone_without_a_word_is_noticed():
    [listener] = open_cluster_listeners("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def test_without_a_cluster_nothing_listens_for_it():
    assert open_cluster_listeners("", 0) == []
