"""The sockets of SIP, on loopback."""

import asyncio
import os
import ssl
from dataclasses import replace

import pytest

from bridge.errors import SettingsError
from bridge.sip.boundary import Local, Target
from bridge.trunk.rate import SipRate
from bridge.trunk.sockets import Listen, SipSockets, Tls, source_address
from bridge.trunk.tls import client_context, server_context
from tests.support.machine import free_port
from tests.support.servers.authority import Authority
from tests.support.sip.sip_peer import OPTIONS, running, stream_peer
from tests.support.waiting import until


class Noted:
    """Sockets, and what they report."""

    def __init__(self, listen=(), **more):
        self.messages: list[tuple[bytes, Target]] = []
        self.failed: list[Target] = []
        self.dropped: list[str] = []
        self.sockets = SipSockets(listen, count_drop=self.dropped.append, **more)
        self.sockets.on_message = lambda data, source: self.messages.append((data, source))
        self.sockets.on_failure = self.failed.append


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def server_tls(authority, host="127.0.0.1"):
    issued = authority.issue(host=host)
    return server_context(cert=issued.tls_cert, key=issued.tls_key)


async def test_a_message_comes_in_by_udp_and_the_answer_goes_back_the_same_way():
    listen = Listen("udp", "127.0.0.1", free_port())
    one, other = Noted([listen]), Noted()
    async with running(one.sockets), running(other.sockets):
        target = Target("udp", "127.0.0.1", listen.port)
        other.sockets.send(OPTIONS, await other.sockets.connect(target, owner="a", name="x"))
        await until(lambda: one.messages)
        data, source = one.messages[0]
        assert data == OPTIONS
        one.sockets.send(b"SIP/2.0 200 OK", source)
        await until(lambda: other.messages)
        assert replace(other.messages[0][1], connection=0) == target


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_what_is_over_the_limit_of_its_address_reaches_nobody(transport):
    listen = Listen(transport, "127.0.0.1", free_port())
    one = Noted([listen], rate=SipRate(1.0, known=lambda _: False))
    async with running(one.sockets):
        other = Noted()
        async with running(other.sockets):
            target = Target(transport, "127.0.0.1", listen.port)
            target = await other.sockets.connect(target, owner="a", name="x")
            for _ in range(10):
                other.sockets.send(OPTIONS, target)
            await until(lambda: len(one.dropped) >= 8)
    assert len(one.messages) == 2
    assert one.dropped == ["rate"] * 8


async def test_a_trunk_has_a_udp_socket_of_its_own_where_nothing_listens():
    noted = Noted()
    async with running(noted.sockets):
        target = Target("udp", "127.0.0.1", 5060)
        mine = await noted.sockets.connect(target, owner="a", name="x")
        again = await noted.sockets.connect(target, owner="a", name="x")
        other = await noted.sockets.connect(target, owner="b", name="x")
        assert mine == again != other
        assert noted.sockets.local(mine).host == "127.0.0.1"
        assert noted.sockets.local(mine).port != noted.sockets.local(other).port


async def test_a_listener_serves_every_trunk():
    listen = Listen("udp", "127.0.0.1", free_port())
    noted = Noted([listen])
    async with running(noted.sockets):
        target = Target("udp", "127.0.0.1", 5060)
        mine = await noted.sockets.connect(target, owner="a", name="x")
        assert mine == await noted.sockets.connect(target, owner="b", name="x")
        assert noted.sockets.local(mine) == Local("127.0.0.1", listen.port)


async def test_the_public_address_is_named_where_there_is_one():
    listen = [Listen("udp", "0.0.0.0", free_port()), Listen("tcp", "127.0.0.1", free_port())]
    noted = Noted(listen, external="203.0.113.9")
    async with running(noted.sockets), stream_peer() as peer:
        for each in listen:
            target = Target(each.transport, "127.0.0.1", peer.port)
            ready = await noted.sockets.connect(target, owner="a", name="x")
            assert noted.sockets.local(ready) == Local("203.0.113.9", each.port)


async def test_a_wildcard_is_named_as_the_address_that_reaches_the_peer():
    listen = Listen("udp", "0.0.0.0", free_port())
    noted = Noted([listen])
    async with running(noted.sockets):
        target = await noted.sockets.connect(Target("udp", "127.0.0.1", 5060), owner="a", name="x")
        assert noted.sockets.local(target) == Local("127.0.0.1", listen.port)
    assert source_address("127.0.0.1") == "127.0.0.1"
    assert source_address("::1") == "::1"


async def test_a_connection_is_opened_once_and_used_both_ways():
    noted = Noted()
    async with running(noted.sockets), stream_peer() as peer:
        target = Target("tcp", "127.0.0.1", peer.port)
        one, other = await asyncio.gather(
            *(noted.sockets.connect(target, owner="a", name="x") for _ in range(2))
        )
        assert one == other
        noted.sockets.send(OPTIONS, one)
        await until(lambda: bytes(peer.got) == OPTIONS)
        assert len(peer.writers) == 1
        peer.writers[0].write(OPTIONS[:40])
        await asyncio.sleep(0.01)
        peer.writers[0].write(OPTIONS[40:] + OPTIONS)
        await until(lambda: len(noted.messages) == 2)
        assert noted.messages[0] == (OPTIONS, one)


async def test_a_lost_connection_is_reported_and_opened_again_for_the_next_message():
    noted = Noted()
    async with running(noted.sockets), stream_peer() as peer:
        target = Target("tcp", "127.0.0.1", peer.port)
        ready = await noted.sockets.connect(target, owner="a", name="x")
        await until(lambda: peer.writers)
        peer.writers[0].transport.abort()
        await until(lambda: noted.failed == [ready])
        noted.sockets.send(OPTIONS, ready)
        await until(lambda: bytes(peer.got) == OPTIONS)
        assert len(peer.writers) == 2
        peer.writers[1].write(OPTIONS)
        await until(lambda: noted.messages)
        assert noted.messages[0][1] == ready


async def test_a_target_without_a_connection_gets_one():
    noted = Noted()
    async with running(noted.sockets), stream_peer() as peer:
        noted.sockets.send(OPTIONS, Target("tcp", "127.0.0.1", peer.port))
        await until(lambda: bytes(peer.got) == OPTIONS)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_who_refuses_connections_is_reported(transport):
    noted = Noted()
    async with running(noted.sockets):
        target = Target(transport, "127.0.0.1", free_port())
        with pytest.raises(OSError, match=r"(?i)refused|denied"):
            await noted.sockets.connect(target, owner="a", name="x")
        noted.sockets.send(OPTIONS, target)
        await until(lambda: noted.failed == [target])


async def test_who_refuses_datagrams_is_reported():
    noted = Noted()
    async with running(noted.sockets):
        target = await noted.sockets.connect(
            Target("udp", "127.0.0.1", free_port()), owner="a", name="x"
        )
        noted.sockets.send(OPTIONS, target)
        await until(lambda: noted.failed)
        assert set(noted.failed) == {target}


async def test_messages_come_in_by_tcp_and_tls(authority):
    listen = [Listen("tcp", "127.0.0.1", free_port()), Listen("tls", "127.0.0.1", free_port())]
    one = Noted(listen, tls=Tls(server=server_tls(authority)))
    other = Noted(tls=Tls(client=client_context(ca=str(authority.path))))
    async with running(one.sockets), running(other.sockets):
        for each in listen:
            target = Target(each.transport, "127.0.0.1", each.port)
            ready = await other.sockets.connect(target, owner="a", name="127.0.0.1")
            other.sockets.send(OPTIONS, ready)
            await until(lambda: one.messages)
            source = one.messages.pop()[1]
            assert source.transport == each.transport
            one.sockets.send(OPTIONS, source)
            await until(lambda: other.messages)
            assert other.messages.pop() == (OPTIONS, ready)
            assert one.sockets.local(source) == Local("127.0.0.1", each.port)


@pytest.mark.parametrize(
    ("trusts", "name", "reason"),
    [(False, "127.0.0.1", "unable to get local issuer"), (True, "trunk.test", "mismatch")],
)
async def test_a_certificate_of_an_unknown_authority_or_for_another_name_is_refused(
    authority, trusts, name, reason
):
    noted = Noted(tls=Tls(client=client_context(ca=str(authority.path)) if trusts else None))
    async with running(noted.sockets), stream_peer(server_tls(authority)) as peer:
        with pytest.raises(OSError, match=reason):
            await noted.sockets.connect(Target("tls", "127.0.0.1", peer.port), owner="a", name=name)
        assert not peer.got


async def test_a_trunk_may_ask_for_our_certificate(authority):
    issued = authority.issue(host="127.0.0.1")
    demanding = server_context(cert=issued.tls_cert, key=issued.tls_key)
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(authority.path)
    ours = client_context(ca=str(authority.path), cert=issued.tls_cert, key=issued.tls_key)
    noted = Noted(tls=Tls(client=ours))
    async with running(noted.sockets), stream_peer(demanding) as peer:
        target = Target("tls", "127.0.0.1", peer.port)
        noted.sockets.send(
            OPTIONS, await noted.sockets.connect(target, owner="a", name="127.0.0.1")
        )
        await until(lambda: bytes(peer.got) == OPTIONS)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_address_that_is_taken_stops_the_start(transport):
    listen = Listen(transport, "127.0.0.1", free_port())
    one, other = Noted([listen]), Noted([listen])
    async with running(one.sockets):
        with pytest.raises(SettingsError, match=r"sip\.listen|sip.listen"):
            async with running(other.sockets):
                pass


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_nothing_is_opened_after_the_end(transport):
    noted = Noted()
    async with stream_peer() as peer:
        target = Target(transport, "127.0.0.1", peer.port)
        async with running(noted.sockets):
            ready = await noted.sockets.connect(target, owner="a", name="x")
        before = len(os.listdir("/proc/self/fd"))
        noted.sockets.send(OPTIONS, ready)
        noted.sockets.send(OPTIONS, target)
        with pytest.raises(OSError, match="shutting down"):
            await noted.sockets.connect(target, owner="b", name="x")
        await asyncio.sleep(0.02)
        assert len(os.listdir("/proc/self/fd")) <= before
