"""A bot with RTP that is held, and heard afterwards."""

from bridge.audio.codec import codec
from bridge.audio.codec.codec import Codec
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame, Push
from bridge.call.bus.ends import Forwarder
from bridge.call.bus.held_source import HeldSource


class Peer:
    """A source that pushes frames as a test says."""

    passthrough_codec: Codec | None = codec.OPUS

    def __init__(self) -> None:
        self.push: Push | None = None
        self.forward: Forwarder | None = None
        self.frames = 0
        self.flushed = 0

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        self.push, self.forward = push, forward

    def flush(self) -> None:
        self.flushed += 1

    def say(self, *frames: bytes) -> None:
        for pcm in frames:
            self.frames += 1
            if self.push is not None:
                frame = Frame(pcm, self.frames * FRAME_SAMPLES, "rtp")
                self.push(frame, self.frames * FRAME_SECONDS)


class Held:
    """A held source, and what is heard of it."""

    def __init__(self) -> None:
        self.peer, self.heard, self.changes = Peer(), list[Frame](), 0
        self.source = HeldSource(self.peer, self.note)
        self.forward: Forwarder | None = None
        self.note()

    def say(self, *frames: bytes) -> None:
        """Let the peer say frames, each with the tick that follows."""
        for pcm in frames:
            self.peer.say(pcm)
            self.tick()

    def tick(self) -> None:
        if not self.source.passes:
            self.source.play(0.0)

    def note(self) -> None:
        """Route anew, as the call does."""
        self.changes += 1
        self.source.attach(lambda frame, now: self.heard.append(frame), self.forward)

    @property
    def said(self) -> list[bytes]:
        return [frame.pcm for frame in self.heard]


def word(number: int) -> bytes:
    return (0x1000 + number).to_bytes(2, "little") * (FRAME_BYTES // 2)


def test_a_source_that_is_not_held_passes_as_it_is():
    held = Held()
    held.peer.say(word(1), word(2))
    assert [frame.epoch for frame in held.heard] == ["rtp", "rtp"]
    assert held.source.passthrough_codec is codec.OPUS
    held.source.flush()
    assert held.peer.flushed == 1


def test_what_is_said_while_it_is_held_is_heard_afterwards_in_order():
    held = Held()
    held.source.hold()
    assert held.source.passthrough_codec is None
    held.say(word(1), word(2), word(3))
    assert held.said == []
    held.source.release()
    held.say(word(4), word(5))
    assert held.said == [word(1), word(2)]
    assert [frame.pts for frame in held.heard] == [FRAME_SAMPLES, 2 * FRAME_SAMPLES]


def test_in_a_pause_it_is_on_time_again_and_passes_as_it_is():
    held = Held()
    held.source.hold()
    held.say(word(1), word(2), word(3))
    held.source.release()
    held.say(*10 * [SILENCE])
    assert held.said[:3] == [word(1), word(2), word(3)]
    assert held.source.passthrough_codec is codec.OPUS
    before = held.changes
    held.say(word(4))
    assert held.heard[-1] == Frame(word(4), 14 * FRAME_SAMPLES, "rtp")
    assert held.changes == before


def test_it_may_be_held_again():
    held = Held()
    for number in range(3):
        held.source.hold()
        held.say(word(number))
        held.source.release()
        held.say(*10 * [SILENCE])
    assert [pcm for pcm in held.said if pcm != SILENCE] == [word(0), word(1), word(2)]


def test_what_is_never_heard_is_counted():
    held = Held()
    held.source.hold()
    held.say(word(1), word(2))
    held.source.drop_held()
    assert held.source.queue.held_dropped_seconds == 2 * FRAME_SECONDS


def test_what_was_held_is_played_although_nothing_more_comes():
    held = Held()
    held.source.hold()
    held.say(word(1), word(2), word(3))
    held.source.release()
    for _ in range(4):
        held.tick()
    assert held.said == [word(1), word(2), word(3)]
    assert held.source.passes
