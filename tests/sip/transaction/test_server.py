"""Timers of server transactions, and how requests are matched."""

from bridge.sip.boundary import Counters, Target
from bridge.sip.message.message import reply
from bridge.sip.transaction.server import response_target
from bridge.sip.transaction.timers import Timers
from bridge.sip.transaction.transactions import Transactions
from tests.support.sip.sip_text import STRANGER, invite, read, request

STREAM = Target("tcp", "198.51.100.7", 40000, 3)


class Side:
    """Transactions of one side, and what they have sent."""

    def __init__(self):
        self.sent, self.timers, self.now = [], Timers(), 0.0
        self.counters = Counters()
        self.all = Transactions(self.timers, self.note, self.counters)

    def note(self, data, _target):
        message = read(data)
        self.sent.append((self.now, getattr(message, "code", 0)))

    def run(self, until):
        while (due := self.timers.next()) is not None and due <= until:
            self.now = due
            self.timers.run(due)
        self.now = until


def begun(data, source=STRANGER):
    side = Side()
    asked = read(data)
    return side, side.all.accept(asked, source, 0.0), asked


def test_a_final_error_to_an_invite_is_repeated_until_its_ack():
    side, transaction, asked = begun(invite())
    transaction.respond(reply(asked, 486), 0.0)
    side.run(4)
    assert [t for t, _ in side.sent] == [0, 0.5, 1.5, 3.5]
    transaction.acknowledged(4.0)
    side.run(10)
    assert len(side.sent) == 4
    assert len(side.all) == 0


def test_a_final_error_that_nobody_acknowledges_is_given_up_after_32_s():
    side, transaction, asked = begun(invite())
    done: list[float] = []
    transaction.on_done = done.append
    transaction.respond(reply(asked, 486), 0.0)
    side.run(60)
    assert [t for t, _ in side.sent][-1] == 31.5
    assert done == [32]
    assert len(side.all) == len(side.timers) == 0


def test_on_tcp_it_is_sent_once():
    side, transaction, asked = begun(invite(), STREAM)
    transaction.respond(reply(asked, 486), 0.0)
    side.run(31)
    assert len(side.sent) == 1


def test_a_repeated_request_gets_the_last_response():
    side, transaction, asked = begun(request("OPTIONS"))
    transaction.repeated(0.0)
    assert side.sent == []
    transaction.respond(reply(asked, 200), 0.0)
    transaction.repeated(1.0)
    assert [code for _, code in side.sent] == [200, 200]
    side.run(33)
    assert len(side.all) == 0


def test_the_first_final_response_stays():
    side, transaction, asked = begun(request("OPTIONS"))
    transaction.respond(reply(asked, 200), 0.0)
    transaction.respond(reply(asked, 500), 0.0)
    assert [code for _, code in side.sent] == [200]


def test_after_a_2xx_to_an_invite_its_repetitions_are_absorbed():
    side, transaction, asked = begun(invite())
    transaction.respond(reply(asked, 200), 0.0)
    transaction.repeated(1.0)
    transaction.respond(reply(asked, 200), 2.0)
    transaction.respond(reply(asked, 486), 2.0)
    assert [code for _, code in side.sent] == [200, 200]
    side.run(33)
    assert len(side.all) == 0


def test_a_request_that_nobody_answers_is_forgotten():
    side, _, _ = begun(request("INFO"))
    side.run(33)
    assert len(side.all) == 0


def test_ack_and_cancel_find_their_invite():
    side, transaction, _ = begun(invite())
    assert side.all.find(read(request("ACK"))) is transaction
    assert side.all.find(read(request("CANCEL"))) is None
    assert side.all.find(read(request("CANCEL")), "INVITE") is transaction
    other = {"Via": "SIP/2.0/UDP 198.51.100.8:5060;branch=z9hG4bK-one"}
    assert side.all.find(read(request("ACK", **other))) is None


def test_requests_without_the_cookie_are_matched_by_their_values():
    old = {"Via": "SIP/2.0/UDP 198.51.100.7;branch=1"}
    side, transaction, _ = begun(invite(**old))
    assert side.all.find(read(request("ACK", To="<sip:a@b>;tag=x", **old))) is transaction
    assert side.all.find(read(invite(**(old | {"CSeq": "2 INVITE"})))) is None


def test_a_broken_connection_ends_what_waits_for_it():
    side, transaction, asked = begun(invite(), STREAM)
    transaction.respond(reply(asked, 486), 0.0)
    side.all.transport_failed(Target("tcp", "198.51.100.7", 40000, 4), 1.0)
    assert len(side.all) == 1
    side.all.transport_failed(STREAM, 1.0)
    assert len(side.all) == 0


def test_responses_go_to_the_source_whatever_via_says():
    def target(via, source=STRANGER):
        return response_target(read(request("OPTIONS", Via=via)), source)

    assert target("SIP/2.0/UDP 10.0.0.1;branch=1") == Target("udp", "198.51.100.7", 5060)
    assert target("SIP/2.0/UDP 10.0.0.1:5070;maddr=203.0.113.1;branch=1").port == 5070
    far = Target("udp", "198.51.100.7", 33333)
    assert target("SIP/2.0/UDP 10.0.0.1;rport;branch=1", far) == far
    assert target("SIP/2.0/TCP 10.0.0.1;branch=1", STREAM) == Target("tcp", "198.51.100.7", 5060, 3)
