"""Frames of the WebSocket protocol (RFC 6455 section 5), each a whole message without compression."""

import struct
from typing import Final

TEXT: Final = 1
BINARY: Final = 2
PING: Final = 9
"""Opcodes."""
MASK_BYTES: Final = 4
_LAST: Final = 0x80
_MASKED: Final = 0x80
_MAX_SHORT: Final = 125
_MAX_LONG: Final = 1 << 16
_IS_16_BIT, _IS_64_BIT = 126, 127
_SHORT: Final = struct.Struct("!BB")
_LONG: Final = struct.Struct("!BBH")
_LONGEST: Final = struct.Struct("!BBQ")


def server_frame(opcode: int, payload: bytes) -> bytes:
    """Write a frame to a client."""
    size = len(payload)
    if _MAX_SHORT < size < _MAX_LONG:  # as nearly all audio is
        return _LONG.pack(_LAST | opcode, _IS_16_BIT, size) + payload
    return _header(opcode, size, 0) + payload


def client_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """Write a frame to a server; `mask` is `MASK_BYTES` that nobody can predict (section 5.3)."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return _header(opcode, size, _MASKED) + mask + masked.to_bytes(size, "little")


def _header(opcode: int, size: int, masked: int) -> bytes:
    if size <= _MAX_SHORT:
        return _SHORT.pack(_LAST | opcode, masked | size)
    if size < _MAX_LONG:
        return _LONG.pack(_LAST | opcode, masked | _IS_16_BIT, size)
    return _LONGEST.pack(_LAST | opcode, masked | _IS_64_BIT, size)
