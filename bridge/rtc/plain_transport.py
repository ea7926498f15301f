"""UDP sockets, addresses and SRTP keys of a peer that speaks plain RTP."""

import socket
from collections.abc import Callable, Sequence
from typing import Final

from bridge.errors import HandoverRefused, InvalidState, LegError
from bridge.log import call_id as log_call_id
from bridge.rtc.demux import ArrivalCounter, Arrivals
from bridge.rtc.limits import MAX_PACKETS, Address
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_socket import RtpSockets
from bridge.rtc.rtp_source import RtpSource
from bridge.rtc.srtp import PROFILES, Refusal, Srtp
from bridge.rtp.config import drop
from bridge.rtp.session import RtpSession
from bridge.wire.sdp.crypto import Crypto
from bridge.wire.sdp.rtp import RemoteRtp
from bridge.wire.snapshot.peer import PlainTransportSnapshot

_COMFORT_NOISE: Final = 13
_MIN_PACKET: Final = 12


class PlainTransport:
    """Carries packets to and from one peer; what is not the peer's is dropped and counted.

    `receive_rtp` takes the peer's packets of audio, unprotected, and `session` its reports; `discarded` counts by
    discard reason.
    """

    def __init__(  # noqa: PLR0913  (all but one by keyword)
        self,
        ports: PortPool,
        *,
        session: RtpSession,
        receive_rtp: Callable[[bytes, float], None],
        discarded: dict[str, int],
        clock: Callable[[], float],
        source: RtpSource,
        packet_path: PacketPath | None,
    ) -> None:
        self.receive_rtp = receive_rtp
        self._session = session
        self._filter = session.filter
        self._receive_rtcp = session.receive_rtcp
        self.crypto: Crypto | None = None
        """What we encrypt with; None for plain RTP, and before a description."""
        self.offload = (
            None
            if packet_path is None
            else packet_path.transport(
                receive=lambda packet, now: self.receive_rtp(packet, now),
                discarded=discarded,
                limit=MAX_PACKETS,
                secured=False,
            )
        )
        """Of the session's packets, where there is a packet path."""
        self._arrivals: Arrivals = (
            ArrivalCounter(MAX_PACKETS) if self.offload is None else self.offload
        )
        self._route: tuple[Address | None, Address | None] = None, None
        """Where the packet path sends, and the address that it takes packets from."""
        self._ports = ports
        self._discarded = discarded
        self._clock = clock
        self.sockets: RtpSockets | None = None
        """The open ones; None before `open` and after `close`."""
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

    @property
    def alive_at(self) -> float | None:
        """When the peer's last packet came, report or audio (monotonic seconds)."""
        return self._arrivals.alive_at or None

    def open(self, host: str, *, pair: bool) -> None:
        """Open one port on an address of ours, or with `pair` another for reports.

        Raises:
            LimitExceeded, LegError: as `RtpSockets.open`.
            InvalidState: They are open.
        """
        if self.sockets is not None:
            raise InvalidState("the peer has been described already")
        self.sockets = self._new_sockets(host)
        self.sockets.open(pair=pair)

    def suspend(self) -> tuple[PlainTransportSnapshot, list[socket.socket]]:
        """Stop reading and sending; return what another transport goes on with, and the sockets, which stay this one's.

        Raises:
            HandoverRefused: it cannot be passed on now; it goes on.
        """
        sockets, session = self.sockets, self._session
        if sockets is None or not self._described:
            raise HandoverRefused("the media of a leg is not described yet")
        session.set_transmit(drop, drop)  # ends the offloads, while they still have their route
        self._catch_up()
        bound, keys = sockets.suspend(), None
        try:
            if self._srtp is not None:
                keys = self._srtp.snapshot(session.sent, session.heard)
        except HandoverRefused:
            self.resume()
            raise
        snapshot = PlainTransportSnapshot(
            host=sockets.host,
            srtp=keys,
            source=self._source.snapshot(),
            rtcp_named=self._rtcp_named,
            rtcp_target=self._rtcp_target,
            alive_at=self._arrivals.alive_at,
        )
        return snapshot, bound

    def resume(self) -> None:
        """Go on after `suspend`."""
        if self.sockets is not None:
            self.sockets.resume()
        self._route = None, None
        self._set_route()
        self._session.set_transmit(self.send_rtp, self.send_rtcp, self.offload)

    def restore(
        self,
        snapshot: PlainTransportSnapshot,
        sockets: Sequence[socket.socket],
        *,
        theirs: Crypto | None,
        ours: Crypto | None,
        digits: frozenset[int],
    ) -> None:
        """Go on in a new transport; the sockets are its own.

        Raises:
            HandoverRefused: it cannot; the sockets are the caller's.
        """
        names = [sock.getsockname()[0] for sock in sockets]
        if len(names) not in (1, 2) or set(names) != {snapshot.host}:
            raise HandoverRefused("the media sockets of a leg are missing")
        if (snapshot.srtp is None) != (ours is None or theirs is None):
            raise HandoverRefused("the keys of a leg are missing")
        self._srtp = None if snapshot.srtp is None else Srtp.restored(snapshot.srtp)
        self.crypto, self._digits, self._described = ours, digits, True
        self._their_key = b"" if theirs is None else theirs.key
        self._source.restore(snapshot.source)
        self._rtcp_named, self._rtcp_target = snapshot.rtcp_named, snapshot.rtcp_target
        self._arrivals.alive_at = snapshot.alive_at
        if self._srtp is not None:
            self._srtp.note_in(self._session.used)
        if self.offload is not None:
            self.offload.set_keys(self._srtp)
        self.sockets = self._new_sockets(snapshot.host)
        try:
            self.sockets.take(sockets, inherited=True)
        except LegError as error:
            self.sockets = None
            raise HandoverRefused("a media socket of a leg cannot be polled") from error
        self._set_route()

    def _new_sockets(self, host: str) -> RtpSockets:
        marks, call_id = self._session.marks, log_call_id.get()
        return RtpSockets(
            host,
            self._ports,
            on_rtp=marks.marked(call_id, self._rtp_received),
            on_rtcp=marks.marked(call_id, self._rtcp_received),
            discarded=self._discarded,
            offload=self.offload,
        )

    def describe(self, remote: RemoteRtp, crypto: Crypto | None) -> None:
        """Use what both descriptions say from now on; `crypto` is what we encrypt with."""
        self._use_keys(remote.crypto, crypto)
        self._catch_up()
        audio = remote.audio
        sends = audio.direction in ("sendrecv", "sendonly")
        types = audio.payload_types | {_COMFORT_NOISE} if sends else frozenset()
        address = (remote.host, remote.port) if remote.host else None
        self._source.describe(address, types, encrypted=self._srtp is not None, now=self._clock())
        self._described = True
        self._digits = frozenset(audio.telephone_events)
        self._rtcp_named = self._rtcp_target = remote.rtcp
        if remote.rtcp is None and self.sockets is not None:
            self.sockets.join()
        self._set_route()

    def close(self) -> None:
        """Close the sockets and release their ports; safe to repeat."""
        if self.offload is not None:
            self.offload.close()
        sockets, self.sockets = self.sockets, None
        if sockets is not None:
            sockets.close()

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send an RTP packet; count it as `unsendable` if that fails."""
        target, srtp = self._source.target, self._srtp
        transport = None if self.sockets is None else self.sockets.rtp
        protected = packet if srtp is None else srtp.protect(packet)
        if target is None or transport is None or protected is None:
            self._discarded["unsendable"] += 1
        else:
            transport.sendto(protected, target)

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send a compound RTCP packet; count it likewise."""
        target, srtp = self._rtcp_target or self._source.target, self._srtp
        transport = None if self.sockets is None else self.sockets.rtcp
        protected = packet if srtp is None else srtp.protect_rtcp(packet)
        if target is None or transport is None or protected is None:
            self._discarded["unsendable"] += 1
        else:
            transport.sendto(protected, target)

    def _use_keys(self, theirs: Crypto | None, ours: Crypto | None) -> None:
        before, self.crypto = self.crypto, ours
        replaced: object = self._srtp
        if theirs is None or ours is None:
            self._srtp = None
        else:
            if self._srtp is None or before is None or before.key != ours.key:
                profile = PROFILES[ours.suite]
                self._srtp = Srtp(profile, send_key=ours.key, receive_key=theirs.key)
            elif self._their_key != theirs.key:
                replaced = self._srtp.set_receive_key(theirs.key)
            self._their_key = theirs.key
        if self._srtp is not None:
            self._srtp.note_in(self._session.used)
        if self.offload is not None:
            self.offload.set_keys(self._srtp)
        del replaced  # which the packet path has left now

    def _set_route(self) -> None:
        """Let the packet path send where this does, and take what comes from an address that needs no check."""
        if self.offload is None or self.sockets is None:
            return
        route = self._source.target, self._source.unchecked
        if route == self._route:
            return
        self._route, rtp = route, self.sockets.rtp
        fileno = -1 if rtp is None else rtp.get_extra_info("socket").fileno()
        self.offload.set_routes(fileno, *route)

    def _catch_up(self) -> None:
        """Let the source know of the packets that the packet path has taken from it."""
        last = None if self.offload is None else self._session.last_received()
        if last is not None:
            self._source.catch_up(self._filter.ssrc, last)

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
        else:
            self._catch_up()
            admitted = source.admit(sender, data, now)
            self._set_route()
            if not admitted:
                self._discarded["unknown_source" if self._described else "early_media"] += 1
                return
        self._set_route()
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
        self._catch_up()
        admitted = self._source.admits_report(sender)
        self._set_route()
        return admitted or (named is not None and named[0] == sender[0])

    def _admits(self, now: float) -> bool:
        """Count a packet of the peer's; False above the limit."""
        if self._arrivals.admit(now):
            return True
        self._discarded["too_many_packets"] += 1
        return False
