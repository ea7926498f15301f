"""The request to join, packed in the query of a client's WebSocket."""

import base64
import binascii
import zlib
from typing import Final

from bridge.errors import RemoteProtocolError
from bridge.wire.livekit.protobuf import MAX_BYTES, decode
from bridge.wire.livekit.request import Compression, JoinRequest, WrappedJoinRequest

_GZIP: Final = 16 + zlib.MAX_WBITS


def read_packed(text: str) -> JoinRequest:
    """Read `join_request` of a query: base64url of protobuf, within it protobuf again, mostly compressed.

    Raises:
        RemoteProtocolError: it is malformed, or over `MAX_BYTES` once it is unpacked.
    """
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError("join_request is not base64url") from None
    wrapped = decode(WrappedJoinRequest, plain)
    if wrapped.compression == Compression.NONE:
        return decode(JoinRequest, wrapped.join_request)
    if wrapped.compression != Compression.GZIP:
        raise RemoteProtocolError("join_request has an unknown compression")
    return decode(JoinRequest, _unpacked(wrapped.join_request))


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(data, MAX_BYTES + 1)
    except zlib.error:
        raise RemoteProtocolError("join_request is not gzip") from None
    if len(plain) > MAX_BYTES:
        raise RemoteProtocolError("the message is too large")
    if not unpacker.eof or unpacker.unused_data:
        raise RemoteProtocolError("join_request is not one whole gzip")
    return plain
