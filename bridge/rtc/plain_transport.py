"""UDP sockets, addresses and SRTP keys of a peer that speaks plain RTP."""

from collections.abc import Callable
from typing import Final

from bridge.rtc.limits import MAX_PACKETS, Address
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_socket import RtpSockets
from bridge.rtc.rtp_source import RtpSource
from bridge.rtc.srtp import PROFILES, Refusal, Srtp
from bridge.rtp.source_filter import SourceFilter
from bridge.wire.sdp.crypto import Crypto
from bridge.wire.sdp.rtp import RemoteRtp

_COMFORT_NOISE: Final = 13
_MIN_PACKET: Final = 12


class PlainTransport:
    """Carries packets to and from one peer; what is not the peer's is dropped and counted.

    `receive_rtp` and `receive_rtcp` take the peer's packets, unprotected, but those that `source_filter` ignores;
    `discarded` counts by discard reason.
    """

    def __init__(  # noqa: PLR0913  (all but one by keyword)
        self,
        ports: PortPool,
        *,
        receive_rtp: Callable[[bytes, float], None],
        receive_rtcp: Callable[[bytes, float], None],
        source_filter: SourceFilter,
        discarded: dict[str, int],
        clock: Callable[[], float],
        source: RtpSource,
    ) -> None:
        self.receive_rtp = receive_rtp
        self._filter = source_filter
        self.crypto: Crypto | None = None
        """What we encrypt with; None for plain RTP, and before a description."""
        self.alive_at: float | None = None
        """When the peer's last packet came, report or audio (monotonic seconds)."""
        self._ports = ports
        self._receive_rtcp = receive_rtcp
        self._discarded = discarded
        self._clock = clock
        self._sockets: RtpSockets | None = None
        self._source = source
        self._rtcp_named: Address | None = None
        """Where the description wants reports; None: where the audio goes."""
        self._rtcp_target: Address | None = None
        """Where reports go; None likewise."""
        self._digits: frozenset[int] = frozenset()
        """Payload types of the peer's telephone events."""
        self._described = False
        self._their_key = b""
        self._srtp: Srtp | None = None
        self._second_ends = 0.0
        self._allowed = 0

    @property
    def sockets(self) -> RtpSockets | None:
        """The open sockets; None before `open` and after `close`."""
        return self._sockets

    async def open(self, host: str, *, pair: bool) -> None:
        """Open one port on an address of ours, or with `pair` another for reports.

        Raises:
            LimitExceeded, LegError: as `RtpSockets.open`.
        """
        self._sockets = RtpSockets(host, self._ports)
        await self._sockets.open(
            pair=pair,
            on_rtp=self._rtp_received,
            on_rtcp=self._rtcp_received,
            discarded=self._discarded,
        )

    def describe(self, remote: RemoteRtp, crypto: Crypto | None) -> None:
        """Use what both descriptions say from now on; `crypto` is what we encrypt with."""
        self._use_keys(remote.crypto, crypto)
        audio = remote.audio
        sends = audio.direction in ("sendrecv", "sendonly")
        types = audio.payload_types | {_COMFORT_NOISE} if sends else frozenset()
        address = (remote.host, remote.port) if remote.host else None
        self._source.describe(address, types, encrypted=self._srtp is not None, now=self._clock())
        self._described = True
        self._digits = frozenset(audio.telephone_events)
        self._rtcp_named = self._rtcp_target = remote.rtcp
        if remote.rtcp is None and self._sockets is not None:
            self._sockets.join()

    def close(self) -> None:
        """Close the sockets and release their ports; safe to repeat."""
        sockets, self._sockets = self._sockets, None
        if sockets is not None:
            sockets.close()

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send an RTP packet; count it as `unsendable` if that fails."""
        target, srtp = self._source.target, self._srtp
        transport = None if self._sockets is None else self._sockets.rtp
        protected = packet if srtp is None else srtp.protect(packet)
        if target is None or transport is None or protected is None:
            self._discarded["unsendable"] += 1
        else:
            transport.sendto(protected, target)

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send a compound RTCP packet; count it likewise."""
        target, srtp = self._rtcp_target or self._source.target, self._srtp
        transport = None if self._sockets is None else self._sockets.rtcp
        protected = packet if srtp is None else srtp.protect_rtcp(packet)
        if target is None or transport is None or protected is None:
            self._discarded["unsendable"] += 1
        else:
            transport.sendto(protected, target)

    def _use_keys(self, theirs: Crypto | None, ours: Crypto | None) -> None:
        before, self.crypto = self.crypto, ours
        if theirs is None or ours is None:
            self._srtp = None
            return
        if self._srtp is None or before is None or before.key != ours.key:
            profile = PROFILES[ours.suite]
            self._srtp = Srtp(profile, send_key=ours.key, receive_key=theirs.key)
        elif self._their_key != theirs.key:
            self._srtp.set_receive_key(theirs.key)
        self._their_key = theirs.key

    def _rtp_received(self, data: bytes, sender: Address) -> None:
        known = len(data) < 2 or self._filter.audio_types[data[1]]
        if not known and self._take_other(data, sender):
            return
        now, source, srtp = self._clock(), self._source, self._srtp
        if srtp is not None:
            plain = srtp.unprotect(data) if len(data) >= _MIN_PACKET else Refusal.BAD
            if not isinstance(plain, bytes):
                self._discarded[plain.value] += 1
                return
            data = plain
            if sender == source.current:
                source.heard(data, now)
            else:
                source.authenticated(sender, data, now)
        elif sender == source.current:
            source.heard(data, now)
        elif not source.admit(sender, data, now):
            self._discarded["unknown_source" if self._described else "early_media"] += 1
            return
        if not source.verified and len(data) > 1 and data[1] & 0x7F in self._digits:
            self._discarded["unverified_digit"] += 1
            return
        if self._admits(now):
            receive = self.receive_rtp
            receive(data, now)

    def _take_other(self, data: bytes, sender: Address) -> bool:
        """Process what has no payload type of the audio; return whether it is done with."""
        if 191 < data[1] < 224:  # RFC 5761 §4
            self._rtcp_received(data, sender)
            return True
        hosts = {one[0] for one in (self._source.current, self._source.target) if one}
        return sender[0] in hosts and self._filter.ignores(data)

    def _rtcp_received(self, data: bytes, sender: Address) -> None:
        srtp = self._srtp
        if srtp is not None:
            plain = srtp.unprotect_rtcp(data) if len(data) >= _MIN_PACKET else Refusal.BAD
            if not isinstance(plain, bytes):
                self._discarded[plain.value] += 1
                return
            data = plain
        elif not (self._described and self._knows(sender)):
            self._discarded["unknown_source" if self._described else "early_media"] += 1
            return
        now = self._clock()
        if self._admits(now):
            target = self._rtcp_target
            # Behind a NAT others share the host: the first sender stays, unless a key proves another.
            first = target == self._rtcp_named or not self._source.behind_nat
            if target is not None and (srtp is not None or first):
                self._rtcp_target = sender
            self._receive_rtcp(data, now)

    def _knows(self, sender: Address) -> bool:
        """Whether reports may come from an address: from a host of the peer's."""
        named = self._rtcp_named
        return self._source.admits_report(sender) or (named is not None and named[0] == sender[0])

    def _admits(self, now: float) -> bool:
        """Count a packet of the peer's; False above the limit."""
        self.alive_at = now
        if now >= self._second_ends:
            self._second_ends, self._allowed = now + 1.0, MAX_PACKETS
        self._allowed -= 1
        if self._allowed < 0:
            self._discarded["too_many_packets"] += 1
            return False
        return True
