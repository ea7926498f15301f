"""The pool of media ports."""

import socket

import pytest

from bridge.errors import LegError, LimitExceeded
from bridge.rtc.ports import PortPool
from tests.support.machine import free_port


def close_all(sockets):
    for sock in sockets:
        sock.close()


def test_every_port_is_acquired_once():
    pool = PortPool(range(40_000, 40_010))
    assert sorted(pool.open(())[0] for _ in range(10)) == list(range(40_000, 40_010))
    with pytest.raises(LimitExceeded):
        pool.open(())


def test_a_released_port_is_reused_last():
    pool = PortPool(range(40_000, 40_003))
    first, _ = pool.open(())
    pool.release(first)
    assert [pool.open(())[0] for _ in range(3)][-1] == first


def test_a_port_released_twice_is_free_once():
    pool = PortPool(range(40_000, 40_002))
    port, _ = pool.open(())
    pool.release(port)
    pool.release(port)
    assert pool.free == 2


def test_ports_in_use_elsewhere_are_skipped():
    taken, free = free_port(), free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", taken))
        pool = PortPool([taken, free])
        port, sockets = pool.open(("127.0.0.1",))
        close_all(sockets)
    assert port == free
    assert pool.free == 1


def test_one_socket_on_each_address_shares_the_port():
    pool = PortPool([free_port()])
    port, sockets = pool.open(("127.0.0.1", "127.0.0.2"))
    names = [sock.getsockname() for sock in sockets]
    close_all(sockets)
    assert names == [("127.0.0.1", port), ("127.0.0.2", port)]


def test_without_a_usable_port_the_limit_is_reached():
    taken = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", taken))
        pool = PortPool([taken])
        with pytest.raises(LimitExceeded):
            pool.open(("127.0.0.1",))
    assert pool.free == 1


def test_an_address_of_another_machine_is_a_leg_error():
    pool = PortPool([free_port()])
    with pytest.raises(LegError, match=r"198\.51\.100\.7"):
        pool.open(("198.51.100.7",))
    assert pool.free == 1


def free_pair():
    return next(port for port in (free_port() & ~1 for _ in range(50)) if _both_free(port))


def _both_free(port):
    try:
        close_all(PortPool([port, port + 1]).open_pair("127.0.0.1"))
    except LimitExceeded:
        return False
    return True


def test_a_pair_is_an_even_port_and_the_next():
    even = free_pair()
    pool = PortPool([even - 1, even, even + 1])
    sockets = pool.open_pair("127.0.0.1")
    names = [sock.getsockname() for sock in sockets]
    close_all(sockets)
    assert names == [("127.0.0.1", even), ("127.0.0.1", even + 1)]
    assert (pool.used, pool.free) == (2, 1)
    pool.release(even + 1)
    assert (pool.used, pool.free) == (1, 2)


def test_a_pair_with_a_port_in_use_elsewhere_is_skipped_and_left_free():
    even = free_pair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", even + 1))
        pool = PortPool([even, even + 1])
        with pytest.raises(LimitExceeded):
            pool.open_pair("127.0.0.1")
    assert (pool.used, pool.free) == (0, 2)


def test_ports_without_a_neighbour_are_no_pair():
    with pytest.raises(LimitExceeded):
        PortPool([40_000, 40_003, 40_005]).open_pair("127.0.0.1")


def test_a_pair_on_an_address_of_another_machine_is_an_error():
    with pytest.raises(LegError):
        PortPool([40_000, 40_001]).open_pair("203.0.113.1")


def test_a_port_that_another_process_has_bound_is_in_use_and_released_as_others():
    pool = PortPool([40_000, 40_001])
    pool.adopt(40_000)
    pool.adopt(40_000)
    pool.adopt(50_000)  # of another process
    assert (pool.used, pool.free) == (1, 1)
    assert pool.open(())[0] == 40_001
    for port in (40_000, 40_001, 50_000):
        pool.release(port)
    assert (pool.used, pool.free) == (0, 2)
