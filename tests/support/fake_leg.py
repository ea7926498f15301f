"""A leg for tests that does what the test tells it, in no time."""

import asyncio
from collections.abc import Callable

from bridge.audio.frame import Frame, Push
from bridge.call.bus.ends import Forwarder
from bridge.call.events import LegDialled, LegEnded, LegEvent
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, SentAudio
from bridge.errors import BridgeError


class FakeLeg:
    """Implements `bridge.legs.base.Leg`; is its own source and sink."""

    always_clocked = False
    passthrough_codec = None

    def __init__(
        self, name: str, kind: LegKind = LegKind.SIMULATOR, *, dials: bool = False
    ) -> None:
        self.dials = dials
        self.refusal: BridgeError | None = None
        """With what its dial is refused."""
        self.answers = asyncio.Event()
        """Its dial is answered once this is set, as it is from the beginning."""
        self.answers.set()
        self.leg_id = LegId(name)
        self.kind = kind
        self.source = self
        self.sink = self
        self.answered = False
        self.digits = ""
        self.running = False
        self.cancelled = False
        self.cleaned = False
        self.heard: list[Frame] = []
        self.to: Push | None = None
        self._emit: Callable[[LegEvent], None] | None = None
        self._over = asyncio.Event()
        self.fails_with: Exception | None = None

    async def run(self, emit: Callable[[LegEvent], None]) -> None:
        self.running = True
        self._emit = emit
        try:
            if self.dials:
                await self.answers.wait()
                if self.refusal is not None:
                    emit(LegEnded(self.leg_id, EndReason.FAILED, self.refusal))
                    return
                emit(LegDialled(self.leg_id))
            await self._over.wait()
            if self.fails_with is not None:
                raise self.fails_with
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.running = False
            self.cleaned = True

    def emit(self, event: LegEvent) -> None:
        assert self._emit is not None, "the leg does not run yet"
        self._emit(event)

    def finish(self) -> None:
        self._over.set()

    async def aclose(self) -> None:
        self.cleaned = True

    def answer(self) -> None:
        self.answered = True

    def send_digits(self, digits: str) -> None:
        self.digits += digits

    def statistics(self) -> LegStatistics:
        return LegStatistics(sent=SentAudio(packets=len(self.heard)))

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        self.to = push

    def flush(self) -> None:
        pass

    def push(self, frame: Frame, now: float) -> None:
        self.heard.append(frame)
