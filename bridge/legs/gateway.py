"""A party on a WhatsApp gateway that speaks to us by REST and a PCM socket."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

import aiohttp
import msgspec
from aiohttp import WSMsgType

from bridge.backoff import Backoff
from bridge.call.bus.silence_detector import SilenceDetector
from bridge.call.events import (
    LegAnswered,
    LegConnected,
    LegDialled,
    LegEnded,
    LegRinging,
)
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.call.setup_timings import SetupClock
from bridge.errors import BridgeError, CallNotFound, HandoverRefused
from bridge.legs.base import Emit, drop, refusal_reason, run_until
from bridge.legs.gateway_media import GatewayMedia, GatewayMediaSnapshot
from bridge.legs.provider_requests import ProviderRequests
from bridge.whatsapp.gateway import Gateway
from bridge.wire.gateway import BufferStatus, EngineCall, ErrorReported, Phase, Ready, StateChanged

log = logging.getLogger(__name__)

HANG_UP_SECONDS: Final = 0.6
"""How long a hang-up may take before the leg ends; the follower then retries it."""
REPORT_SECONDS: Final = 0.5
MIN_OPEN_SECONDS: Final = 1.0
"""A socket that was open for less counts as a failed attempt."""
_BACKOFF: Final = Backoff(0.1, 1.5)

_END_REASONS: Final = {"reject": EndReason.REJECTED, "terminate": EndReason.REMOTE_HANGUP}
"""By the last word of the type of the gateway's events."""


@dataclass(frozen=True, slots=True)
class GatewayTimeouts:
    """In seconds."""

    socket: float = 20.0
    """How long an answered call may be without its socket."""
    no_answer: float = 25.0
    """An unanswered call that disappears from the list after this was not answered; before, rejected."""


class Follower(Protocol):
    """Polls the gateway's list of calls, and updates their legs."""

    def follow(self, call_id: str, leg: "GatewayLeg") -> None:
        """Pass the call's state on to the leg from now on (`GatewayLeg.update`)."""

    def mark_known(self, call_id: str) -> None:
        """Note that the gateway has the call, whether it has listed it or not."""

    def forget(self, call_id: str, *, unwanted: bool) -> None:
        """Stop following; with `unwanted`, hang the call up for as long as the gateway lists it."""

    def leave(self, call_id: str) -> None:
        """Stop following a call that another process follows from now on."""

    def poll_now(self) -> None:
        """Poll at once instead of at the next interval."""


Dial: TypeAlias = Callable[[], Awaitable[str]]
"""Makes the gateway dial, and returns its id of the call; raises `BridgeError`."""


class GatewaySnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A leg whose party talks; its socket is opened again."""

    call_id: str
    inbound: bool
    silent: bool
    setup: dict[str, float]
    """As `SetupClock.done` returns it."""
    media: GatewayMediaSnapshot


class GatewayLeg:
    """A call on a gateway: one that it has by its id, or an outbound one that `run` dials.

    `run` opens the call's socket, and reopens it for as long as the call lives. Gateways take no DTMF.
    """

    kind = LegKind.GATEWAY

    def __init__(
        self,
        leg_id: LegId,
        *,
        gateway: Gateway,
        follower: Follower,
        call: str | Dial,
        timeouts: GatewayTimeouts = GatewayTimeouts(),
    ) -> None:
        self.leg_id = leg_id
        self._gateway = gateway
        self._follower = follower
        self.call_id = call if isinstance(call, str) else ""
        """The gateway's; empty until the dial is accepted, and once another process has the call."""
        self._dial = None if isinstance(call, str) else call
        self._inbound = self._dial is None
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._media = self.source = self.sink = GatewayMedia(gateway.media)
        self._began = self._loop.time()
        self._setup = SetupClock(self._began)
        self._requests = ProviderRequests()
        self._refusal: BridgeError | None = None
        self._over: asyncio.Future[EndReason] = self._loop.create_future()
        self._accepted = asyncio.Event()
        self._answered_at: float | None = None
        self._emit: Emit = drop
        self._rang = False
        self._connected = False
        self._gone = False
        """Whether the gateway itself has ended the call."""
        self._hinted: EndReason | None = None
        self._phase: Phase | None = None
        self._silence = SilenceDetector(leg_id)
        self._running = asyncio.Event()
        """Cleared while the leg is suspended."""
        self._running.set()
        if self._inbound:
            follower.follow(self.call_id, self)

    async def run(self, emit: Emit) -> None:
        """Connect, live, and hang up; see `legs.base.Leg`."""
        self._emit = emit
        try:
            if self._dial is not None:
                await self._place(self._dial)
            reason = await run_until(
                self._over, self.leg_id, media=self._talk(), silence=self._watch_silence()
            )
        except BridgeError as error:
            reason, self._refusal = refusal_reason(error), error
        finally:
            self._emit = drop
            await self.aclose()
        log.info("leg.closed", extra={"reason": reason})
        emit(LegEnded(self.leg_id, reason, self._refusal))

    def answer(self) -> None:
        """Accept an inbound call; has no effect on an outbound one."""
        if self._inbound:
            self._accepted.set()

    async def decline(self, peer: str, message: str) -> bool:
        """Decline the call with a message (`whatsapp.gateway.Gateway.decline`)."""
        return await self._gateway.decline(self.call_id, peer, message)

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the leg cannot move now (`legs.base.Movable`)."""
        talking = self._connected and self._answered_at is not None
        if not talking or not self._running.is_set() or self._over.done():
            raise HandoverRefused("the call on the gateway is not answered, or has ended")

    def suspend(self) -> tuple[GatewaySnapshot, list[socket.socket]]:
        """Stop reading (`legs.base.Movable`); the socket stays open, and what the gateway lists comes again."""
        self._running.clear()
        return self._snapshot(), []

    def copy(self) -> GatewaySnapshot:
        """Return the leg's state (`legs.base.Copyable`); reading goes on."""
        self.check_movable()
        return self._snapshot()

    def _snapshot(self) -> GatewaySnapshot:
        return GatewaySnapshot(
            call_id=self.call_id,
            inbound=self._inbound,
            silent=self._silence.silent,
            setup=self._setup.done(),
            media=self._media.snapshot(),
        )

    def portable_state(self) -> GatewaySnapshot | None:
        """Return what another machine opens the call's socket with (`legs.base.Portable`)."""
        try:
            self.check_movable()
        except HandoverRefused:
            return None
        media = msgspec.structs.replace(self._media.snapshot(), last_received=None)
        return GatewaySnapshot(
            call_id=self.call_id, inbound=self._inbound, silent=False, setup={}, media=media
        )

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._running.set()
        self._follower.poll_now()

    async def abandon(self) -> None:
        """Leave the call to another process, which has opened a socket of its own (`legs.base.Movable`)."""
        self._follower.leave(self.call_id)
        self.call_id = ""

    def restore(self, snapshot: GatewaySnapshot) -> None:
        """Go on with another process's leg, whose id of the call this one was made with."""
        self._inbound = snapshot.inbound
        self._answered_at = self._loop.time()
        self._connected = self._rang = True
        self._accepted.set()
        self._silence.silent = snapshot.silent
        self._setup.restore(snapshot.setup)
        self._media.restore(snapshot.media)
        self._follower.mark_known(self.call_id)

    def statistics(self) -> LegStatistics:
        """Return the leg's figures until now."""
        return replace(
            self._media.statistics(),
            provider=self._requests.state(),
            setup=self._setup.timings(),
        )

    async def aclose(self) -> None:
        """Hang up, within `HANG_UP_SECONDS`; also frees a leg that was never run."""
        if self.call_id:
            self._follower.forget(self.call_id, unwanted=not self._gone)
        if self._gone or not self.call_id:
            return
        self._gone = True
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                await self._gateway.hangup(self.call_id)
        except CallNotFound:
            pass
        except (BridgeError, TimeoutError) as error:
            log.warning("leg.hangup_failed", extra={"error": type(error).__name__})

    def update(self, call: EngineCall | None) -> None:
        """Take the call's state on the gateway; None when it is no longer listed."""
        if not self._running.is_set():
            return  # the next poll brings it again, here or where the call goes on
        phase = Phase.ENDED if call is None else call.phase
        if phase is not self._phase:
            log.debug("gateway.call_changed", extra={"leg": self.leg_id, "phase": phase})
            self._phase = phase
        self._set_phase(phase)

    def note_event(self, kind: str) -> None:
        """Take the last word of an event's type, such as `terminate`.

        Events are not signed: they change no state, and only name the reason of an end that is polled.
        """
        self._hinted = _END_REASONS.get(kind, self._hinted)

    def _set_phase(self, phase: Phase) -> None:
        if phase is Phase.ENDED:
            self._gone = True
            self._finish(self._reason())
        elif self._emit is drop:
            return  # before `run`; the next poll brings it again
        elif phase is Phase.ACTIVE:
            self._pick_up()
        elif phase in (Phase.RINGING, Phase.CONNECTING) and not (self._inbound or self._rang):
            self._rang = True
            self._setup.note("ringing", self._loop.time())
            self._emit(LegRinging(self.leg_id))

    def _pick_up(self) -> None:
        if self._inbound:
            if not self._accepted.is_set():
                # Answered on another device.
                self._gone = True
                self._finish(EndReason.REMOTE_HANGUP)
        elif self._answered_at is None:
            self._answered_at = self._loop.time()
            self._setup.note("accepted", self._answered_at)
            self._emit(LegAnswered(self.leg_id))

    def _reason(self) -> EndReason:
        if self._answered_at is not None or self._inbound:
            return EndReason.REMOTE_HANGUP
        if self._hinted is not None:
            return EndReason.REJECTED
        rang = self._loop.time() - self._began
        return EndReason.NO_ANSWER if rang >= self._timeouts.no_answer else EndReason.REJECTED

    def _finish(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    async def _place(self, dial: Dial) -> None:
        self.call_id = await self._requests.follow(dial())
        self._began = self._loop.time()
        self._setup.note("dialled", self._began)
        self._follower.follow(self.call_id, self)
        self._emit(LegDialled(self.leg_id))

    async def _talk(self) -> None:
        """Answer an inbound call, and keep a socket open."""
        if self._inbound and self._answered_at is None and not await self._accept():
            return
        lost, failures = self._loop.time(), 0
        while True:
            opened = self._loop.time()
            try:
                async with self._gateway.socket(self.call_id) as socket:
                    self._requests.note(None)
                    await self._exchange(socket)
            except BridgeError as error:
                if self._answered_at is not None and not isinstance(error, CallNotFound):
                    self._requests.note(error)
                log.info("leg.socket_refused", extra={"code": error.code})
            await self._running.wait()
            if self._loop.time() - opened >= MIN_OPEN_SECONDS:
                lost, failures = self._loop.time(), 0
                log.info("leg.socket_lost")
            self._follower.poll_now()  # perhaps the call is over
            if self._answered_at is None:
                lost = self._loop.time()
            elif self._loop.time() - lost >= self._timeouts.socket:
                log.warning("leg.socket_reconnect_failed")
                self._finish(EndReason.MEDIA_TIMEOUT)
                return
            failures += 1
            await asyncio.sleep(_BACKOFF.after(failures))
            await self._running.wait()  # it may be passing to another process by now

    async def _accept(self) -> bool:
        await self._accepted.wait()
        try:
            await self._requests.follow(self._gateway.answer(self.call_id))
        except BridgeError as error:
            self._gone = isinstance(error, CallNotFound)
            self._refusal = None if self._gone else error
            log.warning("leg.answer_refused", extra={"code": error.code})
            self._finish(EndReason.REMOTE_HANGUP if self._gone else EndReason.FAILED)
            return False
        self._answered_at = self._loop.time()
        self._setup.note("accepted", self._answered_at)
        return True

    async def _exchange(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Exchange audio until the socket closes."""
        if not self._connected:
            self._connected = True
            self._follower.mark_known(self.call_id)
            self._setup.note("socket", self._loop.time())
            log.info("leg.connected", extra={"kind": self.kind})
            self._emit(LegConnected(self.leg_id))
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send(socket), name=f"send {self.leg_id}")
            async for message in socket:
                await self._running.wait()
                if message.type is WSMsgType.BINARY:
                    self._receive(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._read(message.data)
            sending.cancel()

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            await self._media.send(socket)
        except (aiohttp.ClientError, OSError) as error:
            # The reader sees the socket's end too.
            log.info("leg.send_failed", extra={"error": type(error).__name__})

    def _receive(self, data: bytes) -> None:
        if self._media.last_received is None:
            self._setup.note("first_received", self._loop.time())
            if self._answered_at is None:
                # Audio means that the call was answered; the list has it already.
                self._follower.poll_now()
        self._media.receive(data)

    def _read(self, text: str) -> None:
        match self._gateway.read(text):
            case BufferStatus() as backlog:
                self._media.note_buffer(backlog)
            case StateChanged(phase):
                self._set_phase(phase)
            case ErrorReported(code):
                log.warning("leg.gateway_error", extra={"code": code[:40]})
            case Ready(supported=False):
                log.error("leg.wrong_format")
                self._finish(EndReason.FAILED)
            case _:
                pass

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            await self._running.wait()
            event = self._silence.check(self._media.last_received, self._loop.time())
            if event is not None:
                self._emit(event)
