"""The audio of a telephone leg: sends without a pause, reports, and watches for silence."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from bridge.call.bus.silence_detector import SilenceDetector
from bridge.call.events import LegEvent, LegSilent
from bridge.call.model import EndReason, LegId, LegKind
from bridge.errors import BridgeError, SdpError
from bridge.legs import sip_reasons
from bridge.rtc.plain_peer import PlainPeer
from bridge.sip.events import Refused
from bridge.sip.snapshot import SipCallSnapshot
from bridge.wire.rtp.telephone_event import DIGITS
from bridge.wire.snapshot.peer import PlainPeerSnapshot

log = logging.getLogger(__name__)

RTP_TIMEOUT_SECONDS: Final = 30.0
"""Without a packet and without a report for this long, an answered call is over."""
MAX_DIGITS: Final = 64
"""Digits that wait to be sent by INFO; more are dropped, and logged once."""

_INFO_SECONDS: Final = 0.25
"""Between two digits sent by INFO."""
_CHECK_SECONDS: Final = 0.5
_MIN_SLEEP: Final = 0.001
_SUSPENDED_SLEEP: Final = 0.01


PlainPeerFactory: TypeAlias = Callable[[Callable[[str], None], Callable[[], str]], PlainPeer]
"""Makes a leg's peer, given a callback for each digit it sends, and what returns the IP address that it signals from."""


class RefusalReader(Protocol):
    """Reads the refusal of an outbound call."""

    def __call__(self, event: Refused, *, rang: bool) -> tuple[EndReason, BridgeError | None]:
        """Return why the call ended, and the error unless the called party has refused it."""


@dataclass(frozen=True, slots=True)
class InboundInvite:
    """The far side's INVITE."""

    sdp: str
    """Its offer; empty if it asks for ours."""


@dataclass(frozen=True, slots=True)
class SipOptions:
    """How to talk to one trunk."""

    dtmf: Literal["rfc4733", "info"] = "rfc4733"
    """How digits are sent; by INFO too where the far side takes no telephone events. Both are received."""
    early_media: bool = True
    """Whether the near parties hear what the far side sends before the answer."""
    kind: LegKind = LegKind.SIP
    fixed: bool = False
    """Whether nothing is signalled in an answered call but its end: neither a hold nor digits."""
    refused: RefusalReader = sip_reasons.refused


USUAL_OPTIONS: Final = SipOptions()


class SipSnapshot(msgspec.Struct, frozen=True):
    """A leg whose call is answered, and in whose dialog nothing is under way."""

    peer: PlainPeerSnapshot
    dialog: SipCallSnapshot
    silent: bool
    held: bool
    direction: str


class PortableSip(msgspec.Struct, frozen=True):
    """Such a leg for another machine, which offers the far side media of its own."""

    dialog: SipCallSnapshot
    """As `SipCallSnapshot.portable` returns it."""
    direction: str
    session_id: int
    """Of our description of the media, and its version: the next one continues them (RFC 3264 §8)."""
    session_version: int


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
        options: SipOptions,
        send_info: Callable[[str], None],
        emit: Callable[[LegEvent], None],
        on_timeout: Callable[[], None],
    ) -> None:
        self.may_send = asyncio.Event()
        """Both sides are described, so that packets may be sent."""
        self.answered = False
        self._restored = False
        self._peer = peer
        self._kind, self._fixed = options.kind, options.fixed
        self._by_info = options.dtmf == "info"
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

    @property
    def digits_pending(self) -> bool:
        """Whether digits wait to be sent by INFO."""
        return bool(self._digits)

    @property
    def silent(self) -> bool:
        """Whether the far side was reported silent."""
        return self._silence.silent

    def restore(self, *, silent: bool) -> None:
        """Go on where another process has sent and watched, when it is run."""
        self._silence.silent = silent
        self._restored = self.answered = True
        self.may_send.set()
        self.listen()

    def listen(self) -> None:
        """Expect packets from now on: what both sides send was agreed anew."""
        self._listening_since = self._clock()

    def send_digits(self, digits: str) -> None:
        """Send DTMF, as telephone events or by INFO; dropped before the answer, or when too many wait."""
        sent = self.answered and (self._as_events(digits) or self._as_info(digits))
        if not sent and not self._digits_dropped:
            self._digits_dropped = True
            log.warning("leg.digits_dropped", extra={"kind": self._kind})

    def take_early(self, sdp: str) -> bool:
        """Apply the SDP of early media; an unusable one is ignored until the answer."""
        try:
            self._peer.set_answer(sdp)
        except SdpError as error:
            log.info("leg.no_early_media", extra={"kind": self._kind, "code": error.code})
            return False
        self.may_send.set()
        return True

    async def run(self) -> None:
        """Send and report until cancelled."""
        await self.may_send.wait()
        peer, session = self._peer, self._peer.session
        due = self._clock()
        if not self._restored:
            session.start_sending(due)
        report_due = due + peer.report_seconds
        check_due = due + _CHECK_SECONDS
        while True:
            # Silence is due 60 ms after a packet, so this wakes often enough for everything else.
            now = self._clock()
            await asyncio.sleep(max(_MIN_SLEEP, session.next_tick(now) - now))
            now = self._clock()
            if peer.suspended:
                await asyncio.sleep(_SUSPENDED_SLEEP)
                continue
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
        events_alone = self._fixed or audio is None or bool(audio.telephone_events)
        if not self._by_info and events_alone:
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
            log.info("leg.silent" if silent else "leg.resumed", extra={"kind": self._kind})
            self._emit(event)
        if not self.answered or self._peer.held or not session.receives:
            self._listening_since = now
        elif now - max(self._listening_since, self._peer.alive_at or 0.0) >= RTP_TIMEOUT_SECONDS:
            log.warning("leg.closed", extra={"kind": self._kind, "reason": "rtp_timeout"})
            self._on_timeout()
