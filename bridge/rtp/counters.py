"""What has been counted of one peer's sound since the session began, whatever its sources."""

from dataclasses import dataclass

from bridge.audio.frame import FRAME_SAMPLES
from bridge.audio.reorder import ReorderBuffer
from bridge.call.model import ReceivedAudio
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.reception import ReceptionStatistics


@dataclass(slots=True)
class ReceiveCounters:
    """Totals that go on when the source changes; samples are at 16 kHz."""

    packets: int = 0
    octets: int = 0
    """Of payloads."""
    stragglers: int = 0
    """Packets of a source that another has replaced."""
    frames: int = 0
    concealed_samples: int = 0
    fec_samples: int = 0
    lost_before: int = 0
    """Packets of earlier sources that never came."""

    def figures(
        self, reception: ReceptionStatistics | None, receiver: ReorderBuffer, meter: LevelMeter
    ) -> ReceivedAudio:
        """Give the figures until now, with those of the source there is."""
        return ReceivedAudio(
            packets=self.packets,
            bytes=self.octets,
            lost=self.lost_before + (0 if reception is None else reception.lost),
            late=receiver.late + self.stragglers,
            reordered=receiver.reordered,
            concealed_frames=self.concealed_samples // FRAME_SAMPLES,
            fec_frames=self.fec_samples // FRAME_SAMPLES,
            frames=self.frames,
            jitter_seconds=0.0 if reception is None else reception.jitter_seconds,
            level_dbov=meter.level_dbov,
            silent_seconds=meter.silent_seconds,
            noted_levels=meter.noted,
            quiet_levels=meter.quiet,
            measured_frames=meter.measured,
            clipped_frames=meter.clipped,
        )
