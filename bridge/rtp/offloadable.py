"""Senders whose streams can be offloaded (`rtp.offload`), and who passes frames on to one."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from bridge.audio.codec.codec import Codec
from bridge.rtp.offload import SinkMode, SinkOffload


@runtime_checkable
class Offloadable(Protocol):
    """A sender whose stream can be offloaded; the owner of the methods `push` and `take`."""

    @property
    def offloadable(self) -> bool:
        """Whether `offload` can succeed once the stream continues what it is asked for."""

    def offload(
        self, mode: SinkMode, epoch: object, codec: Codec | None = None
    ) -> SinkOffload | None:
        """Offload the stream for what continues it in this media epoch: frames, or packets of a codec.

        None while that is not possible.
        """


@runtime_checkable
class Passing(Offloadable, Protocol):
    """Passes frames on to the sender whose sink `offload` returns, unchanged, as an echo does."""

    def passed(self, frames: int, level_dbov: float) -> None:
        """Count the frames that an offload has passed on since the last time, with their latest level."""


def offloadable_owner(taker: Callable[..., Any] | None) -> Offloadable | None:
    """Return the sender that a bound method belongs to, if its stream can be offloaded."""
    owner = getattr(taker, "__self__", None)
    return owner if isinstance(owner, Offloadable) and owner.offloadable else None
