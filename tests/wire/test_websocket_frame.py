"""Frames of the WebSocket protocol, as another library reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from bridge.wire.websocket_frame import BINARY, PING, TEXT, client_frame, server_frame

SIZES = (0, 1, 3, 125, 126, 127, 1280, 65_535, 65_536, 70_001)


def read(frame: bytes, *, mask: bool) -> Frame:
    reader = StreamReader()
    reader.feed_data(frame)
    parsing = Frame.parse(reader.read_exact, mask=mask)
    with pytest.raises(StopIteration) as ended:
        next(parsing)
    assert not reader.buffer, "more than one frame"
    found: Frame = ended.value.value
    return found


@pytest.mark.parametrize(
    ("opcode", "size"),
    [(opcode, size) for opcode in (TEXT, BINARY) for size in SIZES] + [(PING, 4)],
)
def test_a_frame_to_a_client_is_a_whole_message_without_a_mask(opcode, size):
    payload = bytes(number % 251 for number in range(size))
    frame = read(server_frame(opcode, payload), mask=False)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (opcode, True, payload)


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_to_a_server_is_masked(size):
    payload = bytes(number % 251 for number in range(size))
    written = client_frame(TEXT, payload, b"\x01\x80\xff\x37")
    frame = read(written, mask=True)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (TEXT, True, payload)


@given(payload=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4))
def test_a_mask_is_taken_off_again(payload, mask):
    assert bytes(read(client_frame(TEXT, payload, mask), mask=True).data) == payload
