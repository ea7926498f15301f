"""What a process does once, done before the first call."""

from bridge.rtc.peer import Peer
from bridge.rtc.srtp import Srtp
from bridge.wire.snapshot.peer import SrtpSnapshot
from tests.support.inprocess import one_node, settings
from tests.support.peers.bridge_peer import BridgePeer


async def test_a_peer_that_warms_up_uses_libsrtp_once_and_leaves_nothing(monkeypatch):
    restored: list[SrtpSnapshot] = []
    restore = Srtp.restored

    def note(keys):
        restored.append(keys)
        return restore(keys)

    monkeypatch.setattr(Srtp, "restored", note)
    async with BridgePeer() as bridge:
        await bridge.peer.warm_up()
        assert [keys.send_key for keys in restored] == [bytes(30)]
        assert bridge.pool.used == 0
        if bridge.path is not None:
            assert bridge.path._transports == {}


async def test_a_node_warms_up_before_its_first_request(monkeypatch):
    warmed: list[Peer] = []
    warm_up = Peer.warm_up

    async def note(peer):
        await warm_up(peer)
        warmed.append(peer)

    monkeypatch.setattr(Peer, "warm_up", note)
    async with one_node(settings(), None):
        assert len(warmed) == 1
