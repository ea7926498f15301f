"""Which connections are cut off, on simulated time; tests/security/network/test_silent_readers.py runs it."""

import pytest

from bridge.http import connections
from bridge.http.connections import MIN_BYTES, STALL_SECONDS, Connections


class Transport:
    """A transport of which so much waits, and so much was taken."""

    def __init__(self, waiting=0):
        self.waiting = waiting
        self.taken = 0
        self.closing = False
        self.aborted = False

    def get_write_buffer_size(self):
        return self.waiting

    def get_extra_info(self, _name):
        return None

    def is_closing(self):
        return self.closing

    def abort(self):
        self.closing = self.aborted = True


class Counts:
    def __init__(self):
        self.cut = []
        self.open = 0

    def set_connections(self, count):
        self.open = count

    def connection_cut(self, reason):
        self.cut.append(reason)


@pytest.fixture
def counts():
    return Counts()


@pytest.fixture
def opened(counts, monkeypatch):
    monkeypatch.setattr(connections, "_acknowledged", lambda transport: transport.taken)
    return Connections(
        limit=8,
        set_open=counts.set_connections,
        count_cut=counts.connection_cut,
        trusted=lambda address: address == "proxy",
    )


def test_a_reader_who_takes_nothing_is_cut_off(opened, counts):
    transport = Transport(waiting=1)
    opened.add(transport, "a")
    opened.sweep(0.0)
    opened.sweep(STALL_SECONDS - 0.1)
    assert not transport.aborted
    opened.sweep(STALL_SECONDS)
    assert transport.aborted
    assert (counts.cut, counts.open) == (["slow_reader"], 0)


def test_a_reader_who_takes_a_little_is_cut_off_and_one_who_takes_enough_is_not(opened):
    slow, steady = Transport(waiting=10**6), Transport(waiting=10**6)
    opened.add(slow, "a")
    opened.add(steady, "b")
    for second in range(0, 60, 5):
        slow.taken += MIN_BYTES // 4
        steady.taken += MIN_BYTES // 2
        opened.sweep(float(second))
    assert slow.aborted
    assert not steady.aborted


def test_a_reader_whom_nothing_waits_for_may_take_its_time(opened):
    transport = Transport(waiting=1)
    opened.add(transport, "a")
    opened.sweep(0.0)
    transport.waiting = 0
    opened.sweep(5.0)
    transport.waiting = 1
    opened.sweep(STALL_SECONDS)
    assert not transport.aborted


def test_one_that_closes_while_something_waits_is_still_watched(opened):
    transport = Transport(waiting=1)
    transport.closing = True
    opened.add(transport, "a")
    opened.sweep(0.0)
    opened.sweep(STALL_SECONDS)
    assert transport.aborted


def test_a_closed_one_makes_room_without_anybody_being_cut(opened, counts):
    transports = [Transport() for _ in range(8)]
    for transport in transports:
        opened.add(transport, "a")
    transports[3].closing = True
    assert opened.make_room(0)
    assert counts.cut == []


def test_room_is_made_by_the_oldest_of_the_address_that_has_most(opened, counts):
    few, many = [Transport() for _ in range(2)], [Transport() for _ in range(6)]
    for transport in few:
        opened.add(transport, "few")
    for transport in many:
        opened.add(transport, "many")
    assert opened.make_room(0)
    assert [transport.aborted for transport in many] == [True, *[False] * 5]
    assert not any(transport.aborted for transport in few)
    assert counts.cut == ["no_room"]


def test_connections_with_a_key_and_those_of_a_proxy_give_way_to_nobody(opened):
    keyed = [Transport() for _ in range(4)]
    for transport in keyed:
        opened.add(transport, "a")
        opened.mark_authenticated(transport)
    proxied = [Transport() for _ in range(4)]
    for transport in proxied:
        opened.add(transport, "proxy")
    assert not opened.make_room(0)
    assert not any(transport.aborted for transport in (*keyed, *proxied))


def test_handshakes_under_way_count(opened):
    for _ in range(4):
        transport = Transport()
        opened.add(transport, "a")
        opened.mark_authenticated(transport)
    assert opened.make_room(3)
    assert not opened.make_room(4)
