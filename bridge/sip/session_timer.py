"""Session timers (RFC 4028): a call whose far side has vanished ends, even without media."""

from typing import TYPE_CHECKING

from bridge.sip.events import Ended
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Request, Response, SipError
from bridge.sip.message.values import ValueSyntaxError, parameters
from bridge.sip.reason import TIMED_OUT
from bridge.sip.session import Phase, Session
from bridge.sip.snapshot import TimerSnapshot
from bridge.wire.snapshot_fields import copied, restored

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sip.transaction.timers import Timer

MIN_SE = 90
"""Seconds; the least that RFC 4028 section 5 allows."""
MAX_SE = 86_400
RETRY_REFRESH = 10.0


class SessionTimer:
    """Who refreshes the session, when, and when it has expired."""

    def __init__(self, session: Session, wanted: int) -> None:
        self.refresh: Callable[[float], None] | None = None
        """Sends an UPDATE or re-INVITE."""
        self._session = session
        self._interval = wanted and max(wanted, MIN_SE)
        self._min_se = MIN_SE
        self._refresher = ""
        """uac or uas of the next request of ours: who refreshes from then on."""
        self._running: list[Timer] = []
        self._expires_at: float | None = None
        self._refresh_at: float | None = None
        self._retries = 0

    def snapshot(self) -> TimerSnapshot:
        """Return it as data."""
        return copied(TimerSnapshot, self)

    def restore(self, snapshot: TimerSnapshot, now: float) -> None:
        """Go on as another one; what was due meanwhile is done at once."""
        restored(self, snapshot)
        after = self._session.after
        for at, action in ((self._expires_at, self._expired), (self._refresh_at, self._due)):
            if at is not None:
                self._running.append(after(max(0.0, at - now), action, now))

    def offer(self, headers: Headers) -> None:
        """Ask for the session timer in an INVITE or UPDATE of ours."""
        if self._interval:
            who = f";refresher={self._refresher}" if self._refresher else ""
            headers.put("Session-Expires", f"{self._interval}{who}")
            headers.put("Min-SE", str(self._min_se))

    def rejected(self, response: Response) -> bool:
        """Take the longer interval that a 422 asks for; return whether to send the request again."""
        least = response.headers.number("min-se") or 0
        self._retries += 1
        if self._retries > 2 or not MIN_SE <= least <= MAX_SE:
            return False
        self._min_se = max(self._min_se, least)
        self._interval = max(self._interval, least)
        return True

    def agreed(self, response: Response, now: float) -> None:
        """Take what a 2xx to our request says."""
        interval, refresher = _session_expires(response.headers)
        if not interval or self._session.rules.bye_only:
            self._stop()
            return
        ours = refresher != "uas"
        self._refresher = "uac" if ours else "uas"
        interval = max(interval, MIN_SE)
        self._start(interval, now, due=interval / 2 if ours else None)

    def answer(self, request: Request, now: float) -> tuple[tuple[str, str], ...]:
        """Return the fields of our 2xx to a request of theirs, and begin anew."""
        if self._session.rules.bye_only:
            return ()
        interval, refresher = _session_expires(request.headers)
        able = "timer" in request.headers.tokens("supported")
        if not interval:
            if not self._interval:
                return ()
            interval, refresher = max(self._interval, request.headers.number("min-se") or 0), "uas"
        if refresher != "uas":
            refresher = "uac" if able else "uas"
        interval = min(max(interval, MIN_SE), MAX_SE)
        ours = refresher == "uas"
        self._refresher = "uac" if ours else "uas"
        self._start(interval, now, due=interval / 2 if ours else None)
        fields = (("Session-Expires", f"{interval};refresher={refresher}"),)
        return fields if ours else (*fields, ("Require", "timer"))

    def refused(self, response: Response, now: float) -> None:
        """Take a refusal of our refresh, which still proves that the far side is alive."""
        if response.code == 422:
            self.rejected(response)
        if response.local:
            self.refresh_later(now)
        elif self._session.phase is Phase.CONFIRMED and self._running:
            self._start(self._interval, now, due=max(self._interval / 8, RETRY_REFRESH))

    def refresh_later(self, now: float) -> None:
        """Retry the refresh in 10 s; the session still ends when its interval expires."""
        if self._session.phase is Phase.CONFIRMED and self._running:
            self._refresh_at = now + RETRY_REFRESH
            self._running.append(self._session.after(RETRY_REFRESH, self._due, now))

    def _start(self, interval: int, now: float, *, due: float | None) -> None:
        self._stop()
        self._interval = interval
        after, left = self._session.after, interval - min(32.0, interval / 3)
        self._expires_at = now + left
        self._refresh_at = None if due is None else now + due
        self._running = [after(left, self._expired, now)]
        if due is not None:
            self._running.append(after(due, self._due, now))

    def _stop(self) -> None:
        for timer in self._running:
            timer.cancel()
        self._running = []
        self._expires_at = self._refresh_at = None

    def _due(self, now: float) -> None:
        if self.refresh:
            self.refresh(now)

    def _expired(self, now: float) -> None:
        self._session.end(Ended(code=408), now, bye=True, reason=TIMED_OUT)


def check_interval(request: Request) -> None:
    """Check a request of theirs.

    Raises:
        SipError: 422, it asks for refreshes too often.
    """
    interval, _ = _session_expires(request.headers)
    if interval and interval < MIN_SE and "timer" in request.headers.tokens("supported"):
        raise SipError(422, "too short an interval", headers=(("Min-SE", str(MIN_SE)),))


def _session_expires(headers: Headers) -> tuple[int, str]:
    """Return interval (0 for none) and refresher (uac, uas or empty)."""
    interval = headers.number("session-expires") or 0
    _, semicolon, rest = headers.first("session-expires").partition(";")
    try:
        refresher = parameters(semicolon + rest).get("refresher", "").lower()
    except ValueSyntaxError:
        refresher = ""
    return min(interval, MAX_SE), refresher
