"""Which datagrams a socket parses as STUN."""

import pytest

from bridge.rtc.demux import MAX_STUN, StunFilter
from bridge.rtc.limits import MAX_CHECKS, MAX_UNVERIFIED_CHECKS, CheckBudget

COOKIE = b"\x21\x12\xa4\x42"
ASKED, UNASKED = b"asked-by-us!", b"by-a-strange"
PEER, STRANGER = ("192.0.2.1", 4000), ("192.0.2.9", 4000)
REQUEST, RESPONSE, ERROR, INDICATION = b"\0\x01", b"\x01\x01", b"\x01\x11", b"\0\x11"
NAMED = b"\0\x06\0\x10ourufrag:theirs!"


def message(kind=REQUEST, body=b"", *, cookie=COOKIE, transaction=UNASKED, length=None):
    size = len(body) if length is None else length
    return kind + size.to_bytes(2, "big") + cookie + transaction + body


class Socket:
    """A filter, its clock and what it counted."""

    def __init__(self, unverified=None):
        self.now = 5.0
        self.discarded = dict.fromkeys(("bad_stun", "unknown_source", "too_many_checks"), 0)
        self._filter = StunFilter(
            ufrag="ourufrag",
            awaited={ASKED: None},
            verified={PEER: 0.0},
            unverified=unverified or CheckBudget(),
            discarded=self.discarded,
            clock=lambda: self.now,
        )

    def admits(self, data, sender=STRANGER):
        return self._filter.admits(data, sender)


@pytest.mark.parametrize(
    "data",
    [
        message(body=NAMED),
        message(body=NAMED + bytes(MAX_STUN - 20 - len(NAMED))),
        message(RESPONSE, transaction=ASKED),
        message(ERROR, bytes(8), transaction=ASKED),
    ],
)
def test_messages_the_peer_may_have_sent_are_parsed(data):
    socket = Socket()
    assert socket.admits(data)
    assert sum(socket.discarded.values()) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        message(body=NAMED)[:19],
        message(body=bytes(40)),
        message(body=NAMED.replace(b"ourufrag:", b"ourufrag!")),
        message(body=NAMED, cookie=b"1234"),
        message(body=NAMED, length=4),
        message(body=NAMED + bytes(MAX_STUN - 16 - len(NAMED))),
        message(RESPONSE),
        message(ERROR),
        message(RESPONSE, NAMED),
        message(b"\0\x03", NAMED),
        message(b"\0\x3f", NAMED),
    ],
)
def test_messages_the_peer_never_sent_are_counted_and_not_parsed(data):
    socket = Socket()
    assert not socket.admits(data, PEER)
    assert socket.discarded["bad_stun"] == sum(socket.discarded.values()) == 1


def test_an_indication_of_the_peer_is_not_counted():
    socket = Socket()
    assert not socket.admits(message(INDICATION), PEER)
    assert sum(socket.discarded.values()) == 0


def test_an_indication_from_an_unverified_address_is_an_unknown_source():
    socket = Socket()
    assert not socket.admits(message(INDICATION))
    assert socket.discarded["unknown_source"] == 1


def test_checks_beyond_the_rate_limit_are_counted_and_not_parsed():
    socket = Socket()
    parsed = [socket.admits(message(body=NAMED)) for _ in range(3 * MAX_CHECKS)]
    assert sum(parsed) == MAX_CHECKS
    assert socket.discarded["too_many_checks"] == 2 * MAX_CHECKS
    socket.now += 1.0
    assert socket.admits(message(body=NAMED))


def test_replayed_checks_do_not_use_up_the_limit_of_the_peer():
    socket = Socket()
    for _ in range(3 * MAX_CHECKS):
        socket.admits(message(body=NAMED), STRANGER)
    assert socket.admits(message(body=NAMED), PEER)


def test_all_sockets_of_a_node_share_what_is_parsed_of_strangers_checks():
    budget = CheckBudget()
    sockets = [Socket(budget) for _ in range(80)]
    for _ in range(MAX_CHECKS):
        for socket in sockets:
            socket.admits(message(body=NAMED))
    refused = sum(socket.discarded["too_many_checks"] for socket in sockets)
    assert len(sockets) * MAX_CHECKS - refused <= MAX_UNVERIFIED_CHECKS


@pytest.mark.parametrize("rounds", [MAX_CHECKS, 1])
def test_a_flood_at_many_sockets_leaves_a_new_one_its_share_in_every_second(rounds):
    budget = CheckBudget()
    flooded = [Socket(budget) for _ in range(80)]
    for second in range(5):
        for socket in flooded:
            socket.now = 5.0 + second
        for _ in range(rounds):
            for socket in flooded:
                socket.admits(message(body=NAMED))
        late = Socket(budget)
        late.now = 5.5 + second
        parsed = [late.admits(message(body=NAMED)) for _ in range(10)]
        assert all(parsed), f"of ten checks {sum(parsed)} were parsed in second {second}"


def test_a_node_with_more_flooded_sockets_than_its_budget_parses_no_more_than_that():
    budget = CheckBudget(limit=100)
    sockets = [Socket(budget) for _ in range(300)]
    assert sum(socket.admits(message(body=NAMED)) for socket in sockets) == 100


def test_awaited_responses_are_not_rate_limited():
    socket = Socket()
    assert all(socket.admits(message(RESPONSE, transaction=ASKED)) for _ in range(3 * MAX_CHECKS))
