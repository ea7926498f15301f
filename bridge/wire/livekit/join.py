"""The request to join, as it stands in the query of a client's WebSocket: `/rtc/v1` packs it, `/rtc` spells it out."""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Final

from bridge.errors import RemoteProtocolError
from bridge.wire.livekit.models import ReconnectReason, Sdk
from bridge.wire.livekit.protobuf import MAX_BYTES, decode
from bridge.wire.livekit.request import (
    ClientInfo,
    Compression,
    ConnectionSettings,
    JoinRequest,
    WrappedJoinRequest,
)

_GZIP: Final = 16 + zlib.MAX_WBITS
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_TRUE: Final = frozenset({"1", "true"})
_OTHER_NAMES: Final = {"ios": Sdk.SWIFT, "reactnative": Sdk.REACT_NATIVE, "unityweb": Sdk.UNITY_WEB}
_SDKS: Final = {sdk.name.lower(): sdk for sdk in Sdk} | _OTHER_NAMES


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


def read_query(query: Mapping[str, str]) -> JoinRequest:
    """Read a query that spells the request out; what it lacks or garbles has its default.

    Clients subscribe to everything unless they say otherwise.
    """
    reason = _number(query.get("reconnect_reason", ""))
    return JoinRequest(
        client_info=ClientInfo(
            sdk=_SDKS.get(query.get("sdk", "").lower(), Sdk.UNKNOWN),
            version=query.get("version", ""),
            protocol=_number(query.get("protocol", "")),
            os=query.get("os", ""),
            os_version=query.get("os_version", ""),
            device_model=query.get("device_model", ""),
            browser=query.get("browser", ""),
            browser_version=query.get("browser_version", ""),
            network=query.get("network", ""),
            client_protocol=_number(query.get("client_protocol", "")),
        ),
        connection_settings=ConnectionSettings(
            auto_subscribe=query.get("auto_subscribe", "1") in _TRUE,
            adaptive_stream=query.get("adaptive_stream", "") in _TRUE,
        ),
        reconnect=query.get("reconnect", "") in _TRUE,
        reconnect_reason=reason if reason in set(ReconnectReason) else ReconnectReason.RR_UNKNOWN,
        participant_sid=query.get("sid", ""),
    )


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


def _number(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else 0
