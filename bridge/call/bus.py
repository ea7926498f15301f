"""Where the audio of one call meets: sources, sinks, and the table of who hears whom."""

from typing import Protocol

from bridge.audio.frame import Frame, Push


class Source(Protocol):
    """Gives frames: what one party says."""

    @property
    def timed(self) -> bool:
        """Whether frames come by themselves, with the timing of RTP; else the clock pulls them."""
        ...

    def attach(self, push: Push | None) -> None:
        """Set where a timed source sends each frame as it arrives; None: nobody listens."""
        ...

    def pull(self) -> bytes | None:
        """Give the next 640 bytes of an untimed source, called once every 20 ms; None is silence."""
        ...


class Sink(Protocol):
    """Takes frames: what one party hears."""

    @property
    def steady(self) -> bool:
        """Whether the sink must be fed by the clock even when it hears one source only."""
        ...

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame; never waits, never raises."""
        ...
