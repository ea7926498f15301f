"""How the flood's losses are counted."""

import pytest
from aioice import stun

from bridge.rtc.demux import MAX_STUN
from tests.bench.studies.flood import DATAGRAM, LATE_SECONDS, lost_share
from tests.support.peers.light_peer import Arrival, Departure

SENT = [Departure(0.02 * n, n, 5000 + 960 * n) for n in range(10)]


def echoed(departure, delay=0.01):
    return Arrival(
        departure.time + delay,
        0,
        departure.timestamp + 2**32 - 7000 & 0xFFFFFFFF,
        False,
        111,
        1,
        b"",
    )


def test_nothing_is_lost_where_everything_comes_back():
    assert lost_share(SENT, [echoed(one) for one in SENT]) == 0.0


def test_what_does_not_come_back_is_lost():
    assert lost_share(SENT, [echoed(one) for one in SENT[:8]]) == pytest.approx(0.2)


def test_what_comes_back_too_late_is_lost():
    heard = [echoed(SENT[0]), *(echoed(one, 2 * LATE_SECONDS) for one in SENT[1:])]
    assert lost_share(SENT, heard) == pytest.approx(0.9)


def test_silence_is_all_lost():
    assert lost_share(SENT, []) == 1.0


def test_the_flood_is_of_messages_that_would_be_parsed():
    assert len(DATAGRAM) <= MAX_STUN
    assert stun.parse_message(DATAGRAM).message_class == stun.Class.REQUEST
