"""What waits for a reader, and what is in flight to it."""

import pytest

from bridge.legs.send_queue import (
    PING_SECONDS,
    QUEUE_SECONDS,
    STUCK_SECONDS,
    WINDOW_SECONDS,
    OutboundQueue,
)

MAX_QUEUED = round(QUEUE_SECONDS * 50)


def queue_of(milliseconds: int = 20, **limits: int) -> OutboundQueue[int, str]:
    return OutboundQueue(milliseconds, **limits)


def send(queue: OutboundQueue[int, str], count: int) -> int:
    """Queue messages one by one; returns how many could be sent at once."""
    sent = 0
    for number in range(count):
        queue.add(number, 0.0)
        sent += queue.next() is not None
    return sent


def test_a_reader_that_answers_pings_has_the_window_in_flight_and_no_more():
    queue = queue_of()
    assert send(queue, 500) * 0.02 == pytest.approx(WINDOW_SECONDS)
    queue.confirm(b"600")
    assert send(queue, 500) * 0.02 == pytest.approx(0.6)


def test_what_need_not_be_queued_has_the_same_window():
    queue = queue_of()
    assert sum(queue.try_send() for _ in range(500)) * 0.02 == pytest.approx(WINDOW_SECONDS)
    queue.confirm(b"600")
    assert queue.try_send()


@pytest.mark.parametrize("queued", ["text", "audio"])
def test_nothing_overtakes_what_is_queued(queued):
    queue = queue_of()
    if queued == "text":
        queue.add_text("hello")
    else:
        queue.add(0, 0.0)
    assert not queue.try_send()
    queue.next()
    assert queue.try_send()


@pytest.mark.parametrize("tracks", [1, 2])
@pytest.mark.parametrize("milliseconds", [10, 20, 60, 200])
def test_however_long_messages_are_no_more_than_the_window_is_in_flight(milliseconds, tracks):
    sent = send(queue_of(milliseconds, tracks=tracks), 500)
    assert sent * milliseconds / 1000 == pytest.approx(WINDOW_SECONDS * tracks)


def test_a_ping_goes_first_and_follows_every_quarter_of_a_second_of_audio():
    queue, pings = queue_of(), []
    assert queue.ping() == b"0"
    for number in range(50):
        queue.add(number, 0.0)
        queue.next()
        pings.append(queue.ping())
    due = [index for index, payload in enumerate(pings) if payload is not None]
    assert due[0] == round(PING_SECONDS / 0.02) - 1
    assert len(due) == 4


@pytest.mark.parametrize("payload", [b"", b"x", b"-1", b"99999999", b"\xff", b"1" * 125])
def test_pongs_that_were_not_asked_for_change_nothing(payload):
    queue = queue_of()
    send(queue, 70)
    queue.confirm(payload)
    assert queue.full


def test_a_full_window_is_stuck_from_when_it_is_seen_until_a_pong():
    queue = queue_of(500)
    send(queue, 3)
    assert queue.full
    assert not queue.is_stuck(5.0)
    assert queue.is_stuck(5.0 + STUCK_SECONDS)
    queue.confirm(b"500")
    assert not queue.is_stuck(100.0)


def test_texts_go_first_and_the_oldest_of_too_many_is_dropped_and_counted():
    queue = queue_of(max_texts=2)
    queue.add(7, 0.0)
    for number in range(3):
        queue.add_text(str(number))
    assert [queue.next() for _ in range(4)] == ["1", "2", 7, None]
    assert queue.dropped_texts == 1


@pytest.mark.parametrize("tracks", [1, 2])
def test_a_full_queue_drops_its_oldest_message(tracks):
    queue = queue_of(tracks=tracks)
    dropped = [queue.add(number, 0.0) for number in range(MAX_QUEUED * tracks + 3)]
    assert [number for number in dropped if number is not None] == [0, 1, 2]
    assert queue.next() == 3


def test_a_reader_is_behind_from_the_first_message_dropped_until_the_queue_is_empty():
    queue = queue_of()
    for number in range(MAX_QUEUED + 1):
        queue.add(number, 5.0)
    queue.next()
    assert not queue.is_behind(4.9 + STUCK_SECONDS)
    assert queue.is_behind(5.0 + STUCK_SECONDS)
    while queue.next() is not None:
        pass
    assert not queue.is_behind(1000.0)
