"""The codec of protobuf: what is written is read, what others may write is too, and nothing else does harm."""

from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.wire.livekit.models import SessionDescription, Trickle
from bridge.wire.livekit.protobuf import (
    MAX_BYTES,
    MAX_VALUES,
    Int32,
    Int64,
    Message,
    UInt32,
    UInt64,
    decode,
    encode,
)
from bridge.wire.livekit.request import SignalRequest
from tests.wire.livekit.messages import MESSAGES, message


class Inner(Message, frozen=True):
    number: Annotated[Int32, 1] = 0


class Outer(Message, frozen=True):
    """A message with a field of every kind."""

    text: Annotated[str, 1] = ""
    data: Annotated[bytes, 2] = b""
    flag: Annotated[bool, 3] = False
    level: Annotated[float, 4] = 0.0
    int32: Annotated[Int32, 5] = 0
    int64: Annotated[Int64, 6] = 0
    uint32: Annotated[UInt32, 7] = 0
    uint64: Annotated[UInt64, 8] = 0
    inner: Annotated[Inner | None, 9] = None
    maybe: Annotated[Int64 | None, 10] = None
    texts: Annotated[tuple[str, ...], 11] = ()
    numbers: Annotated[tuple[Int32, ...], 12] = ()
    inners: Annotated[tuple[Inner, ...], 13] = ()
    flags: Annotated[tuple[bool, ...], 14] = ()
    levels: Annotated[tuple[float, ...], 15] = ()
    pairs: Annotated[dict[str, str], 16] = msgspec.field(default_factory=dict)


def refused(data, kind=Outer) -> str:
    with pytest.raises(RemoteProtocolError) as error:
        decode(kind, data)
    return str(error.value)


@given(message(Outer))
def test_what_is_written_is_read(written):
    assert decode(Outer, encode(written)) == written


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_message_of_defaults_is_empty(kind):
    assert encode(kind()) == b""
    assert decode(kind, b"") == kind()


@pytest.mark.parametrize(
    ("given", "data"),
    [
        (Outer(int32=150), b"\x28\x96\x01"),
        (Outer(int32=-1), b"\x28" + 9 * b"\xff" + b"\x01"),
        (Outer(uint64=(1 << 64) - 1), b"\x40" + 9 * b"\xff" + b"\x01"),
        (Outer(text="testing"), b"\x0a\x07testing"),
        (Outer(level=1.0), b"\x25\x00\x00\x80\x3f"),
        (Outer(flag=True), b"\x18\x01"),
        (Outer(inner=Inner(number=150)), b"\x4a\x03\x08\x96\x01"),
        (Outer(inner=Inner()), b"\x4a\x00"),
        (Outer(maybe=0), b"\x50\x00"),
        (Outer(numbers=(3, 270)), b"\x62\x03\x03\x8e\x02"),
        (Outer(pairs={"a": "b"}), b"\x82\x01\x06\x0a\x01a\x12\x01b"),
    ],
)
def test_the_bytes_are_those_of_the_encoding_guide(given, data):
    assert encode(given) == data
    assert decode(Outer, data) == given


def test_a_list_of_numbers_need_not_be_packed():
    assert decode(Outer, b"\x60\x03\x62\x01\x04\x60\x05").numbers == (3, 4, 5)


def test_a_key_without_a_value_has_an_empty_one():
    assert decode(Outer, b"\x82\x01\x03\x0a\x01a").pairs == {"a": ""}


def test_the_last_of_two_values_stands():
    assert decode(Outer, b"\x0a\x01a\x0a\x01b").text == "b"


def test_bits_that_a_type_has_no_room_for_are_dropped():
    wide = 5 * b"\xff" + b"\x01"
    assert decode(Outer, b"\x28" + wide).int32 == -1
    assert decode(Outer, b"\x38" + wide).uint32 == (1 << 32) - 1


@pytest.mark.parametrize(
    "unknown",
    [b"\xa0\x06\x01", b"\xa1\x06" + bytes(8), b"\xa2\x06\x02ab", b"\xa5\x06" + bytes(4)],
    ids=["varint", "64 bits", "sized", "32 bits"],
)
def test_an_unknown_field_is_skipped(unknown):
    assert decode(Outer, unknown + b"\x18\x01" + unknown) == Outer(flag=True)


def test_a_field_of_another_type_than_expected_is_skipped():
    assert decode(Outer, b"\x08\x07\x18\x01\x2a\x01a") == Outer(flag=True)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x0a\x05abc", "cut off"),
        (b"\x25\x00\x00", "cut off"),
        (b"\x28", "cut off"),
        (b"\x28\xff", "cut off"),
        (b"\xa1\x06" + bytes(7), "cut off"),
        (b"\x4a\x01\x08", "cut off"),
        (b"\x7a\x03\x00\x00\x00", "cut off"),
        (b"\x28" + 10 * b"\xff" + b"\x01", "64 bits"),
        (b"\x0a\x01\xff", "UTF-8"),
        (b"\x00\x01", "number"),
        (b"\x80\x80\x80\x80\x10\x01", "number"),
        (b"\x0b\x0c", "proto3"),
        (b"\x0f", "proto3"),
    ],
)
def test_what_is_no_message_is_refused(data, told):
    assert told in refused(data)


@given(message(Outer).filter(lambda one: one != Outer()), st.data())
def test_a_message_that_is_cut_off_raises_nothing_else(whole, data):
    text = encode(whole)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        decode(Outer, cut)
    except RemoteProtocolError:
        return


@given(kind=st.sampled_from(MESSAGES), data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(kind, data):
    try:
        read = decode(kind, data)
    except RemoteProtocolError:
        return
    assert decode(kind, encode(read)) == read or "nan" in repr(read)


def test_a_message_that_is_too_large_is_refused():
    assert decode(SignalRequest, b"\xa2\x06\x80\x80\x04" + bytes(1 << 16)) == SignalRequest()
    assert "too large" in refused(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"\x6a\x00" * (MAX_VALUES + 1),
        b"\xa0\x06\x01" * (MAX_VALUES + 1),
        b"\x62\xa1\x9c\x01" + bytes(20_001),
        b"\x4a\xc4\xb8\x02" + b"\x10\x00" * 20_002,
    ],
    ids=["messages", "unknown", "packed", "within"],
)
def test_a_message_of_very_many_values_is_refused(data):
    assert "too many" in refused(data)


@pytest.mark.parametrize(
    "wrong",
    [
        Outer(int32=1 << 31),
        Outer(uint32=-1),
        Outer(uint64=1 << 64),
        Outer(maybe=-(1 << 63) - 1),
        Outer(numbers=(1 << 40,)),
        Outer(level=1e300),
    ],
)
def test_a_number_that_does_not_fit_is_not_sent(wrong):
    with pytest.raises(LocalProtocolError):
        encode(wrong)


def test_what_utf_8_cannot_hold_is_replaced():
    assert decode(Outer, encode(Outer(text="a\ud800b"))).text == "a?b"


def test_a_request_tells_its_member():
    offer = SessionDescription(type="offer", sdp="v=0", id=1)
    assert decode(SignalRequest, encode(SignalRequest(offer=offer))) == SignalRequest(offer=offer)
    assert decode(SignalRequest, encode(SignalRequest(ping=0))).ping == 0
    assert decode(SignalRequest, encode(SignalRequest(trickle=Trickle()))).trickle == Trickle()


def test_no_field_of_two_has_the_same_number():
    for kind in MESSAGES:
        numbers = [annotation.__metadata__[-1] for annotation in kind.__annotations__.values()]
        assert len(set(numbers)) == len(numbers), kind
