"""What a customer wants to find again at a call: kept as the bytes of its JSON.

Decoded, 16 kB of nested lists take 390 kB, and a call is kept for an hour after its end.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

NOTHING: Final = msgspec.Raw(b"{}")
"""What stands in an event or an answer where there is no metadata."""


def pack(fields: Mapping[str, Any]) -> bytes:
    """Encode metadata; none at all is no bytes."""
    return msgspec.json.encode(fields) if fields else b""


def field(packed: bytes, name: str) -> str:
    """Return one field if it is there and a string, else an empty one."""
    if not packed:
        return ""
    fields = msgspec.json.decode(packed, type=dict[str, msgspec.Raw])
    try:
        return msgspec.json.decode(fields.get(name, b'""'), type=str)
    except msgspec.ValidationError:
        return ""


def raw(packed: bytes) -> msgspec.Raw:
    """Return what msgspec writes into a larger JSON text as it is."""
    return msgspec.Raw(packed) if packed else NOTHING
