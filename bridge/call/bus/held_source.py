"""The source of a bot with RTP, such as a WebRTC peer, which may be held: what it says meanwhile is played afterwards; pure."""

from collections.abc import Callable

from bridge.audio.buffer.paced import PacedQueue
from bridge.audio.codec.codec import Codec
from bridge.audio.frame import FRAME_SAMPLES, Frame, Push
from bridge.call.bus.ends import Forwarder, TimedSource


class HeldSource:
    """Passes a source on as it is, but while it is held and until what was held has been played (`TimedSource`).

    Until then `play` is to be called every 20 ms, because frames may come seldom (DTX), and packets are not forwarded.
    """

    def __init__(self, source: TimedSource, changed: Callable[[], None]) -> None:
        """`changed` is called when packets can be forwarded from now on, or no longer: the sinks are to be routed anew."""
        self._source = source
        self._changed = changed
        self.queue = PacedQueue()
        """What is held."""
        self.passes = True
        """Whether it passes frames and packets as they come."""
        self._push: Push | None = None
        self._pts = 0

    @property
    def passthrough_codec(self) -> Codec | None:
        """The codec of packets that can be passed on undecoded; None while frames are held or late."""
        return self._source.passthrough_codec if self.passes else None

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        """Set where audio goes as it arrives (`TimedSource`)."""
        self._push = push
        if self.passes:
            self._source.attach(push, forward)
        else:
            self._source.attach(self._take)

    def flush(self) -> None:
        """Deliver what has come to taps that take it late (`TimedSource`)."""
        self._source.flush()

    def hold(self) -> None:
        """Let nothing be heard from now on, until `release`."""
        self.queue.hold()
        if self.passes:
            self.passes = False
            self._source.attach(self._take)
            self._changed()

    def release(self) -> None:
        """Play what was held."""
        self.queue.release()

    def drop_held(self) -> None:
        """Drop and count what is held and will never be played."""
        self.queue.drop_held()

    @property
    def held_seconds(self) -> float:
        """For how long speech has waited in total because it was held."""
        return self.queue.held_seconds

    @property
    def held_dropped_seconds(self) -> float:
        """How much speech was dropped in total for the same reason."""
        return self.queue.held_dropped_seconds

    def play(self, now: float) -> None:
        """Play the next 20 ms; all that is left once it is not late any longer."""
        self._play_frame(now)
        if self.queue.held or self.queue.late:
            return
        while self.queue.buffered_seconds and self._play_frame(now):
            pass
        self.passes = True
        self._source.attach(self._push)
        self._changed()

    def _play_frame(self, now: float) -> bool:
        pcm = self.queue.pull()
        if pcm is not None and self._push is not None:
            self._pts += FRAME_SAMPLES
            self._push(Frame(pcm, self._pts, self), now)
        return pcm is not None

    def _take(self, frame: Frame, now: float) -> None:
        self.queue.add(frame.pcm)
