"""What waits to be sent to a customer."""

from typing import Any

from bridge.audio.frame import FRAME_SAMPLES, SILENCE, Frame
from bridge.media.outbound_queue import (
    CUT_OFF_SECONDS,
    MAX_MARKS,
    MAX_SECONDS,
    OutboundQueue,
    QueuedFrame,
)
from bridge.wire.media_stream import Channel

IN, OUT = Channel.INBOUND, Channel.OUTBOUND
MOST = round(MAX_SECONDS * 50)


def frame(number: int) -> Frame:
    return Frame(SILENCE, number * FRAME_SAMPLES, "clock")


def filled(count: int, now: float = 0.0) -> OutboundQueue:
    outbox = OutboundQueue((IN,))
    for number in range(count):
        outbox.push(IN, frame(number), now)
    return outbox


def taken(outbox: OutboundQueue) -> list[Any]:
    return [outbox.pop() for _ in range(len(outbox))]


def test_frames_leave_in_the_order_in_which_they_came():
    outbox = OutboundQueue((IN, OUT))
    outbox.push(IN, frame(7), 0.0)
    outbox.push(OUT, frame(7), 0.0)
    outbox.push(IN, frame(8), 0.0)
    assert [(item.track, item.timestamp) for item in taken(outbox)] == [(IN, 0), (OUT, 0), (IN, 20)]


def test_nothing_waits_at_first():
    assert OutboundQueue((IN,)).pop() is None


def test_a_full_outbox_drops_the_oldest_and_counts_it():
    outbox = filled(MOST + 3)
    assert len(outbox) == MOST
    assert outbox.dropped == {IN: 3}
    assert outbox.pop() == QueuedFrame(IN, SILENCE, 60)


def test_marks_overtake_sound():
    outbox = filled(1)
    outbox.mark("end")
    assert outbox.pop() == "end"


def test_too_many_marks_lose_the_oldest():
    outbox = OutboundQueue((IN,))
    for number in range(MAX_MARKS + 2):
        outbox.mark(str(number))
    assert outbox.dropped_marks == 2
    assert outbox.pop() == "2"


def test_a_reader_that_stays_behind_becomes_hopeless():
    outbox = filled(MOST)
    outbox.push(IN, frame(MOST), 5.0)
    assert not outbox.reader_stalled(5.0 + CUT_OFF_SECONDS - 0.1)
    assert outbox.reader_stalled(5.0 + CUT_OFF_SECONDS)


def test_a_reader_that_has_caught_up_is_behind_no_more():
    outbox = filled(MOST + 1)
    taken(outbox)
    assert not outbox.reader_stalled(1000.0)


def test_a_reader_that_only_reads_a_little_stays_behind():
    outbox = filled(MOST + 1)
    outbox.pop()
    assert outbox.reader_stalled(CUT_OFF_SECONDS)
