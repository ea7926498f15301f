"""What logs and metrics show of a SIP message: no number, credential or SRTP key."""

import hashlib
import logging
import re
from dataclasses import dataclass
from typing import Final

from bridge.sip.boundary import Target

log = logging.getLogger(__name__)

METHODS: Final = frozenset(
    {
        *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "UPDATE"),
        *("INFO", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH"),
    }
)
OTHER: Final = "other"
"""Any other method."""

_CSEQ: Final = re.compile(
    rb"^cseq[ \t]*:[ \t]*[0-9]+[ \t]+([A-Z]{1,16})", re.IGNORECASE | re.MULTILINE
)
_CALL_ID: Final = re.compile(
    rb"^(?:call-id|i)[ \t]*:[ \t]*(\S{1,256})", re.IGNORECASE | re.MULTILINE
)
_STATUS: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9])\b")


@dataclass(frozen=True, slots=True)
class MessageKind:
    """The method of a request, or the code of a response and the method it answers."""

    method: str
    """Of `METHODS`, or `OTHER`."""
    code: int
    """0 for a request."""


def kind_of(data: bytes) -> MessageKind:
    """Read the kind of a message, which may be malformed."""
    status = _STATUS.match(data)
    if status is None:
        return MessageKind(_known(data[:16].partition(b" ")[0]), 0)
    found = _CSEQ.search(data)
    return MessageKind(_known(found[1]) if found else OTHER, int(status[1]))


def trace_id(call_id: bytes) -> str:
    """Return the name of a call in the log: a hash, as a Call-ID may hold numbers and addresses."""
    return hashlib.sha256(call_id).hexdigest()[:12]


def trace(event: str, data: bytes, peer: Target) -> None:
    """Log a message at debug level (`sip.sent`, `sip.received`), with the `trace_id` of its call."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    what, found = kind_of(data), _CALL_ID.search(data)
    log.debug(
        event,
        extra={
            "method": what.method,
            "code": what.code,
            "sip_call": trace_id(found[1]) if found else "",
            "transport": peer.transport,
            "peer": peer.host,
            "bytes": len(data),
        },
    )


def _known(method: bytes) -> str:
    text = method.decode("latin-1")
    return text if text in METHODS else OTHER
