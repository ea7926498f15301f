"""RTCP reports of one session: ours to the peer, and the peer's about our stream (RFC 3550 §6)."""

from typing import Final

from bridge.wire.rtp.packet import CLOCK_RATE
from bridge.wire.rtp.reception import ReceptionStatistics
from bridge.wire.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_middle,
    ntp_time,
    parse_compound,
    round_trip,
    serialize,
)
from bridge.wire.rtp.stream import OutgoingStream
from bridge.wire.snapshot.session import ReportsSnapshot
from bridge.wire.snapshot_fields import copied, restored

IDLE_SECONDS: Final = 5
"""Between two reports while no packets flow."""
TAIL: Final = 2
"""Reports after the last packet, so that levels fall and the peer learns how much has come."""

# A longer round trip is an error of the peer's.
_MAX_ROUND_TRIP: Final = 60.0


class Reports:
    """Composes our reports and keeps the newest values of the peer's."""

    def __init__(self, cname: str, *, clock_rate: int = CLOCK_RATE) -> None:
        self._cname = cname
        self.clock_rate = clock_rate
        """Of our stream's timestamps, hertz."""
        # Unix time minus monotonic time at the first report: a step of the wall clock must not change
        # the round trip.
        self._wall_offset: float | None = None
        self._described = -1
        self._description = b""
        """The SDES of our stream, which is the same in each report."""
        self.received = 0
        """Sender and receiver reports of the peer."""
        self.about_us = 0
        """Of those, the ones that say that more of our stream has come."""
        self.highest: int | None = None
        """The highest sequence number of ours that a report named."""
        self.reset()

    def reset(self) -> None:
        """Clear the peer's values: its source has restarted."""
        self.highest = None
        self.remote_lost = 0
        self.remote_loss_ratio = 0.0
        self.remote_jitter_seconds = 0.0
        self.round_trip_seconds: float | None = None

    def snapshot(self) -> ReportsSnapshot:
        """Return what was reported."""
        return copied(ReportsSnapshot, self)

    def restore(self, snapshot: ReportsSnapshot) -> None:
        """Go on after what was reported to another process, and by it."""
        restored(self, snapshot)._described = -1

    def compose(
        self,
        stream: OutgoingStream,
        reception: ReceptionStatistics | None,
        *,
        now: float,
        wall: float,
        forwarded_loss_ratio: float = 0.0,
        bye: bool = False,
    ) -> bytes:
        """Compose a compound packet: a report, SDES, and BYE if our stream ends here.

        `reception` is of the peer's source, None before its first packet; `wall` is Unix time. Of the
        loss seen here and that of the peer to which the source's packets are forwarded, the greater is
        reported, so that the source's encoder adds FEC.
        """
        if self._wall_offset is None:
            self._wall_offset = wall - now
        blocks: tuple[ReportBlock, ...] = ()
        if reception is not None:
            block = reception.report_block(now)
            forwarded = min(255, int(forwarded_loss_ratio * 256))
            if forwarded > block.fraction_lost:
                block = block._replace(fraction_lost=forwarded)
            blocks = (block,)
        report: RtcpPacket = ReceiverReport(stream.ssrc, blocks)
        if stream.packets:
            report = SenderReport(
                ssrc=stream.ssrc,
                ntp=ntp_time(now + self._wall_offset),
                timestamp=stream.timestamp_at(now),
                packets=stream.packets,
                octets=stream.octets,
                blocks=blocks,
            )
        if stream.ssrc != self._described:
            self._described = stream.ssrc
            self._description = serialize([SourceDescription(stream.ssrc, self._cname)])
        byes = serialize([Bye((stream.ssrc,))]) if bye else b""
        return serialize([report]) + self._description + byes

    def receive(
        self, data: bytes, *, ssrc: int, reception: ReceptionStatistics | None, now: float
    ) -> bool:
        """Process a compound packet; return whether the peer reported on our stream, `ssrc`.

        Blocks about other streams and sender reports of other sources are ignored, and so is BYE, as
        only the transport ends a session.

        Raises:
            RemoteProtocolError: The packet is malformed; none of it was used.
        """
        about_us = False
        for packet in parse_compound(data):
            if not isinstance(packet, SenderReport | ReceiverReport):
                continue
            ours = [block for block in packet.blocks if block.ssrc == ssrc]
            if not ours and reception is not None and packet.ssrc != reception.ssrc:
                continue  # of another line, which was refused
            self.received += 1
            for block in ours:
                self._receive_block(block, now)
                about_us = True
                if block.highest_sequence != self.highest:
                    self.about_us += 1
                    self.highest = block.highest_sequence
            if (
                isinstance(packet, SenderReport)
                and reception is not None
                and packet.ssrc == reception.ssrc
            ):
                reception.sender_report(packet, now)
        return about_us

    def _receive_block(self, block: ReportBlock, now: float) -> None:
        self.remote_lost = max(0, block.packets_lost)
        self.remote_loss_ratio = block.fraction_lost / 256
        self.remote_jitter_seconds = block.jitter / self.clock_rate
        if self._wall_offset is None:
            return
        seconds = round_trip(ntp_middle(ntp_time(now + self._wall_offset)), block)
        if seconds is not None and seconds <= _MAX_ROUND_TRIP:
            self.round_trip_seconds = seconds


class ReportPacing:
    """Decides once a second whether to report: less often while there is nothing to (RFC 3550 §6.2 asks for one in 5 s)."""

    def __init__(self) -> None:
        self._before: tuple[int, float | None] = -1, None
        self.idle = 0
        """Seconds, as counted by `due`, without a packet in either direction."""

    def due(self, sent: int, received: float | None) -> bool:
        """Return whether to report now; to be called once a second.

        `sent` is how many packets our stream has had, `received` when the last one came.
        """
        now = sent, received
        if now != self._before:
            self._before, self.idle = now, 0
            return True
        self.idle += 1
        return self.idle <= TAIL or (self.idle - TAIL) % IDLE_SECONDS == 0
