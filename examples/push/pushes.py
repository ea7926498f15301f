"""What both vendors' pushes have in common."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

RENEW_SECONDS = 2400.0
"""Both vendors' tokens hold for an hour, and APNs refuses new ones within 20 minutes."""
GONE = (404, 410)
"""What FCM and APNs answer when no app has a push token any more."""


class Device(NamedTuple):
    platform: str  # "android" or "ios"
    token: str  # of FirebaseMessaging, or of PKPushRegistry in hexadecimal


Data = dict[str, str]
Push = Callable[[Device, Data], Awaitable[bool]]
"""Wakes a phone with data for its app; False: no app has this token any more."""
Send = Callable[[str, dict[str, str], bytes], Awaitable[tuple[int, bytes]]]
"""Posts a body to a URL with headers, over HTTP/2; returns status and body of the answer."""


def accepted(status: int, answer: bytes) -> bool:
    """Return whether the app is still there; an answer that says neither is an error."""
    if status == 200:
        return True
    if status in GONE or b"BadDeviceToken" in answer:
        return False
    raise RuntimeError(f"the push was refused with {status}: {answer[:500]!r}")
