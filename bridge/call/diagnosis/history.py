"""What a leg has done over the last seconds, from its totals once a second."""

from collections import deque
from typing import Final

import msgspec

from bridge.audio.detect.level import SILENT
from bridge.call.diagnosis.bot_history import BotHistory
from bridge.call.diagnosis.losses import IN_BURSTS, Losses
from bridge.call.diagnosis.observation import LegObservation
from bridge.call.model import LegStatistics, LevelCounts
from bridge.wire.snapshot_fields import copied, restored

MUTE_DBOV: Final = -70.0
"""Below this no microphone in a room is: even a quiet room's noise is louder."""
SPEECH_DBOV: Final = -60.0
"""At least this loud is speech (`audio.detect.level.QUIET`)."""
_RATES: Final = 3
ALL_LOST: Final = 0.95
_STEADY: Final = 0.05
_LONGEST_MESSAGE: Final = 0.125
"""Seconds; audio in longer messages has no rate."""
MIN_SENT: Final = 75
"""Packets that the peer should have received before its reports must mention them."""
REPORTS: Final = 2
"""Without new packets of ours; a sender report may come between two receiver reports."""
UNHEARD_SECONDS: Final = 2.0
MIN_SENT_A_SECOND: Final = 25
"""Fewer are pauses: while it is sent nothing, a peer has nothing to report."""
_CLIPPED_SECONDS: Final = 5.0
_MIN_CLIPPED: Final = 3
"""Fewer frames at full scale are loud sounds, and no distortion."""
_NOTHING: Final = LegStatistics()


class HistorySnapshot(msgspec.Struct, frozen=True):
    """What lasts of a leg's history; its last seconds are observed anew."""

    connected_at: float | None
    last_packet_at: float | None
    last_frame_at: float | None
    loudest_dbov: float
    spoke_at: float | None
    quiet_since: float | None


class LegHistory:
    """Follows one leg; `now` is in monotonic seconds, and never goes back."""

    def __init__(self, now: float) -> None:
        self.connected_at: float | None = None
        self.last_packet_at: float | None = None
        self.last_frame_at: float | None = None
        self.loudest_dbov = SILENT
        """Since it connected."""
        self.spoke_at: float | None = None
        """When it was last as loud as speech."""
        self.announced = False
        """Whether another voice is heard in its place."""
        self.quiet_since: float | None = None
        """Since when packets come, and all their levels are below `MUTE_DBOV`."""
        self.rejected = 0
        """Packets that could not be decrypted in the last second."""
        self.unknown_payloads = 0
        """Packets of a payload type that was not negotiated, in the last second."""
        self.clipped = 0.0
        """Share of the last seconds' measured frames that reach full scale."""
        self.dropped_seconds = 0.0
        """Of audio for the party at a socket that were dropped in the last second."""
        self.lost = Losses(short_deviations=IN_BURSTS)
        """Of the packets of the leg."""
        self.late = Losses()
        """Of its packets, those that came too late to be heard."""
        self.reported_lost = Losses(short_deviations=IN_BURSTS)
        """Of ours to it, as its reports say."""
        self.unheard = False
        """Whether the peer's reports say that nothing of what we send arrives."""
        self.bot = BotHistory()
        self._heard_at = now
        """When it last reported that our packets come, or nothing was sent."""
        self._reports_without_us = 0
        """Its reports since then."""
        self._arrived: deque[tuple[int, int]] = deque(maxlen=_RATES)
        """Bytes and packets that came in each of the last seconds."""
        self._clipping = deque([(now, 0, 0)])
        """When, and all frames measured and at full scale until then; the first row is before the last seconds."""
        self._reported: tuple[int, int] | None = None
        """Packets sent, and reported lost, at its last report about our stream."""
        self._before = _NOTHING

    def snapshot(self) -> HistorySnapshot:
        """Return what lasts of it."""
        return copied(HistorySnapshot, self)

    @classmethod
    def restored(
        cls, snapshot: HistorySnapshot, statistics: LegStatistics, now: float
    ) -> "LegHistory":
        """Go on with a history; `statistics` are the figures that it has taken last."""
        history = restored(cls(now), snapshot)
        levels = statistics.received.levels
        history._clipping = deque([(now, levels.measured_frames, levels.clipped_frames)])
        history._before = statistics
        return history

    def update(self, leg: LegObservation, now: float, *, announced: bool = False) -> None:
        """Take the leg's figures; while something is `announced` in its place, nothing says what its party does."""
        self.announced = announced
        statistics = leg.statistics
        before, self._before = self._before, statistics
        if leg.connected and self.connected_at is None:
            self.connected_at = now
        received, old = statistics.received, before.received
        arrived, heard = received.packets > old.packets, received.frames > old.frames
        if arrived:
            self.last_packet_at = now
        if heard:
            self.last_frame_at = now
        measured = received.levels.noted > 0 or not leg.kind.traits.carries_rtp
        self._follow_level(leg, before, now, heard=measured and (arrived or heard))
        if statistics.discarded or before.discarded:
            self.rejected = _more(statistics, before, "bad_srtp")
            self.unknown_payloads = _more(statistics, before, "unknown_payload")
        self._follow_clipping(received.levels, now)
        packets, late = received.packets - old.packets, received.late - old.late
        self.lost.add(now, packets, received.lost - old.lost)
        self.late.add(now, packets - late, late)
        self._arrived.append((received.bytes - old.bytes, packets))
        if statistics.socket is not None and before.socket is not None:
            dropped = statistics.socket.dropped_seconds - before.socket.dropped_seconds
            self.dropped_seconds = dropped
        self._follow_reports(statistics, before, now)

    def connected_for(self, now: float) -> float:
        """Seconds since it connected; 0 before."""
        return 0.0 if self.connected_at is None else now - self.connected_at

    def since_speech(self, now: float) -> float | None:
        """Seconds since it was last as loud as speech; None if it never was."""
        return None if self.spoke_at is None else now - self.spoke_at

    def since_packet(self, now: float) -> float | None:
        """Seconds since its last packet; None before the first."""
        return None if self.last_packet_at is None else now - self.last_packet_at

    @property
    def steady_byte_rate(self) -> float:
        """Bytes a second, if as many came in each of the last seconds; else 0."""
        rates = [row[0] for row in self._arrived]
        packets = sum(row[1] for row in self._arrived)
        if len(rates) < _RATES or not packets:
            return 0.0
        mean, message = sum(rates) / _RATES, sum(rates) / packets
        if message > _LONGEST_MESSAGE * mean:
            return 0.0
        # A second may hold one message more than another.
        steady = max(rates) - min(rates) <= max(_STEADY * mean, 1.5 * message)
        return mean if steady else 0.0

    def _follow_reports(self, new: LegStatistics, before: LegStatistics, now: float) -> None:
        state, old, sent = new.transport, before.transport, new.sent
        if state is None or old is None:
            return
        about_us = state.reports_about_us > old.reports_about_us
        if about_us:
            if self._reported is not None:
                packets, lost = self._reported
                newly = max(sent.remote_lost - lost, packets - sent.packets)
                self.reported_lost.add(now, sent.packets - packets - newly, newly)
            self._reported = sent.packets, sent.remote_lost
        paused = sent.packets - before.sent.packets < MIN_SENT_A_SECOND
        if paused or (about_us and sent.remote_loss_ratio < ALL_LOST):
            self._heard_at, self._reports_without_us = now, 0
        else:
            self._reports_without_us += state.reports - old.reports
        self.unheard = (
            sent.packets >= MIN_SENT
            and self._reports_without_us >= REPORTS
            and now - self._heard_at >= UNHEARD_SECONDS
        )

    def _follow_clipping(self, levels: LevelCounts, now: float) -> None:
        rows = self._clipping
        rows.append((now, levels.measured_frames, levels.clipped_frames))
        while rows[1][0] <= now - _CLIPPED_SECONDS:
            rows.popleft()
        _, measured, clipped = rows[0]
        share = (levels.clipped_frames - clipped) / max(levels.measured_frames - measured, 1)
        self.clipped = share if levels.clipped_frames - clipped >= _MIN_CLIPPED else 0.0

    def _follow_level(
        self, leg: LegObservation, before: LegStatistics, now: float, *, heard: bool
    ) -> None:
        received, levels = leg.statistics.received, leg.statistics.received.levels
        old = before.received.levels
        dbov = received.level_dbov
        if dbov < SPEECH_DBOV and levels.noted - old.noted > levels.quiet - old.quiet:
            dbov = SPEECH_DBOV
        if not heard or self.announced:
            self.quiet_since = None
            return
        if leg.connected and dbov > self.loudest_dbov:
            self.loudest_dbov = dbov
        if dbov >= SPEECH_DBOV:
            self.spoke_at = now
        if dbov >= MUTE_DBOV:
            self.quiet_since = None
        elif self.quiet_since is None:
            self.quiet_since = now


def _more(new: LegStatistics, before: LegStatistics, reason: str) -> int:
    """Return how many datagrams were discarded in between."""
    return new.discarded.get(reason, 0) - before.discarded.get(reason, 0)
