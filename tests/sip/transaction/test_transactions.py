"""The tables of transactions have an end."""

import pytest

from bridge.sip.boundary import Target
from bridge.sip.transaction import transactions
from tests.sip.transaction.test_server import Side
from tests.support.sip.sip_text import STRANGER, invite, read, request


def test_a_response_to_nobody_is_dropped():
    side = Side()
    side.all.receive(read(request(start="SIP/2.0 200 OK")), 0.0)
    assert (len(side.all), side.sent) == (0, [])


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(transactions, "MAX_TRANSACTIONS", 1)


@pytest.mark.usefixtures("small")
def test_a_full_table_of_ours_refuses_what_is_to_be_sent():
    side, got = Side(), []
    for _ in range(2):
        side.all.send(read(request("OPTIONS")), STRANGER, lambda r, now: got.append(r.code), 0.0)
    assert got == []
    side.run(0.1)
    assert got == [503]
    assert side.counters.overload == 1


@pytest.mark.usefixtures("small")
def test_a_full_table_of_theirs_is_known():
    side = Side()
    assert not side.all.full
    side.all.accept(read(invite()), STRANGER, 0.0)
    assert side.all.full


@pytest.mark.parametrize(
    ("sent", "failed", "ends"),
    [
        (("udp", "192.0.2.1", 5060, 1), ("udp", "192.0.2.1", 5060, 1), True),
        (
            ("udp", "192.0.2.1", 5060, 1),
            ("udp", "192.0.2.2", 5060, 1),
            False,
        ),  # one socket, two hosts
        (("tcp", "192.0.2.1", 5060, 1), ("tcp", "192.0.2.1", 5060, 1), True),
        (("tcp", "192.0.2.1", 5060, 1), ("tcp", "192.0.2.1", 5060, 2), False),
        (("tcp", "192.0.2.1", 5060, 0), ("tcp", "192.0.2.1", 5060, 2), True),
        (("tcp", "192.0.2.1", 5060, 0), ("tls", "192.0.2.1", 5060, 0), False),
    ],
)
def test_a_failed_transport_fails_what_was_sent_by_it(sent, failed, ends):
    side, got = Side(), []
    asked = read(request("OPTIONS"))
    side.all.send(asked, Target(*sent), lambda r, now: got.append(r.code), 0.0)
    side.all.transport_failed(Target(*failed), 0.0)
    assert got == ([503] if ends else [])


def test_the_same_request_with_another_branch_is_merged():
    side = Side()
    side.all.accept(read(invite()), STRANGER, 0.0)
    other = read(invite(Via="SIP/2.0/UDP 198.51.100.9;branch=z9hG4bK-two"))
    assert side.all.merged(other)
    assert not side.all.merged(read(invite(Call_ID="other")))
