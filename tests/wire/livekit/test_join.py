"""The request to join, out of a query."""

import base64
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire.livekit.join import read_packed
from bridge.wire.livekit.models import Sdk, SessionDescription
from bridge.wire.livekit.protobuf import MAX_BYTES, encode
from bridge.wire.livekit.request import (
    ClientInfo,
    Compression,
    ConnectionSettings,
    JoinRequest,
    WrappedJoinRequest,
)

JOIN = JoinRequest(
    client_info=ClientInfo(sdk=Sdk.JS, version="2.23.0", protocol=17),
    connection_settings=ConnectionSettings(auto_subscribe=True),
    publisher_offer=SessionDescription(type="offer", sdp="v=0\r\n" * 3000, id=1),
)


def packed(data, compression=Compression.GZIP) -> str:
    wrapped = WrappedJoinRequest(compression=compression, join_request=data)
    return base64.urlsafe_b64encode(encode(wrapped)).decode()


def refused(text) -> str:
    with pytest.raises(RemoteProtocolError) as error:
        read_packed(text)
    return str(error.value)


def test_a_compressed_request_is_read():
    text = packed(gzip.compress(encode(JOIN)))
    assert len(text) < 1000
    assert read_packed(text) == JOIN


def test_a_plain_request_is_read():
    assert read_packed(packed(encode(JOIN), Compression.NONE)) == JOIN


def test_padding_may_be_left_out():
    text = packed(encode(JoinRequest(participant_sid="PA_1")), Compression.NONE)
    assert text.endswith("=")
    assert read_packed(text.rstrip("=")).participant_sid == "PA_1"


def test_a_bomb_is_not_unpacked():
    bomb = packed(gzip.compress(bytes(8 * MAX_BYTES)))
    assert len(bomb) < 20_000
    assert "too large" in refused(bomb)


def test_a_request_may_be_as_large_as_a_message():
    sdp = "x" * (MAX_BYTES - 10)
    largest = JoinRequest(publisher_offer=SessionDescription(sdp=sdp))
    assert len(encode(largest)) == MAX_BYTES - 2
    assert read_packed(packed(gzip.compress(encode(largest)))) == largest


@pytest.mark.parametrize(
    "text",
    [
        "%",
        "é",
        "\udcff",
        "a",
        packed(b"no gzip"),
        packed(zlib.compress(encode(JOIN))),
        packed(gzip.compress(encode(JOIN))[:-9]),
        packed(gzip.compress(encode(JOIN)) + b"more"),
        packed(gzip.compress(b"\x0a\x05")),
        packed(encode(JOIN), compression=2),
        packed(b"\x0a\x05", Compression.NONE),
    ],
)
def test_what_is_no_request_is_refused(text):
    refused(text)


@given(st.text(max_size=60) | st.binary(max_size=60).map(packed))
def test_any_text_is_read_or_refused(text):
    try:
        read_packed(text)
    except RemoteProtocolError:
        return


def test_nothing_at_all_asks_for_nothing():
    assert read_packed("") == JoinRequest()
