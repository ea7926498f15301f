"""The audio of a telephone leg: sends without a pause, reports, and watches for silence."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from bridge.call.bus.silence_detector import SilenceDetector
from bridge.call.events import LegEvent, LegSilent
from bridge.call.model import LegId, LegKind
from bridge.rtc.plain_peer import PlainPeer
from bridge.wire.rtp.telephone_event import DIGITS

log = logging.getLogger(__name__)

RTP_TIMEOUT_SECONDS: Final = 30.0
"""Without a packet and without a report for this long, an answered call is over."""
MAX_DIGITS: Final = 64
"""Digits that wait to be sent by INFO; more are dropped, and logged once."""

_INFO_SECONDS: Final = 0.25
"""Between two digits sent by INFO."""
_CHECK_SECONDS: Final = 0.5
_MIN_SLEEP: Final = 0.001


class SipMedia:
    """A leg's peer, while the call lasts.

    `send_info` sends a digit by INFO; `emit` takes what happens; `on_timeout` is called once nothing has come for
    `RTP_TIMEOUT_SECONDS`.
    """

    def __init__(
        self,
        leg_id: LegId,
        peer: PlainPeer,
        *,
        by_info: bool,
        send_info: Callable[[str], None],
        emit: Callable[[LegEvent], None],
        on_timeout: Callable[[], None],
    ) -> None:
        """Begin; with `by_info` no digit is sent as a telephone event."""
        self.may_send = asyncio.Event()
        """Both sides are described, so that packets may be sent."""
        self.answered = False
        self._peer = peer
        self._by_info = by_info
        self._send_info = send_info
        self._emit = emit
        self._on_timeout = on_timeout
        self._silence = SilenceDetector(leg_id)
        self._clock = asyncio.get_running_loop().time
        self._listening_since = 0.0
        """Since when packets of the far side are expected."""
        self._digits: deque[str] = deque()
        self._digits_due = 0.0
        self._digits_dropped = False

    def listen(self) -> None:
        """Expect packets from now on: what both sides send was agreed anew."""
        self._listening_since = self._clock()

    def send_digits(self, digits: str) -> None:
        """Send DTMF, as telephone events or by INFO; dropped before the answer, or when too many wait."""
        sent = self.answered and (self._as_events(digits) or self._as_info(digits))
        if not sent and not self._digits_dropped:
            self._digits_dropped = True
            log.warning("leg.digits_dropped", extra={"kind": LegKind.SIP})

    async def run(self) -> None:
        """Send and report until cancelled."""
        await self.may_send.wait()
        peer, session = self._peer, self._peer.session
        due = self._clock()
        session.start_sending(due)
        report_due = due + peer.report_seconds
        check_due = due + _CHECK_SECONDS
        while True:
            # Silence is due 60 ms after a packet, so this wakes often enough for everything else.
            now = self._clock()
            await asyncio.sleep(max(_MIN_SLEEP, session.next_tick(now) - now))
            now = self._clock()
            session.tick(now)
            if self._digits and now >= self._digits_due:
                self._digits_due = now + _INFO_SECONDS
                self._send_info(self._digits.popleft())
            if now >= report_due:
                report_due = now + peer.report_seconds
                session.report(now, datetime.now(UTC).timestamp())
            if now >= check_due:
                check_due = now + _CHECK_SECONDS
                self._check(now)

    def _as_events(self, digits: str) -> bool:
        return not self._by_info and self._peer.session.send_digits(digits)

    def _as_info(self, digits: str) -> bool:
        audio = self._peer.audio
        if not self._by_info and (audio is None or audio.telephone_events):
            return False
        wanted = [digit for digit in digits.upper() if digit in DIGITS]
        if len(self._digits) + len(wanted) > MAX_DIGITS:
            return False
        self._digits.extend(wanted)
        return True

    def _check(self, now: float) -> None:
        """Watch for silence, and for a far side that is gone."""
        session = self._peer.session
        if (event := self._silence.check(session.last_received(), now)) is not None:
            silent = isinstance(event, LegSilent)
            log.info("leg.silent" if silent else "leg.resumed", extra={"kind": LegKind.SIP})
            self._emit(event)
        if not self.answered or self._peer.held or not session.receives:
            self._listening_since = now
        elif now - max(self._listening_since, self._peer.alive_at or 0.0) >= RTP_TIMEOUT_SECONDS:
            log.warning("leg.closed", extra={"kind": LegKind.SIP, "reason": "rtp_timeout"})
            self._on_timeout()
