"""The source of a bot with RTP, such as a WebRTC peer, that can be held: what it says meanwhile is played later; pure."""

from collections.abc import Callable

from bridge.audio.buffer.paced import PacedQueue
from bridge.audio.codec.codec import Codec
from bridge.audio.frame import FRAME_SAMPLES, Frame, Push
from bridge.call.bus.ends import Forwarder, TimedSource


class HeldSource:
    """A `TimedSource` that passes another one through, except while it is held and until what was held has been played.

    Until then packets are not passed through, and `play` must be called every 20 ms, since frames may be rare (DTX).
    """

    def __init__(self, source: TimedSource, changed: Callable[[], None]) -> None:
        """`changed` is called when passthrough becomes possible or impossible, so that the call is routed again."""
        self._source = source
        self._changed = changed
        self.queue = PacedQueue()
        """The audio that is held."""
        self.passes = True
        """Whether frames and packets pass through as they arrive."""
        self._push: Push | None = None
        self._pts = 0

    @property
    def passthrough_codec(self) -> Codec | None:
        """The codec of packets that can be passed through; None while frames are held or delayed."""
        return self._source.passthrough_codec if self.passes else None

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        """Set the receiver of audio as it arrives (`TimedSource`)."""
        self._push = push
        if self.passes:
            self._source.attach(push, forward)
        else:
            self._source.attach(self._take)

    def flush(self) -> None:
        """Deliver pending audio to batched taps (`TimedSource`)."""
        self._source.flush()

    def hold(self) -> None:
        """Hold everything until `release`."""
        self.queue.hold()
        if self.passes:
            self.passes = False
            self._source.attach(self._take)
            self._changed()

    def release(self) -> None:
        """Begin to play what was held."""
        self.queue.release()

    def drop_held(self) -> None:
        """Drop what is held, and count it."""
        self.queue.drop_held()

    @property
    def held_seconds(self) -> float:
        """Total time for which speech waited because it was held."""
        return self.queue.held_seconds

    @property
    def held_dropped_seconds(self) -> float:
        """Total speech dropped because it was held."""
        return self.queue.held_dropped_seconds

    def play(self, now: float) -> None:
        """Play the next 20 ms, or all that is left once there is no delay."""
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
