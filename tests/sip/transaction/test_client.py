"""Timers of client transactions, on transports that lose messages and on those that do not."""

from typing import Any

import pytest

from bridge.sip.boundary import Target
from bridge.sip.transaction.client import ClientTransaction, State, TransactionTransport
from bridge.sip.transaction.timers import Timers
from tests.support.sip.sip_text import answer_to, invite, read, request

UDP, TCP = Target("udp", "192.0.2.9", 5060), Target("tcp", "192.0.2.9", 5060)


class Line:
    """A transaction with what it has sent and reported."""

    def __init__(self, data, target=UDP):
        self.sent: list[Any] = []
        self.responses: list[Any] = []
        self.ended = 0
        self.timers, self.now = Timers(), 0.0
        wire = TransactionTransport(self.timers, lambda d, t: self.sent.append((self.now, read(d))))
        self.request = read(data)
        self.transaction = ClientTransaction(
            wire, self.request, target, lambda r, now: self.responses.append(r), self.end
        )
        self.transaction.start(0.0)

    def end(self):
        self.ended += 1

    def run(self, until):
        while (due := self.timers.next()) is not None and due <= until:
            self.now = due
            self.timers.run(due)
        self.now = until

    def get(self, code):
        response = read(answer_to(self.request, code))
        self.transaction.receive(response, self.now)

    def times(self, method=None):
        return [t for t, m in self.sent if method is None or m.method == method]


@pytest.mark.parametrize(
    ("data", "times"),
    [
        (invite(), [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]),
        (request("OPTIONS"), [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]),
    ],
)
def test_a_request_is_repeated_on_udp_until_it_times_out_after_32_s(data, times):
    line = Line(data)
    line.run(60)
    assert line.times() == times
    assert [(r.code, r.local) for r in line.responses] == [(408, True)]
    assert line.ended == 1
    assert len(line.timers) == 0


def test_a_request_is_sent_once_on_tcp():
    line = Line(invite(), TCP)
    line.run(60)
    assert line.times() == [0]
    assert line.responses[0].code == 408


def test_a_provisional_response_stops_the_repetitions_of_an_invite():
    line = Line(invite())
    line.get(100)
    line.run(100)
    assert line.times() == [0]
    assert line.transaction.state is State.PROCEEDING


def test_a_provisional_response_slows_the_repetitions_of_others():
    line = Line(request("OPTIONS"))
    line.get(100)
    line.run(10)
    assert line.times() == [0, 0.5, 4.5, 8.5]


def test_a_final_error_to_an_invite_is_acknowledged_each_time_it_comes():
    line = Line(invite())
    line.get(486)
    line.get(486)
    assert len(line.times("ACK")) == 2
    assert [r.code for r in line.responses] == [486]
    ack = line.sent[-1][1]
    assert ack.headers.top_via == line.request.headers.top_via
    assert ack.headers.to.tag == "far"
    assert ack.headers.first("cseq") == "1 ACK"
    line.run(31)
    assert line.ended == 0
    line.run(33)
    assert line.ended == 1


def test_on_tcp_nothing_has_to_be_absorbed():
    line = Line(invite(), TCP)
    line.get(486)
    assert line.ended == 1


@pytest.mark.parametrize("target", [UDP, TCP])
def test_every_2xx_to_an_invite_is_handed_over_for_32_s(target):
    line = Line(invite(), target)
    line.get(200)
    line.get(200)
    assert [r.code for r in line.responses] == [200, 200]
    assert line.times("ACK") == []
    line.run(33)
    assert line.ended == 1


def test_a_repeated_final_response_is_absorbed():
    line = Line(request("OPTIONS"))
    line.get(200)
    line.get(200)
    assert [r.code for r in line.responses] == [200]
    line.run(6)
    assert line.ended == 1


def test_a_failed_transport_is_a_503_of_our_own():
    line = Line(invite())
    line.transaction.fail(1.0)
    line.transaction.fail(1.0)
    assert [(r.code, r.local) for r in line.responses] == [(503, True)]


def test_what_is_abandoned_waits_32_s_whatever_comes():
    line = Line(invite())
    line.get(180)
    line.transaction.abandon(0.0)
    line.run(20)
    line.get(180)
    line.run(33)
    assert line.responses[-1].code == 408
