"""Live peers of the bridge that are passed on, as from one process to another."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from OpenSSL import SSL
from typing_extensions import override

from bridge.wire.snapshot.peer import PeerSnapshot
from tests.support.peers.bridge_peer import BridgePeer, Echo, talk
from tests.support.peers.light_peer import LightPeer

GCM_INDEX_BYTES = 4

_Browser = TypeVar("_Browser", bound=LightPeer)
_Snapshot = TypeVar("_Snapshot", bound=msgspec.Struct)


class CipherCertificate(RTCCertificate):
    """A certificate of a peer that has one cipher suite."""

    cipher = b""

    @override
    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(self.cipher)
        return context

    @classmethod
    def of(cls, cipher: bytes) -> RTCCertificate:
        """Return a new one."""
        made = cls.generateCertificate()
        made.cipher = cipher
        return made


@asynccontextmanager
async def talking(browser: _Browser, **more: Any) -> AsyncIterator[tuple[BridgePeer, _Browser]]:
    """Let a browser talk with a bridge."""
    async with BridgePeer(**more) as bridge, browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        yield bridge, browser


def passed(snapshot: _Snapshot) -> _Snapshot:
    """Return what another process gets."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=type(snapshot))


def take_over(
    snapshot: PeerSnapshot, sockets: list[socket.socket], like: BridgePeer, **more: Any
) -> BridgePeer:
    """Return a peer that goes on with duplicates of the sockets; it echoes, if the one before did."""
    new = type(like)(ports=like.pool, **more)
    new.peer.restore(passed(snapshot), [one.dup() for one in sockets])
    new.echo = Echo(new.peer) if like.echo is not None else None
    new.connecting = asyncio.create_task(asyncio.sleep(0))
    new._end = asyncio.create_task(new.peer.wait_closed())
    return new


async def hand_over(bridge: BridgePeer, **more: Any) -> BridgePeer:
    """Pass a live peer on; return its successor."""
    snapshot, sockets = bridge.peer.suspend()
    new = take_over(snapshot, sockets, bridge, **more)
    await bridge.peer.aclose()
    return new


@dataclass
class Indexes:
    """What a peer has received before anything was checked: each index may come once."""

    packets: list[tuple[bytes, bytes]] = field(default_factory=list)
    """SSRC and sequence number."""
    reports: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, browser: LightPeer) -> "Indexes":
        """Note all that a connected peer receives from now on."""
        noted, link = cls(), browser._gatherer.link
        receive = link.on_media
        assert receive is not None

        def take(data: bytes) -> None:
            if 192 <= data[1] <= 223:
                noted.reports.append(int.from_bytes(data[-GCM_INDEX_BYTES:], "big") & 0x7FFFFFFF)
            else:
                noted.packets.append((data[8:12], data[2:4]))
            receive(data)

        link.on_media = take
        return noted

    def check(self) -> None:
        """Check that none came twice; fewer than a wrap of numbers must have come."""
        assert len({*self.packets}) == len(self.packets)
        assert self.reports == [*range(1, len(self.reports) + 1)]
