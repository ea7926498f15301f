"""Totals of one session, across changes of its streams."""

from dataclasses import dataclass, fields

from bridge.audio.buffer.reorder import ReorderBuffer
from bridge.audio.frame import FRAME_SAMPLES
from bridge.call.model import ReceivedAudio, SentAudio
from bridge.rtp.level_meter import LevelMeter
from bridge.rtp.reports import Reports
from bridge.wire.rtp.reception import ReceptionStatistics
from bridge.wire.rtp.stream import OutgoingStream


@dataclass(slots=True)
class SendCounters:
    """Totals of the streams before the current one, and what was forwarded in all."""

    packets: int = 0
    octets: int = 0
    """Payload only."""
    dropped: int = 0
    forwarded: int = 0

    def leave(self, stream: OutgoingStream) -> None:
        """Add a stream that another one replaces."""
        self.packets += stream.packets
        self.octets += stream.octets
        self.dropped += stream.dropped

    def statistics(
        self, stream: OutgoingStream, reports: Reports, meter: LevelMeter, *, fec: bool
    ) -> SentAudio:
        """Return the statistics so far, including those of the current stream."""
        packets, highest = self.packets + stream.packets, reports.highest
        return SentAudio(
            packets=packets,
            bytes=self.octets + stream.octets,
            forwarded_packets=self.forwarded,
            dropped_frames=self.dropped + stream.dropped,
            reported_packets=None if highest is None else packets - stream.used_since(highest),
            remote_lost=reports.remote_lost,
            remote_loss_ratio=reports.remote_loss_ratio,
            remote_jitter_seconds=reports.remote_jitter_seconds,
            fec=fec,
            level_dbov=meter.level_dbov,
            levels=meter.counts(),
        )


@dataclass(slots=True)
class ReceiveCounters:
    """Totals since the session began; samples are at 16 kHz."""

    packets: int = 0
    octets: int = 0
    """Payload only."""
    stragglers: int = 0
    """Packets of a source, or a format of it, that has been replaced."""
    frames: int = 0
    concealed_samples: int = 0
    fec_samples: int = 0
    lost_before: int = 0
    """Packets lost from earlier sources."""

    def statistics(
        self, reception: ReceptionStatistics | None, reorder: ReorderBuffer, meter: LevelMeter
    ) -> ReceivedAudio:
        """Return the statistics so far, including those of the current source."""
        return ReceivedAudio(
            packets=self.packets,
            bytes=self.octets,
            lost=self.lost_before + (0 if reception is None else reception.lost),
            late=reorder.late + self.stragglers,
            reordered=reorder.reordered,
            concealed_frames=self.concealed_samples // FRAME_SAMPLES,
            fec_frames=self.fec_samples // FRAME_SAMPLES,
            frames=self.frames,
            jitter_seconds=0.0 if reception is None else reception.jitter_seconds,
            peak_jitter_seconds=0.0 if reception is None else reception.peak_jitter_seconds,
            level_dbov=meter.level_dbov,
            silent_seconds=meter.silent_seconds,
            levels=meter.counts(),
        )


def restore_counters(counters: SendCounters | ReceiveCounters, found: dict[str, int]) -> None:
    """Set the counters that this version has."""
    for one in fields(counters):
        setattr(counters, one.name, found.get(one.name, 0))
