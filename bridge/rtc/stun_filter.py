"""Cheap checks of STUN datagrams before they are parsed, against floods."""

from collections.abc import Callable, Container
from typing import Final

from bridge.rtc.guard import Address

MAX_STUN: Final = 600
"""Bytes; ICE needs no longer message, as user fragments have at most 256 each."""
MAX_CHECKS: Final = 200
"""Checks parsed per second and socket, and as many again from verified addresses."""

_HEADER: Final = 20
_COOKIE: Final = b"\x21\x12\xa4\x42"
_REQUEST, _RESPONSE, _ERROR, _INDICATION = b"\0\x01", b"\x01\x01", b"\x01\x11", b"\0\x11"


class StunFilter:
    """The filter of one socket (RFC 8489 §5 has the header's layout).

    A check contains our user fragment, a response the transaction id of our request; attackers know
    neither unless they overheard it. Messages from unverified addresses have a limit of their own,
    so that replays cannot use up that of the peer.

    Args:
        ufrag: Our user fragment.
        awaited: Ids of our pending transactions.
        verified: The peer's addresses.
        discarded: Counts by discard reason, written to.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        ufrag: str,
        awaited: Container[bytes],
        verified: Container[Address],
        discarded: dict[str, int],
        clock: Callable[[], float],
    ) -> None:
        self._username = f"{ufrag}:".encode()
        self._awaited = awaited
        self._verified = verified
        self._discarded = discarded
        self._clock = clock
        self._second_ends = 0.0
        self._left = {True: 0, False: 0}

    def admits(self, data: bytes, sender: Address) -> bool:
        """Return whether to parse a datagram; refused ones are counted.

        The peer's binding indications are ignored uncounted: they only keep paths open
        (RFC 8445 §11).
        """
        reason = self._refuse(data, sender)
        if reason is None:
            return True
        if reason:
            self._discarded[reason] += 1
        return False

    def _refuse(self, data: bytes, sender: Address) -> str | None:
        """Return the discard reason, "" to ignore without counting, or None to parse."""
        size = len(data)
        if not _HEADER <= size <= MAX_STUN or data[4:8] != _COOKIE:
            return "bad_stun"
        if size != _HEADER + (data[2] << 8 | data[3]):
            return "bad_stun"
        kind = data[:2]
        if kind == _REQUEST:
            if self._username not in data:
                return "bad_stun"
            return None if self._within_budget(sender) else "too_many_checks"
        if kind in (_RESPONSE, _ERROR):
            return None if data[8:_HEADER] in self._awaited else "bad_stun"
        if kind == _INDICATION:
            return "" if sender in self._verified else "unknown_source"
        return "bad_stun"

    def _within_budget(self, sender: Address) -> bool:
        now, left = self._clock(), self._left
        if now >= self._second_ends:
            self._second_ends = now + 1.0
            left[True] = left[False] = MAX_CHECKS
        verified = sender in self._verified
        left[verified] -= 1
        return left[verified] >= 0
