"""A customer's metadata of a call, stored as encoded JSON.

Decoded, 16 kB of nested lists take 390 kB, and a call is kept for an hour after its end.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

NOTHING: Final = msgspec.Raw(b"{}")
"""Empty metadata in an event or a response."""


def pack(fields: Mapping[str, Any]) -> bytes:
    """Encode metadata; empty metadata is no bytes."""
    return msgspec.json.encode(fields) if fields else b""


def field(packed: bytes, name: str) -> str:
    """Return a field if it is a string, else an empty string."""
    if not packed:
        return ""
    fields = msgspec.json.decode(packed, type=dict[str, msgspec.Raw])
    try:
        return msgspec.json.decode(fields.get(name, b'""'), type=str)
    except msgspec.ValidationError:
        return ""


def raw(packed: bytes) -> msgspec.Raw:
    """Return the metadata for embedding in a larger JSON document."""
    return msgspec.Raw(packed) if packed else NOTHING
