"""One connection; tests/trunk/test_connections.py has those that need more."""

from typing import Any

import pytest

from bridge.trunk.streams import SipStream
from tests.support.sip.sip_peer import OPTIONS


class Carrier:
    """A transport that notes what is done to it."""

    def __init__(self):
        self.written: list[bytes] = []
        self.aborted = self.closed = False
        self.unsent = 0

        self.peer: tuple[str, int] | None = ("192.0.2.1", 5060)

    def get_extra_info(self, name):
        return {"peername": self.peer, "sockname": ("192.0.2.9", 40000)}.get(name)

    def write(self, data):
        self.written.append(data)

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return self.aborted or self.closed

    def abort(self):
        self.aborted = True

    def close(self):
        self.closed = True


class Owner:
    """Takes what a stream reports."""

    def __init__(self):
        self.takes = True
        self.messages: list[bytes] = []
        self.dropped: list[str] = []
        self.over = 0

    def opened(self, stream):
        return self.takes

    def received(self, stream, message):
        self.messages.append(message)

    def closed(self, stream):
        self.over += 1

    def count_drop(self, reason):
        self.dropped.append(reason)


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def carrier() -> Any:
    return Carrier()


@pytest.fixture
def stream(owner):
    return SipStream(owner, tls=False, accepted=True, now=lambda: 7.0)


def test_it_knows_both_ends(stream, carrier):
    stream.connection_made(carrier)
    assert (stream.host, stream.port) == ("192.0.2.1", 5060)
    assert (stream.local_host, stream.local_port) == ("192.0.2.9", 40000)


def test_one_that_its_owner_does_not_take_is_closed(stream, owner, carrier):
    owner.takes = False
    stream.connection_made(carrier)
    assert carrier.aborted


def test_one_that_has_been_reset_before_it_was_accepted_is_no_error(stream, owner, carrier):
    carrier.peer = None
    stream.connection_made(carrier)
    stream.connection_lost(ConnectionResetError())
    assert (carrier.aborted, owner.over, stream.transport) == (True, 0, None)


def test_messages_are_taken_whole(stream, owner, carrier):
    stream.connection_made(carrier)
    for place in range(len(OPTIONS)):
        assert owner.messages == []
        stream.data_received(OPTIONS[place : place + 1])
    assert owner.messages == [OPTIONS]
    assert stream.spoken


def test_nothing_is_sent_before_it_is_open_or_after_it_has_closed(stream, owner, carrier):
    assert not stream.send(OPTIONS)
    stream.connection_made(carrier)
    assert stream.send(OPTIONS)
    stream.connection_lost(None)
    stream.connection_lost(None)
    assert not stream.send(OPTIONS)
    assert owner.over == 1


def test_no_keep_alive_is_added_to_what_nobody_reads(stream, carrier):
    stream.connection_made(carrier)
    carrier.unsent = 1
    stream.keep_alive()
    stream.data_received(b"\r\n\r\n")
    assert carrier.written == []
