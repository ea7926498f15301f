"""Reception totals of one session, across changes of the source."""

from dataclasses import dataclass

from bridge.audio.buffer.reorder import ReorderBuffer
from bridge.audio.frame import FRAME_SAMPLES
from bridge.call.model import ReceivedAudio
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.rtp.reception import ReceptionStatistics


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
