"""The RTCP of one session: what we tell the peer, and what it tells us."""

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

# A longer round trip is a mistake of the peer's.
_MAX_ROUND_TRIP: Final = 60.0


class Reports:
    """Builds our reports and keeps the last figures of the peer's."""

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
        # Unix time minus monotonic time, kept from the first report on: a step of the wall clock
        # must not look like a round trip.
        self._wall_offset: float | None = None
        self.forget()

    def forget(self) -> None:
        """Forget the peer's figures: another peer takes its place."""
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
        """Write a compound packet: a report, our name, and on request a goodbye.

        Args:
            stream: What we send.
            reception: What we receive; None before the first packet.
            now: Monotonic seconds.
            wall: Unix time of the same moment.
            relay_loss_ratio: What those report lost whom the source's packets are passed on to;
                the source is told the greater loss, so that its encoder protects its packets.
            goodbye: Whether the stream ends here.
        """
        if self._wall_offset is None:
            self._wall_offset = wall - now
        blocks: tuple[ReportBlock, ...] = ()
        if reception is not None:
            block = reception.report_block(now)
            beyond = min(255, int(relay_loss_ratio * 256))
            if beyond > block.fraction_lost:
                block = replace(block, fraction_lost=beyond)
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
        """Take a compound packet; goodbyes are ignored, only the transport ends a session.

        Args:
            data: Unprotected RTCP.
            ssrc: Ours; blocks about others are passed over.
            reception: Of the source we hear; sender reports of others are passed over.
            now: Monotonic seconds.

        Returns:
            Whether the peer reported on our stream.

        Raises:
            RemoteProtocolError: The packet is malformed; nothing of it was used.
        """
        about_us = False
        for packet in parse_compound(data):
            if not isinstance(packet, SenderReport | ReceiverReport):
                continue
            for block in packet.blocks:
                if block.ssrc == ssrc:
                    self._take(block, now)
                    about_us = True
            if (
                isinstance(packet, SenderReport)
                and reception is not None
                and packet.ssrc == reception.ssrc
            ):
                reception.sender_report(packet, now)
        return about_us

    def _take(self, block: ReportBlock, now: float) -> None:
        self.remote_lost = max(0, block.packets_lost)
        self.remote_loss_ratio = block.fraction_lost / 256
        self.remote_jitter_seconds = block.jitter / CLOCK_RATE
        if self._wall_offset is None:
            return
        seconds = round_trip(ntp_middle(ntp_time(now + self._wall_offset)), block)
        if seconds is not None and seconds <= _MAX_ROUND_TRIP:
            self.round_trip_seconds = seconds
