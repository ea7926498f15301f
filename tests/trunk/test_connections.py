"""Limits of connections, and their keep-alives."""

import asyncio

import pytest

from bridge.http.connections import Connections
from bridge.sip.boundary import Target
from bridge.trunk.connections import (
    IDLE_SECONDS,
    MAX_OPENING,
    MAX_PER_ADDRESS,
    PING_SECONDS,
    SWEEP_SECONDS,
    UNAUTHENTICATED_SECONDS,
    Destination,
    SipConnections,
)
from tests.support.sip.sip_peer import OPTIONS, stream_peer
from tests.support.waiting import until


class Held:
    """Connections, what they report, and a server on loopback that accepts for them."""

    def __init__(self, known=lambda _: False):
        self.messages: list[bytes] = []
        self.failed: list[Target] = []
        self.dropped: list[str] = []
        self.connections = SipConnections(
            received=lambda data, _source: self.messages.append(data),
            failed=self.failed.append,
            count_drop=self.dropped.append,
            client_tls=None,
            accepted=Connections(limit=100, set_open=lambda _: None, count_cut=lambda _: None),
            known=known,
        )

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: self.connections.accept(tls=False), "127.0.0.1", 0
        )
        self.port = self.server.sockets[0].getsockname()[1]
        self.task = asyncio.create_task(self.connections.run())
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def client(self):
        return await asyncio.open_connection("127.0.0.1", self.port)


async def test_a_ping_is_answered_once_and_is_no_message():
    async with Held() as held:
        reader, writer = await held.client()
        writer.write(b"\r\n\r\n" * 5 + OPTIONS)
        assert await reader.read(100) == b"\r\n"
        await until(lambda: held.messages == [OPTIONS])
        writer.close()


@pytest.mark.parametrize(
    "nonsense", [b"x" * 70_000, b"OPTIONS a SIP/2.0\r\n\r\n", OPTIONS.replace(b": 0", b": 999999")]
)
async def test_a_stream_that_cannot_be_split_is_closed(nonsense):
    async with Held() as held:
        reader, writer = await held.client()
        writer.write(nonsense)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        assert held.dropped == ["malformed"]
        writer.close()


@pytest.mark.parametrize(("known", "room"), [(False, MAX_PER_ADDRESS), (True, 100)])
async def test_an_address_has_only_so_many_connections_unless_it_is_a_trunk(known, room):
    async with Held(known=lambda _: known) as held:
        clients = [await held.client() for _ in range(MAX_PER_ADDRESS + 3)]
        await until(lambda: len(held.connections) + len(held.dropped) == len(clients))
        assert len(held.connections) == min(room, len(clients))
        for _, writer in clients:
            writer.close()
        await until(lambda: not len(held.connections))


async def test_a_peer_that_does_not_read_is_cut_off():
    async with Held() as held, stream_peer() as peer:
        destination = Destination("tcp", "127.0.0.1", peer.port, "", "")
        stream = await held.connections.reach(destination)
        await until(lambda: peer.writers)
        peer.writers[0].transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(10_000):
            if not stream.send(bytes(4096)):
                break
        await until(lambda: held.failed)
        assert held.dropped == ["slow_reader"]


@pytest.mark.virtual_time
async def test_a_silent_connection_of_ours_is_kept_alive_and_in_the_end_closed():
    async with Held() as held, stream_peer() as peer:
        await held.connections.reach(Destination("tcp", "127.0.0.1", peer.port, "", ""))
        await asyncio.sleep(PING_SECONDS + 2 * SWEEP_SECONDS)
        assert peer.got.startswith(b"\r\n\r\n")
        await asyncio.sleep(IDLE_SECONDS)
        assert len(held.connections) == 0


@pytest.mark.virtual_time
async def test_who_connects_and_says_nothing_is_closed():
    async with Held() as held:
        silent, speaking = await held.client(), await held.client()
        speaking[1].write(OPTIONS)
        await asyncio.sleep(UNAUTHENTICATED_SECONDS + 2 * SWEEP_SECONDS)
        assert held.dropped == ["silent"]
        assert len(held.connections) == 1
        silent[1].close()
        speaking[1].close()


async def test_only_so_many_messages_wait_for_connections():
    async with Held() as held:
        for number in range(MAX_OPENING + 2):
            held.connections.send(OPTIONS, Target("tcp", "127.0.0.1", 1, number + 100))
        assert held.dropped == ["no_room"] * 2
        await until(lambda: len(held.failed) == MAX_OPENING + 2)


async def test_answers_to_strangers_leave_trunks_their_share_of_what_waits_for_connections():
    async with Held(known=lambda host: host == "127.0.0.2") as held:
        for host in ("127.0.0.1",) * (MAX_OPENING + 7) + ("127.0.0.2",) * 2:
            held.connections.send(OPTIONS, Target("tcp", host, 1, 100))
        assert held.dropped == ["no_room"] * 7
        await until(lambda: len(held.failed) == MAX_OPENING + 9)
        assert sum(target.host == "127.0.0.2" for target in held.failed) == 2


async def test_only_so_many_peers_are_remembered(monkeypatch):
    monkeypatch.setattr("bridge.trunk.connections.MAX_DESTINATIONS", 3)
    async with Held() as held, stream_peer() as peer:
        kept = Destination("tcp", "127.0.0.1", peer.port, "", "")
        stream = await held.connections.reach(kept)
        for number in range(5):
            with pytest.raises(OSError, match=r"(?i)refused|denied"):
                await held.connections.reach(Destination("tcp", "127.0.0.1", 1, "", str(number)))
        assert len(held.connections._destinations) == 3
        assert await held.connections.reach(kept) is stream


async def test_what_another_process_sent_over_its_connection_goes_to_the_same_address_by_one_of_ours():
    async with stream_peer() as peer, Held() as held:
        ours = await held.connections.reach(
            Destination("tcp", "127.0.0.1", peer.port, "trunk.test", "office")
        )
        held.connections.send(OPTIONS, Target("tcp", "127.0.0.1", peer.port, ours.number - 1))
        await until(lambda: bytes(peer.got) == OPTIONS)
        assert (len(held.connections), len(peer.writers)) == (1, 1)


async def test_no_connection_has_the_number_of_one_of_another_process():
    async with Held() as held, Held() as other:
        numbers: set[int] = set()
        for one in (held, other):
            _, writer = await one.client()
            await until(lambda: len(one.connections) == 1)  # noqa: B023
            writer.close()
            numbers |= one.connections._streams.keys()
        assert len(numbers) == 2
