"""The same packets through the compiled packet path and Python's, step by step, and what differs.

`TwoPaths` has a `World` for each path: three sessions on a bus. Each step happens in both at the same `now`;
afterwards both must have sent the same bytes. At syncs, and at the end, everything else is compared.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from bridge.audio.codec.codec import OPUS as OPUS_CODEC
from bridge.audio.codec.codec import Codec
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.audio.frame import Frame
from bridge.call.bus.bus import Bus
from bridge.call.model import LegId
from bridge.rtc.srtp import Srtp
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from tests.support.packets.packet_sockets import Sockets
from tests.support.packets.rtp_party import OPUS, VOICE, WALL
from tests.support.packets.socket_party import OUR_KEY, PROFILE, THEIR_KEY, SocketParty

PARTIES = 3
LEGS = tuple(LegId(name) for name in "ABC")
TAP, CLOCK, RECORDER, WAV = (LegId(name) for name in ("tap", "clock", "recorder", "wav"))

# What differs between the paths without a difference to anybody: callables, where a run stands, and which of
# two totals has counted a payload that was refused, as only their sum is told; and what a decoder of G.711 has decoded
# for its level alone, which no concealment depends on.
LEFT_OUT = {
    "_fast_path", "_offload", "_malformed", "malformed", "_opus", "receive", "receive_rtp", "push", "take", "attach",
    "transmit", "_transmit_rtcp", "_discarded", "_encoder_budget", "_budget", "_on_encoder", "_on_digit",
    "_schedule_tick", "start_sending", "send_digits", "_epoch_begins", "_forward", "_past",
}  # fmt: skip


class Sink:
    """Takes the frames of the bus: a tap, or on the clock what needs every frame."""

    def __init__(self, world: "World", name: str, *, always_clocked: bool) -> None:
        self.world = world
        self.name = name
        self.always_clocked = always_clocked

    def push(self, frame: Frame, now: float) -> None:
        self.world.record(self.name, frame, now)


class Recorder:
    """Takes packets and frames of the bus, and may take them late, as the recorder of a forwarded call."""

    always_clocked = False
    passthrough_codec: Codec | None = OPUS_CODEC
    loss_ratio = 0.0

    def __init__(self) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self._timelines: list[Hashable] = []

    def push(self, frame: Frame, now: float) -> None:
        self.taken.append((frame.pcm, frame.pts, _number(frame.epoch, self._timelines), now))

    def take(self, packet: EncodedPacket, now: float) -> bool:
        if packet.codec is not self.passthrough_codec:
            return False
        epoch = _number(packet.epoch, self._timelines)
        self.taken.append((packet._replace(epoch=epoch), now))
        return True


class WavRecorder(Recorder):
    """Takes frames of the clock, and may take them late, as the recorder of a call's mix."""

    always_clocked = True
    passthrough_codec: Codec | None = None


class World:
    """Three sessions of one path on a bus, with everything that they gave."""

    def __init__(
        self, *, compiled: bool, secured: bool, continuous: bool, passthrough: int, limit: int, start: StreamStart,
        audio: Sequence[NegotiatedAudio],
    ) -> None:  # fmt: skip
        self.sockets = Sockets(OPUS, compiled=compiled)
        self.budget = EncoderBudget()
        self.bus = Bus()
        self.heard: list[tuple[Any, ...]] = []
        self.recorder, self.wav = Recorder(), WavRecorder()
        self._timelines: list[Hashable] = []
        self.parties = [
            SocketParty(
                self.sockets,
                audio[number],
                start=start._replace(ssrc=start.ssrc + number),
                budget=self.budget,
                secured=secured,
                limit=limit,
                passthrough=number < passthrough,
                continuous=continuous and number == 1,
            )
            for number in range(PARTIES)
        ]
        for leg, party in zip(LEGS, self.parties, strict=True):
            self.bus.join(leg, party.session, party.session)
        self.bus.join(TAP, None, Sink(self, "tap", always_clocked=False))
        self.bus.join(RECORDER, None, self.recorder, batched=True)
        self.bus.join(WAV, None, self.wav, batched=True)

    def route(self, rows: Mapping[LegId, frozenset[LegId]], now: float) -> None:
        """Route the bus; on the clock, where a recorder cannot be served late, is only who hears somebody."""
        self.bus.leave(CLOCK, now)
        if CLOCK in rows:
            self.bus.join(CLOCK, None, Sink(self, "clock", always_clocked=True))
        self.bus.route(rows, now)

    def record(self, name: str, frame: Frame, now: float) -> None:
        """Note a frame; timelines are numbered in the order in which they are first seen."""
        epoch = _number(frame.epoch, self._timelines)
        self.heard.append((name, frame.pcm, frame.pts, epoch, now))

    def given(self) -> dict[str, Any]:
        """Return what has come out since this was last called."""
        heard, self.heard = self.heard, []
        given: dict[str, Any] = {"frames": heard}
        for number, party in enumerate(self.parties):
            given[f"sent by {number}"] = party.sent()
            given[f"digits of {number}"] = list(party.digits)
            given[f"ticks wanted by {number}"] = list(party.wakes)
            given[f"encoders of {number}"] = list(party.encoders)
        return given

    def release(self) -> None:
        """End all offloads."""
        for party in self.parties:
            party.release()

    def close(self) -> None:
        """Close all sockets."""
        for party in self.parties:
            party.close()
        self.sockets.close()


class TwoPaths:
    """Both worlds, and the peers of their sessions."""

    def __init__(
        self,
        *,
        audio: Sequence[NegotiatedAudio],
        start: StreamStart,
        secured: bool = False,
        continuous: bool = False,
        passthrough: int = PARTIES,
        limit: int = 500,
    ) -> None:
        """Make them, with what each session negotiated; `passthrough` is the number of sessions, the first ones, whose packets may pass undecoded."""
        self.audios = audio
        self.secured = secured
        self.now = 100.0
        self._stopped = False
        self.sent: list[list[bytes]] = [[] for _ in range(PARTIES)]
        """Of each session, unprotected RTP packets."""
        # To be replaced where a session's stream begins anew under the same keys.
        self._senders = [
            Srtp(PROFILE, send_key=THEIR_KEY, receive_key=OUR_KEY) for _ in range(PARTIES)
        ]
        self.worlds = [
            World(
                compiled=compiled, secured=secured, continuous=continuous, passthrough=passthrough, limit=limit, start=start,
                audio=audio,
            )
            for compiled in (True, False)
        ]  # fmt: skip

    def __enter__(self) -> "TwoPaths":
        return self

    def __exit__(self, *_: object) -> None:
        for world in self.worlds:
            world.close()

    def do(self, step: Callable[[World, float], Any]) -> Any:
        """Take a step in both worlds, which must come to the same."""
        results = []
        for world in self.worlds:
            world.sockets.now = self.now
            results.append(step(world, self.now))
        assert results[0] == results[1]
        if not self._stopped:
            self._compare_given()
        return results[0]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let Python stand still in the compiled world, where it comes to what has arrived only afterwards."""
        self._stopped = True
        for world in self.worlds:
            world.sockets.stop()
        yield
        self._stopped = False
        self.do(lambda world, _: world.sockets.resume())

    def deliver(self, number: int, *datagrams: bytes, former: bool = False) -> None:
        """Let datagrams arrive at once, as they are; `former` as in `SocketParty.deliver`."""
        self.do(lambda world, now: world.parties[number].deliver(datagrams, now, former=former))

    def protect(self, number: int, packet: bytes) -> bytes | None:
        """Protect a packet of a peer; None if its number was used, or there is no header to protect."""
        if not self.secured:
            return packet
        return self._senders[number].protect(packet)

    def protect_rtcp(self, number: int, packet: bytes) -> bytes | None:
        """Protect a compound RTCP packet of a peer."""
        return self._senders[number].protect_rtcp(packet) if self.secured else packet

    def push(self, number: int, frame: int, epoch: str) -> None:
        """Push a frame of the bridge's own, such as of a playback."""
        pcm = VOICE[frame % len(VOICE)]
        self.do(
            lambda world, now: world.parties[number].session.push(
                Frame(pcm, 320 * frame, epoch), now
            )
        )

    def tick(self) -> None:
        """Serve the clock of the bus, and the sessions that need it."""

        def step(world: World, now: float) -> None:
            world.bus.tick(now)
            for party in world.parties:
                if party.continuous or party.session.needs_tick:
                    party.session.tick(now)

        self.do(step)

    def sync(self, what: str, number: int) -> None:
        """Read something that syncs what is offloaded, and compare it."""
        self.do(lambda world, now: SYNCS[what](world.parties[number], now))

    def flush(self) -> None:
        """Let the recorders take all until now, and compare it."""
        self.do(lambda world, now: world.bus.flush(now))
        assert not any(world.recorder.taken or world.wav.taken for world in self.worlds)

    def finish(self) -> None:
        """Compare everything that is to be seen, end all offloads, and compare the state that is left."""
        self.flush()
        for number in range(PARTIES):
            for what in SYNCS:
                self.sync(what, number)
        self.do(lambda world, _: world.release())
        for number in range(PARTIES):
            states = [state_of(world.parties[number].session) for world in self.worlds]
            differences = list(compare(*states))
            assert not differences, f"party {number}: {differences}"

    def _compare_given(self) -> None:
        given, expected = (world.given() for world in self.worlds)
        for name, value in given.items():
            if value != expected[name]:
                raise AssertionError(f"{name}: {_first_difference(value, expected[name])}")
        self._compare_recorded()
        for number in range(PARTIES):
            for datagram in given[f"sent by {number}"]:
                self._note_sent(number, datagram)

    def _compare_recorded(self) -> None:
        """Compare what the recorders have taken, of which the compiled path's may not have all."""
        for recorders in zip(*((one.recorder, one.wav) for one in self.worlds), strict=True):
            taken, expected = (recorder.taken for recorder in recorders)
            due, expected[:] = expected[: len(taken)], expected[len(taken) :]
            assert taken == due, f"recorded: {_first_difference(taken, due)}"
            taken.clear()

    def _note_sent(self, number: int, datagram: bytes) -> None:
        rtcp = 191 < datagram[1] < 224
        if self.secured:
            sender = self._senders[number]
            plain = sender.unprotect_rtcp(datagram) if rtcp else sender.unprotect(datagram)
            assert isinstance(plain, bytes), f"the peer refuses what was sent: {plain}"
            datagram = plain
        if not rtcp:
            self.sent[number].append(datagram)


def _arrivals(party: SocketParty, _now: float) -> Any:
    arrivals = party.arrivals
    return arrivals.alive_at


SYNCS: dict[str, Callable[[SocketParty, float], Any]] = {
    "statistics": lambda party, _: (party.totals(), party.session.statistics()),
    "report": lambda party, now: party.session.report(now, WALL + now),
    "numbering": lambda party, _: party.session.numbering,
    "last received": lambda party, _: party.session.last_received(),
    "next tick": lambda party, now: party.session.next_tick(now),
    "malformed": lambda party, _: party.session.malformed,
    "arrivals": _arrivals,
}
"""By name: what reads a session, and so syncs its offloads."""


def state_of(
    thing: Any, seen: dict[int, object] | None = None, epochs: list[object] | None = None
) -> Any:
    """Return the state of an object with all it holds, as something that can be compared."""
    seen, epochs = seen or {}, [] if epochs is None else epochs
    if thing is None or isinstance(thing, bool | int | float | str | bytes | Enum):
        return thing
    if type(thing) is object:
        if not any(known is thing for known in epochs):
            epochs.append(thing)
        return "epoch", next(index for index, known in enumerate(epochs) if known is thing)
    if isinstance(thing, dict):
        return {str(key): state_of(value, seen, epochs) for key, value in thing.items()}
    if isinstance(thing, list | tuple | deque):
        return [state_of(one, seen, epochs) for one in thing]
    if isinstance(thing, set | frozenset):
        return sorted(thing)
    if id(thing) in seen or not type(thing).__module__.startswith("bridge."):
        return type(thing).__name__
    seen = {**seen, id(thing): thing}
    if type(thing).__name__ in ("Encoder", "Decoder"):
        return state_of(getattr(thing, "settings", None), seen, epochs)
    names = sorted(
        {*getattr(thing, "__slots__", ()), *vars(thing)}
        if hasattr(thing, "__dict__")
        else thing.__slots__
    )
    values = {name: getattr(thing, name, None) for name in names if name not in LEFT_OUT}
    return {
        name: state_of(value, seen, epochs) for name, value in values.items() if not callable(value)
    }


def compare(one: Any, other: Any, where: str = "") -> Any:
    """Yield where two states differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from compare(one[name], other[name], f"{where}.{name}")
    elif one != other and not (one != one and other != other):
        yield f"{where}: {one!r:.200} is {other!r:.200} by Python"


def _number(epoch: Hashable, known: list[Hashable]) -> object:
    """Return a timeline's place among those that are known, to which it is added."""
    if isinstance(epoch, tuple):
        return epoch
    for index, one in enumerate(known):
        if one is epoch:
            return index
    known.append(epoch)
    return len(known) - 1


def _first_difference(one: Any, other: Any) -> str:
    if isinstance(one, list) and isinstance(other, list):
        for index, (first, second) in enumerate(zip(one, other, strict=False)):
            if first != second:
                return f"[{index}] {first!r:.300} is {second!r:.300} by Python"
        return f"{len(one)} are {len(other)} by Python: {(one + other)[min(len(one), len(other)) :]!r:.300}"
    return f"{one!r:.300} is {other!r:.300} by Python"
