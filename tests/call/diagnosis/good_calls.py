"""Good calls of all kinds, made up second by second from a seed."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bridge.call.diagnosis.observation import CallObservation, LegObservation
from bridge.call.leg_state import SocketState, TransportState
from bridge.call.model import (
    LegId,
    LegKind,
    LegStatistics,
    LevelCounts,
    Party,
    ReceivedAudio,
    ReplyTiming,
    SentAudio,
    State,
)

SECONDS = 70
_UP = TransportState(
    described=True, ice="connected", dtls="connected", checks_received=3, responses_received=3
)
_COMING_UP = replace(_UP, ice="checking", dtls="new")


@dataclass
class GoodLeg:
    """One leg of a call; each of its traits is per second."""

    rng: random.Random
    kind: LegKind = LegKind.WEBRTC
    party: Party = Party.NEAR
    name: str = ""
    joins: int = 0
    leaves: int = SECONDS
    speaks: Callable[[int], bool] | None = None
    """None for turns of some seconds."""
    room_dbov: float = -66.0
    loss: float = 0.0
    """Share of packets that are lost, in bursts."""
    dtx: bool = False
    gap: range = range(0)
    """When nothing is sent: the page is loading, or the path is changing."""
    muted: Callable[[int], bool] = lambda _: False
    replies: Mapping[int, float] = field(default_factory=dict)
    """When an agent replied, and after how long."""

    def __post_init__(self) -> None:
        rng = self.rng
        self._voice = rng.uniform(-35.0, -18.0)
        self._jitter = rng.uniform(0.001, 0.018)
        self._trip = rng.uniform(0.02, 0.3)
        self._measured = rng.choice([1, 2])
        self._report_every = rng.choice([1, 1, 5])
        self._received, self._levels = ReceivedAudio(), LevelCounts()
        self._sent, self._state = SentAudio(), _UP
        self._speaking, self._until = rng.random() < 0.5, 0
        self._replied: list[ReplyTiming] = []

    def observe(self, second: int) -> LegObservation:
        """Let a second pass."""
        if second in self.replies:
            steps = {"stt": 0.3, "llm": 0.5, "tts": 0.2}
            self._replied.append(ReplyTiming(float(second), self.replies[second], 0.0, steps))
        connected = second > self.joins or not self.kind.traits.carries_rtp
        if connected and second not in self.gap:
            self._pass(second)
        statistics = LegStatistics(
            received=self._received,
            sent=self._sent,
            round_trip_seconds=self._trip * self.rng.uniform(0.9, 1.3),
            transport=self._transport(connected=connected),
            socket=SocketState("s16le", 16_000, 32_000) if self.kind is LegKind.SOCKET else None,
            replies=tuple(self._replied) if self.kind is LegKind.AGENT else None,
        )
        return LegObservation(
            LegId(self.name or self.kind.value),
            self.kind,
            self.party,
            statistics,
            connected=connected,
            muted=self.muted(second),
        )

    def _transport(self, *, connected: bool) -> TransportState | None:
        if not self.kind.traits.carries_rtp:
            return None
        return self._state if connected else _COMING_UP

    def _pass(self, second: int) -> None:
        rng = self.rng
        speaks = self._takes_turns(second) if self.speaks is None else self.speaks(second)
        quiet = self.room_dbov + rng.uniform(-2.0, 2.0)
        level = self._voice + rng.uniform(-10.0, 5.0) if speaks else quiet
        paused = speaks and rng.random() < 0.3  # the moment of the observation is between words
        if self.kind is LegKind.RECORDER:
            return
        expected = 50 if speaks or not self.dtx else rng.choice([2, 3])
        if not self.kind.traits.carries_rtp:
            expected = 50 if speaks else 0
        lost = self._lose(expected)
        old, levels = self._received, self._levels
        noted = self._measured if expected > 5 else 0
        self._levels = LevelCounts(
            levels.noted + noted,
            levels.quiet + (0 if speaks else noted),
            levels.measured_frames + noted,
            levels.clipped_frames + (speaks and rng.random() < 0.02),
        )
        self._received = ReceivedAudio(
            packets=old.packets + expected - lost,
            bytes=old.bytes + rng.randrange(20_000, 50_000) * bool(expected),
            lost=max(0, old.lost + lost + rng.choice([0, 0, 0, 1, -1])),
            frames=old.frames + expected,
            jitter_seconds=self._jitter * rng.uniform(0.5, 1.5),
            level_dbov=quiet if paused or not noted else level,
            levels=self._levels,
        )
        state, sent = self._state, self._sent
        reports = second % self._report_every == 0
        self._sent = replace(
            sent,
            packets=sent.packets + 50,
            remote_lost=sent.remote_lost + self._lose(50),
            remote_loss_ratio=self._lose(50) / 50,
        )
        self._state = replace(
            state,
            reports=state.reports + reports,
            reports_about_us=state.reports_about_us + reports,
        )

    def _takes_turns(self, second: int) -> bool:
        if second >= self._until:
            self._speaking = not self._speaking
            self._until = second + self.rng.randrange(1, 8)
        return self._speaking

    def _lose(self, expected: int) -> int:
        """Return how many packets are lost: bursts of two on average (Gilbert's model)."""
        lost, bad = 0, False
        for _ in range(expected):
            bad = self.rng.random() < (0.5 if bad else self.loss * 0.5 / (1 - self.loss))
            lost += bad
        return lost


@dataclass
class GoodCall:
    """A call as it goes."""

    parties: list[GoodLeg]
    held: range = range(0)
    muted: range = range(0)
    invited: range = range(0)
    rings: int = 1

    def observe(self, second: int) -> CallObservation:
        """Let a second pass."""
        state = State.RINGING if second < self.rings else State.ACTIVE
        if second in self.held:
            state = State.HELD
        legs = [one for one in self.parties if one.joins <= second < one.leaves]
        return CallObservation(
            state,
            tuple(leg.observe(second) for leg in legs),
            second in self.muted,
            expects_party=second in self.invited,
            lag_seconds=0.005,
        )


def _far(rng: random.Random, **more: object) -> GoodLeg:
    return GoodLeg(rng, LegKind.WHATSAPP, Party.FAR, **more)  # type: ignore[arg-type]


def _service(rng: random.Random, kind: LegKind, **more: object) -> GoodLeg:
    return GoodLeg(rng, kind, Party.SERVICE, **more)  # type: ignore[arg-type]


def _browser(rng: random.Random) -> GoodCall:
    return GoodCall([GoodLeg(rng), _far(rng)])


def _socket(rng: random.Random) -> GoodCall:
    return GoodCall([GoodLeg(rng, LegKind.SOCKET), _far(rng)])


def _stream(rng: random.Random) -> GoodCall:
    return GoodCall([_service(rng, LegKind.STREAM), _far(rng)])


def _agent(rng: random.Random) -> GoodCall:
    replies = {second: rng.uniform(0.4, 2.5) for second in range(5, SECONDS, 9)}
    return GoodCall([_service(rng, LegKind.AGENT, replies=replies), _far(rng)])


def _recorded(rng: random.Random) -> GoodCall:
    return GoodCall([GoodLeg(rng), _service(rng, LegKind.RECORDER), _far(rng)])


def _held(rng: random.Random) -> GoodCall:
    held = range(15, 15 + rng.randrange(5, 40))
    near = GoodLeg(rng, room_dbov=-90.0, speaks=lambda second: second not in held)
    music = _service(rng, LegKind.PLAYBACK, joins=held.start, leaves=held.stop)
    return GoodCall([near, music, _far(rng, speaks=lambda second: second % 7 < 4)], held=held)


def _lossy(rng: random.Random) -> GoodCall:
    return GoodCall([GoodLeg(rng, loss=0.03), _far(rng, loss=0.03)])


def _dtx(rng: random.Random) -> GoodCall:
    return GoodCall([GoodLeg(rng, dtx=True), _far(rng, dtx=True)])


def _quiet_room(rng: random.Random) -> GoodCall:
    near = GoodLeg(rng, speaks=lambda second: second > 62)
    return GoodCall([near, _far(rng, speaks=lambda second: second % 9 < 6)])


def _listening_bot(rng: random.Random) -> GoodCall:
    first = rng.randrange(6, 25)
    bot = GoodLeg(rng, LegKind.SOCKET, speaks=lambda second: second >= first + 2)
    return GoodCall([bot, _far(rng, speaks=lambda second: second < first)])


def _music(rng: random.Random) -> GoodCall:
    return GoodCall([_service(rng, LegKind.PLAYBACK, speaks=lambda _: True), _far(rng)])


def _prompts(rng: random.Random) -> GoodCall:
    parts = [
        _service(rng, LegKind.PLAYBACK, name=f"play{at}", joins=at, leaves=at + 6)
        for at in range(1, SECONDS, 20)
    ]
    return GoodCall([*parts, _far(rng)])


def _late_joiner(rng: random.Random) -> GoodCall:
    near = GoodLeg(rng, joins=rng.randrange(1, 4))
    return GoodCall([near, GoodLeg(rng, name="second", joins=30), _far(rng)])


def _conference(rng: random.Random) -> GoodCall:
    return GoodCall([*(GoodLeg(rng, name=f"near{number}") for number in range(3)), _far(rng)])


def _reload(rng: random.Random) -> GoodCall:
    return GoodCall([GoodLeg(rng, gap=range(20, 21)), _far(rng)])


def _ice_restart(rng: random.Random) -> GoodCall:
    near = GoodLeg(rng, gap=range(20, 21), loss=0.01)
    return GoodCall([near, _far(rng, gap=range(40, 41))])


def _transfer(rng: random.Random) -> GoodCall:
    first, second = GoodLeg(rng, name="first", leaves=20), GoodLeg(rng, name="second", joins=35)
    return GoodCall([first, second, _far(rng)], invited=range(19, 35))


def _muted(rng: random.Random) -> GoodCall:
    muted = range(20, 45)
    near = GoodLeg(rng, room_dbov=-127.0, speaks=lambda second: second not in muted)
    return GoodCall([near, _far(rng)], muted=muted)


def _noise_gate(rng: random.Random) -> GoodCall:
    near = GoodLeg(rng, room_dbov=-120.0, speaks=lambda second: second % 15 < 7)
    return GoodCall([near, _far(rng)])


def _ringing(rng: random.Random) -> GoodCall:
    rings = rng.randrange(5, 30)
    near = GoodLeg(rng, room_dbov=-120.0, speaks=lambda second: rings < second < rings + 3)
    return GoodCall([near, _far(rng, joins=rings)], rings=rings)


KINDS: Mapping[str, Callable[[random.Random], GoodCall]] = {
    "browser": _browser,
    "socket": _socket,
    "stream": _stream,
    "agent": _agent,
    "recorded": _recorded,
    "held": _held,
    "3 % loss": _lossy,
    "DTX": _dtx,
    "a quiet room": _quiet_room,
    "a bot that listens first": _listening_bot,
    "music on hold": _music,
    "prompts and pauses": _prompts,
    "late joiner": _late_joiner,
    "conference": _conference,
    "reload": _reload,
    "ICE restart": _ice_restart,
    "transfer": _transfer,
    "muted": _muted,
    "noise gate": _noise_gate,
    "ringing": _ringing,
}


def seconds_of(call: GoodCall) -> Iterator[tuple[float, CallObservation]]:
    """Tell a call, with the times of its observations."""
    for second in range(SECONDS):
        yield float(second), call.observe(second)
