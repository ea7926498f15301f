"""RTCP reports of one session: ours to the peer, and the peer's about our stream (RFC 3550 §6)."""

from dataclasses import replace
from typing import Final

from bridge.wire.reception import ReceptionStatistics
from bridge.wire.rtcp import (
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
from bridge.wire.rtp import CLOCK_RATE, OutgoingStream

# A longer round trip is an error of the peer's.
_MAX_ROUND_TRIP: Final = 60.0


class Reports:
    """Composes our reports and keeps the newest values of the peer's."""

    __slots__ = (
        "_cname",
        "_wall_offset",
        "remote_jitter_seconds",
        "remote_loss_ratio",
        "remote_lost",
        "round_trip_seconds",
    )

    def __init__(self, cname: str) -> None:
        self._cname = cname
        # Unix time minus monotonic time at the first report: a step of the wall clock must not change
        # the round trip.
        self._wall_offset: float | None = None
        self.reset()

    def reset(self) -> None:
        """Clear the peer's values: its source has restarted."""
        self.remote_lost = 0
        self.remote_loss_ratio = 0.0
        self.remote_jitter_seconds = 0.0
        self.round_trip_seconds: float | None = None

    def compose(
        self,
        stream: OutgoingStream,
        reception: ReceptionStatistics | None,
        *,
        now: float,
        wall: float,
        relay_loss_ratio: float = 0.0,
        goodbye: bool = False,
    ) -> bytes:
        """Compose a compound packet: a report, SDES, and BYE on request.

        Args:
            stream: Our stream.
            reception: Of the peer's source; None before its first packet.
            now: Monotonic seconds.
            wall: Unix time at `now`.
            relay_loss_ratio: Loss reported by the receiver of a relay of the source's packets; the
                greater loss is reported, so that the source's encoder adds FEC.
            goodbye: Whether our stream ends here.
        """
        if self._wall_offset is None:
            self._wall_offset = wall - now
        blocks: tuple[ReportBlock, ...] = ()
        if reception is not None:
            block = reception.report_block(now)
            relayed = min(255, int(relay_loss_ratio * 256))
            if relayed > block.fraction_lost:
                block = replace(block, fraction_lost=relayed)
            blocks = (block,)
        packets: list[RtcpPacket] = []
        if stream.packets:
            packets.append(
                SenderReport(
                    ssrc=stream.ssrc,
                    ntp=ntp_time(now + self._wall_offset),
                    timestamp=stream.timestamp_at(now),
                    packets=stream.packets,
                    octets=stream.octets,
                    blocks=blocks,
                )
            )
        else:
            packets.append(ReceiverReport(stream.ssrc, blocks))
        packets.append(SourceDescription(stream.ssrc, self._cname))
        if goodbye:
            packets.append(Bye((stream.ssrc,)))
        return serialize(packets)

    def receive(
        self, data: bytes, *, ssrc: int, reception: ReceptionStatistics | None, now: float
    ) -> bool:
        """Process a compound packet; BYE is ignored, as only the transport ends a session.

        Args:
            data: Unprotected RTCP.
            ssrc: Of our stream; blocks about others are ignored.
            reception: Of the peer's source; sender reports of others are ignored.
            now: Monotonic seconds.

        Returns:
            Whether the peer reported on our stream.

        Raises:
            RemoteProtocolError: The packet is malformed; none of it was used.
        """
        about_us = False
        for packet in parse_compound(data):
            if not isinstance(packet, SenderReport | ReceiverReport):
                continue
            for block in packet.blocks:
                if block.ssrc == ssrc:
                    self._receive_block(block, now)
                    about_us = True
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
        self.remote_jitter_seconds = block.jitter / CLOCK_RATE
        if self._wall_offset is None:
            return
        seconds = round_trip(ntp_middle(ntp_time(now + self._wall_offset)), block)
        if seconds is not None and seconds <= _MAX_ROUND_TRIP:
            self.round_trip_seconds = seconds
