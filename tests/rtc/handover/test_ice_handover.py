"""A connection that goes on from data; whole peers that do are in tests/rtc/moving."""

import socket

import msgspec
import pytest

from bridge.errors import HandoverRefused
from bridge.rtc.config import Timeouts
from bridge.rtc.demux import ArrivalCounter, Inbound
from bridge.rtc.handover.ice_handover import ice_snapshot, restore_ice
from bridge.rtc.ice import IceConnection
from bridge.rtc.limits import DISCARD_REASONS, CheckBudget
from bridge.rtc.ports import PortPool
from bridge.wire.snapshot.peer import IceSnapshot


def connection(controlling=True):
    counts = dict.fromkeys(DISCARD_REASONS, 0)
    media, arrivals = lambda _: None, ArrivalCounter(10)
    return IceConnection(
        Inbound(media, media, counts, CheckBudget(), arrivals),
        controlling=controlling,
        on_lost=lambda _: None,
        timeouts=Timeouts(),
        clock=lambda: 5.0,
    )


@pytest.fixture
def sock():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        yield one


def snapshot(sock):
    return IceSnapshot(
        ufrag="ours",
        pwd="our password that is long",
        remote_ufrag="theirs",
        remote_pwd="their password that is long",
        remote_lite=True,
        controlling=True,
        tie_breaker=7,
        local=[f"1 1 udp 9 127.0.0.1 {port(sock)} typ host"],
        nominated=0,
        remote="r 1 udp 8 127.0.0.1 4000 typ srflx",
        verified=[("127.0.0.1", 4000, 3.0)],
        checks_received=4,
        responses_received=5,
        public_candidates=True,
    )


def port(sock):
    return sock.getsockname()[1]


async def test_a_restored_connection_stands_as_the_one_before(sock):
    made, stood, pool = connection(), snapshot(sock), PortPool([port(sock)])
    restore_ice(made, stood, [sock], pool)
    assert ice_snapshot(made) == stood
    assert made.route is not None
    assert made.route[1] == ("127.0.0.1", 4000)
    assert pool.used == 1
    await made.close()
    assert (sock.fileno(), pool.used, pool.free) == (-1, 0, 1)


async def test_a_connection_without_a_nominated_pair_is_refused():
    made = connection()
    with pytest.raises(HandoverRefused):
        ice_snapshot(made)
    await made.close()


async def test_sockets_that_are_not_those_are_refused_and_stay_open(sock):
    stood = snapshot(sock)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        for given in ([], [other], [sock, other]):
            made = connection()
            with pytest.raises(HandoverRefused):
                restore_ice(made, stood, given, PortPool([]))
            await made.close()
        assert min(sock.fileno(), other.fileno()) >= 0


async def test_an_address_that_is_none_is_refused(sock):
    stood = snapshot(sock)
    remotes = ("r 1 udp 8 999.1.1.1 4000 typ host", "r 1 udp 8 127.0.0.1 0 typ host", "none")
    replace = msgspec.structs.replace
    changed = [replace(stood, remote=one) for one in remotes]
    for spoiled in (*changed, replace(stood, verified=[("nowhere", 4000, 3.0)])):
        made = connection()
        with pytest.raises(HandoverRefused):
            restore_ice(made, spoiled, [sock], PortPool([]))
        await made.close()
    assert sock.fileno() >= 0
