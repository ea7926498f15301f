"""Messages of a stream, however it is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.message.framing import StreamError, StreamFramer
from tests.support.examples import examples
from tests.support.sip.sip_text import invite, request

MESSAGES = [invite(), request("OPTIONS"), invite().replace(b"Content-Length", b"l")]


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.integers(1, 200), min_size=1))
def test_messages_are_the_same_however_the_stream_is_cut(sizes):
    stream = b"\r\n\r\n".join(MESSAGES) * 2
    framer, found, n = StreamFramer(), [], 0
    while stream:
        size = sizes[n % len(sizes)]
        found += framer.feed(stream[:size])
        stream, n = stream[size:], n + 1
    assert found == MESSAGES * 2
    assert framer.pings == 4


def test_keep_alives_are_counted_to_be_answered():
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n\r\n\r\n") == []
    assert framer.pings == 2
    assert framer.feed(b"\r") == framer.feed(b"\n") == framer.feed(b"\r\n") == []
    assert framer.pings == 3


def test_a_pong_is_skipped():
    framer = StreamFramer()
    assert framer.feed(b"\r\n" + MESSAGES[0]) == [MESSAGES[0]]
    assert framer.pings == 0


@pytest.mark.parametrize(
    "data",
    [
        invite(Content_Length=None),
        invite(Content_Length="x"),
        invite(Content_Length=["5", "6"]),
        invite(Content_Length="70000"),
        b"x" * 17_000,
        invite(X="1" * 17_000),
    ],
)
def test_a_stream_that_cannot_be_split_has_to_be_closed(data):
    with pytest.raises(StreamError):
        StreamFramer().feed(data)


def test_a_long_message_in_small_pieces_is_cheap():
    framer = StreamFramer()
    data = invite("v" * 60_000)
    found = [message for n in range(0, len(data), 10) for message in framer.feed(data[n : n + 10])]
    assert found == [data]
