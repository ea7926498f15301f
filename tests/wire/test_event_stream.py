import tracemalloc

import pytest

from bridge.wire.event_stream import MAX_BYTES, EventStreamReader, ServerEvent

STREAM = (
    b'\xef\xbb\xbf: hello\nretry: 2500\n\nid: 7\nevent: call.ended\ndata: {"a":\n'
    b"data: 1}\r\n\r\ndata:x\rid\r\rid: 9\n\nevent: none\n\n"
)
EVENTS = [ServerEvent("call.ended", '{"a":\n1}'), ServerEvent("", "x")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_in_pieces_of_any_size(size):
    reader = EventStreamReader()
    pieces = [STREAM[begin : begin + size] for begin in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in reader.read(piece)] == EVENTS
    assert (reader.last_id, reader.retry_seconds) == ("9", 2.5)


def test_what_is_cut_off_is_no_event_and_the_last_id_stays():
    reader = EventStreamReader()
    reader.read(b"id: 1\ndata: a\n\nid: 2\ndata: b")
    reader.begin()
    assert reader.read(b"data: c\n\n") == [ServerEvent("", "c")]
    assert reader.last_id == "1"


@pytest.mark.parametrize("cut", [b"", b"\n"])
def test_an_event_that_is_too_long_is_left_out_and_takes_no_memory(cut):
    reader = EventStreamReader()
    line = b"data: " + bytes(MAX_BYTES // 5) + cut
    tracemalloc.start()
    try:
        assert [reader.read(line) for _ in range(50)] == [[]] * 50
        assert tracemalloc.get_traced_memory()[1] < 5 * MAX_BYTES
    finally:
        tracemalloc.stop()
    assert reader.read(b"\n\ndata: y\n\n") == [ServerEvent("", "y")]


def test_nonsense_is_no_event():
    reader = EventStreamReader()
    assert reader.read(b"\xff\xfe\n\nretry: soon\n\nid: a\0b\n\n::\n\n") == []
    assert (reader.last_id, reader.retry_seconds) == ("", None)
