"""What happened on a line, as it is kept on disk and told to the world; every face tells it anew."""

from datetime import datetime
from typing import Any

import msgspec

from bridge.wire.metadata import NOTHING


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call as it stood when something happened to it."""

    id: str
    """The native form."""
    direction: str
    state: str
    peer: str
    started_at: datetime
    reason: str = ""
    from_: str = msgspec.field(default="", name="from")
    """A number in E.164 with `+`, or an identifier; so is `to`."""
    to: str = ""
    from_channel: str = ""
    to_channel: str = ""
    metadata: msgspec.Raw = NOTHING
    tag: str = ""
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    muted: bool = False
    browser: bool = False
    """Whether it has or had a WebRTC leg."""


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event; `id` is its own for ever, so that receivers know one that comes twice."""

    id: str
    type: str
    """In our words, such as `call.ended`."""
    line: str
    at: datetime
    """With zone UTC."""
    call: Call | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


def jid(peer: str) -> str:
    """A peer as WhatsApp writes it."""
    return f"{peer}@s.whatsapp.net" if peer.isdigit() else peer
