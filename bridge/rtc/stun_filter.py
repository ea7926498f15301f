"""Which STUN datagrams are worth parsing: a few bytes of each decide, so that floods stay cheap."""

from collections.abc import Callable, Container
from typing import Final

from bridge.rtc.guard import Address

MAX_STUN: Final = 600
"""Bytes of the longest STUN message that ICE needs: user fragments have at most 256 each."""
MAX_CHECKS: Final = 200
"""How many checks a socket looks into in a second: as many again from addresses already proved."""

_HEADER: Final = 20
_COOKIE: Final = b"\x21\x12\xa4\x42"
_REQUEST, _RESPONSE, _ERROR, _INDICATION = b"\0\x01", b"\x01\x01", b"\x01\x11", b"\0\x11"


class StunFilter:
    """Decides for one socket; RFC 8489 §5 has the header's layout.

    A check of the peer's has our user fragment in it, a response the id of a request of ours.
    Neither is known to strangers. What they overheard is limited by a budget of its own, so that
    it costs the peer's own checks nothing.

    Args:
        ufrag: Our user fragment.
        awaited: Ids of our requests whose response has not come yet.
        known: Addresses that proved to be the peer's.
        discarded: Counts by discard reason, written to.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        ufrag: str,
        awaited: Container[bytes],
        known: Container[Address],
        discarded: dict[str, int],
        clock: Callable[[], float],
    ) -> None:
        self._username = f"{ufrag}:".encode()
        self._awaited = awaited
        self._known = known
        self._discarded = discarded
        self._clock = clock
        self._second_ends = 0.0
        self._left = {True: 0, False: 0}

    def admits(self, data: bytes, sender: Address) -> bool:
        """Report whether to parse a datagram; what is refused is counted under its reason.

        Binding indications only keep paths open (RFC 8445 §11): those of the peer are no error.
        """
        reason = self._refuse(data, sender)
        if reason is None:
            return True
        if reason:
            self._discarded[reason] += 1
        return False

    def _refuse(self, data: bytes, sender: Address) -> str | None:
        """Return why not to parse; "" where that is no error, None to parse."""
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
            return "" if sender in self._known else "unknown_source"
        return "bad_stun"

    def _within_budget(self, sender: Address) -> bool:
        now, left = self._clock(), self._left
        if now >= self._second_ends:
            self._second_ends = now + 1.0
            left[True] = left[False] = MAX_CHECKS
        known = sender in self._known
        left[known] -= 1
        return left[known] >= 0
