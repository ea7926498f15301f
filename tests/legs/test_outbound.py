"""What waits for a reader, and what is under way to it."""

import pytest

from bridge.audio.frame import FRAME_BYTES
from bridge.legs.outbound import (
    MAX_TEXTS,
    PING_SECONDS,
    QUEUE_SECONDS,
    WINDOW_SECONDS,
    OutboundQueue,
)

SECOND = 32_000


def test_a_reader_that_answers_pings_has_so_much_under_way_and_no_more():
    outbound, message = OutboundQueue(SECOND, FRAME_BYTES), bytes(640)
    outbound.add(message)
    assert outbound.next() == message
    outbound.confirm(b"0")
    sent = 1
    while not outbound.full:
        outbound.add(message)
        sent += outbound.next() is not None
    assert sent * 0.02 == pytest.approx(WINDOW_SECONDS)
    outbound.add(message)
    assert outbound.next() is None
    outbound.confirm(str(640 * 30).encode())
    assert outbound.next() == message


def test_a_reader_that_never_answers_a_ping_gets_no_more_than_the_window():
    outbound, given = OutboundQueue(SECOND, FRAME_BYTES), 0
    for _ in range(500):
        outbound.add(bytes(640))
        given += outbound.next() is not None
    assert given * 0.02 == pytest.approx(WINDOW_SECONDS)
    assert outbound.stuck_seconds(1.0) == 0.0
    assert outbound.stuck_seconds(11.0) == 10.0


@pytest.mark.parametrize("milliseconds", [20, 60, 200])
def test_however_long_messages_are_no_more_than_the_window_is_under_way(milliseconds):
    size = SECOND * milliseconds // 1000
    outbound, given = OutboundQueue(SECOND, size), 0
    for _ in range(200):
        outbound.add(bytes(size))
        given += outbound.next() is not None
    assert given * milliseconds / 1000 == pytest.approx(WINDOW_SECONDS)


def test_a_ping_goes_first_and_follows_every_quarter_of_a_second_of_sound():
    outbound, pings = OutboundQueue(SECOND, FRAME_BYTES), []
    assert outbound.ping() == b"0"
    for _ in range(50):
        outbound.add(bytes(640))
        outbound.next()
        pings += [outbound.ping()]
    due = [index for index, payload in enumerate(pings) if payload is not None]
    assert due[0] == round(PING_SECONDS / 0.02) - 1
    assert len(due) == 4


@pytest.mark.parametrize("payload", [b"", b"x", b"-1", b"99999999", b"\xff", b"1" * 125])
def test_pongs_that_nobody_asked_for_change_nothing(payload):
    outbound = OutboundQueue(SECOND, FRAME_BYTES)
    outbound.add(bytes(640))
    outbound.next()
    outbound.confirm(payload)
    assert not outbound.full


def test_a_full_window_is_stuck_from_when_it_is_seen_until_a_pong():
    outbound = OutboundQueue(100, 50)
    for _ in range(3):
        outbound.add(bytes(50))
        outbound.next()
    assert outbound.full
    assert outbound.stuck_seconds(5.0) == 0.0
    assert outbound.stuck_seconds(9.0) == 4.0
    outbound.confirm(b"50")
    assert outbound.stuck_seconds(10.0) == 0.0


def test_texts_go_first_and_only_so_many_wait():
    outbound = OutboundQueue(SECOND, FRAME_BYTES)
    outbound.add(bytes(640))
    for number in range(MAX_TEXTS + 1):
        outbound.add_text(str(number))
    given = [outbound.next() for _ in range(MAX_TEXTS + 1)]
    assert given[0] == "1"
    assert given[-1] == bytes(640)


def test_no_more_waits_than_is_said():
    outbound = OutboundQueue(SECOND, FRAME_BYTES)
    dropped = sum(outbound.add(bytes(FRAME_BYTES)) for _ in range(100))
    assert dropped == pytest.approx(2.0 - QUEUE_SECONDS)
