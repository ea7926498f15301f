"""A bad network in user space: loss, delay, jitter, reordering, duplication, silence, NAT rebind.

A UDP proxy stands between a test peer and the bridge's media port. What happens to a packet is
decided by a pure object from the seed and the packet's number alone, so a run can be repeated
exactly. Needs no privileges and no kernel modules.

    async with impaired(answer_sdp, loss=0.05, seed=1) as sdp:
        await peer.accept(sdp)
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from typing_extensions import override

Address: TypeAlias = tuple[str, int]
Way: TypeAlias = Literal["up", "down"]
"""up: from the peer to the bridge; down: from the bridge to the peer."""

_CANDIDATE = re.compile(
    r"^(a=candidate:\S+ 1 udp \d+ )(\S+) (\d+)( typ .*)$", re.MULTILINE | re.IGNORECASE
)
_CANDIDATE_LINES = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n", re.MULTILINE)
_SCALE = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What the network does to the packets of one direction.

    Probabilities are between 0 and 1, times in seconds. Several kinds of loss add up.
    """

    seed: int = 0
    loss: float = 0.0
    """Probability that a packet is lost, each by itself."""
    burst: float = 0.0
    """Probability that a burst of losses begins at a packet."""
    burst_length: int = 3
    pattern: str = ""
    """Repeated over the packets: `x` is lost, any other character arrives. `...x` loses each 4th."""
    lost: frozenset[int] = frozenset()
    """Numbers of packets that are lost."""
    delay: float = 0.0
    """Added to every packet."""
    jitter: float = 0.0
    """Added to every packet: evenly distributed between nothing and this."""
    reorder: float = 0.0
    """Probability that a packet is held back by `reorder_delay`, so that later ones pass it."""
    reorder_delay: float = 0.03
    duplicate: float = 0.0
    """Probability that a packet comes twice."""
    duplicate_delay: float = 0.005

    def decide(self, packet_number: int) -> list[float]:
        """Tell after which delays a packet arrives: none at all when lost, two when duplicated."""
        if self._is_lost(packet_number):
            return []
        after = self.delay + self.jitter * self._chance(packet_number, "jitter")
        if self.held_back(packet_number):
            after += self.reorder_delay
        if self._chance(packet_number, "duplicate") < self.duplicate:
            return [after, after + self.duplicate_delay]
        return [after]

    def held_back(self, packet_number: int) -> bool:
        """Whether later packets may pass this one."""
        return self._chance(packet_number, "reorder") < self.reorder

    def _is_lost(self, number: int) -> bool:
        if number in self.lost:
            return True
        if self.pattern and self.pattern[number % len(self.pattern)] == "x":
            return True
        if self.loss and self._chance(number, "loss") < self.loss:
            return True
        starts = range(max(0, number - self.burst_length + 1), number + 1) if self.burst else ()
        return any(self._chance(start, "burst") < self.burst for start in starts)

    def _chance(self, number: int, what: str) -> float:
        key = f"{self.seed}/{what}/{number}".encode()
        return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") / _SCALE


class Schedule:
    """When each packet of one direction leaves: the decisions, kept in order.

    Jitter alone does not turn packets around (in real networks it seldom does): a packet leaves no
    earlier than the one before it, unless it is one that `reorder` holds back.
    """

    def __init__(self, impairment: Impairment) -> None:
        self.impairment = impairment
        self.packets = 0
        self.lost = 0
        self.duplicated = 0
        self.held_back = 0
        self._last = float("-inf")

    def due(self, now: float) -> list[float]:
        """Decide on the next packet: the moments at which it leaves."""
        number = self.packets
        self.packets += 1
        moments = [now + after for after in self.impairment.decide(number)]
        if not moments:
            self.lost += 1
            return moments
        self.duplicated += len(moments) - 1
        if self.impairment.held_back(number):
            self.held_back += 1
            return moments
        # Timers of the same moment fire in no particular order.
        early = self._last + 1e-6 - moments[0]
        if early > 0:
            moments = [moment + early for moment in moments]
        self._last = moments[0]
        return moments


@dataclass(slots=True)
class Counts:
    """What a proxy has passed on, by way."""

    passed: dict[Way, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    """Datagrams handed on, copies included."""
    swallowed: dict[Way, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    """Datagrams that came while that way was silent."""


class ImpairmentProxy:
    """The bad network in front of one UDP address.

    Only media (SRTP) is numbered and decided on; STUN, DTLS and SRTCP pass undisturbed unless
    `everything` is set, so that a run does not depend on how often a handshake repeats itself.
    Silence (`silence`) swallows all.

    Args:
        target: The bridge's media address.
        up: What happens to packets towards the bridge.
        down: What happens to packets towards the peer.
        everything: Impair every datagram, not media alone.
        host: Address that the proxy listens on.
    """

    def __init__(
        self,
        target: Address,
        *,
        up: Impairment,
        down: Impairment,
        everything: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        self.target = target
        self.schedules: dict[Way, Schedule] = {"up": Schedule(up), "down": Schedule(down)}
        self.counts = Counts()
        self._everything = everything
        self._host = host
        self._silent: set[Way] = set()
        self._peer: Address | None = None
        self._front: asyncio.DatagramTransport | None = None
        self._back: asyncio.DatagramTransport | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    async def __aenter__(self) -> "ImpairmentProxy":
        self._front = await self._open(self._from_peer)
        self._back = await self._open(self._from_bridge)
        return self

    async def __aexit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for transport in (self._front, self._back):
            if transport is not None:
                transport.close()

    @property
    def address(self) -> Address:
        """Where the peer has to send."""
        return _name_of(self._front)

    @property
    def outside_address(self) -> Address:
        """Where the bridge sees the peer."""
        return _name_of(self._back)

    def silence(self, *ways: Way) -> None:
        """Swallow everything that goes these ways (both when none is named)."""
        self._silent = set(ways or ("up", "down"))

    def restore(self) -> None:
        """End the silence."""
        self._silent = set()

    def impair(self, way: Way, impairment: Impairment, *, everything: bool = False) -> None:
        """Change what happens to packets from now on; `everything` as in the constructor."""
        self.schedules[way] = Schedule(impairment)
        self._everything = everything

    async def rebind(self) -> Address:
        """Change the port under which the bridge sees the peer, as a NAT does that forgot.

        What the bridge still sends to the old port is lost.
        """
        old, self._back = self._back, await self._open(self._from_bridge)
        if old is not None:
            old.close()
        return self.outside_address

    def _from_peer(self, data: bytes, source: Address) -> None:
        self._peer = source
        self._handle("up", data, self._to_bridge)

    def _from_bridge(self, data: bytes, source: Address) -> None:
        if source == self.target:
            self._handle("down", data, self._to_peer)

    def _handle(self, way: Way, data: bytes, forward: Callable[[bytes], None]) -> None:
        if way in self._silent:
            self.counts.swallowed[way] += 1
            return
        if not (self._everything or _is_media(data)):
            self._pass(way, data, forward)
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        for moment in self.schedules[way].due(now):
            if moment <= now:
                self._pass(way, data, forward)
            else:
                self._later(loop, moment, way, data, forward)

    def _later(
        self,
        loop: asyncio.AbstractEventLoop,
        moment: float,
        way: Way,
        data: bytes,
        forward: Callable[[bytes], None],
    ) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            self._pass(way, data, forward)

        timer = loop.call_at(moment, fire)
        self._timers.add(timer)

    def _pass(self, way: Way, data: bytes, forward: Callable[[bytes], None]) -> None:
        self.counts.passed[way] += 1
        forward(data)

    def _to_bridge(self, data: bytes) -> None:
        if self._back is not None:
            self._back.sendto(data, self.target)

    def _to_peer(self, data: bytes) -> None:
        if self._front is not None and self._peer is not None:
            self._front.sendto(data, self._peer)

    async def _open(self, take: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(take), local_addr=(self._host, 0)
        )
        return transport


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._take(data, (addr[0], addr[1]))


def _name_of(transport: asyncio.DatagramTransport | None) -> Address:
    assert transport is not None, "the proxy is not open"
    host, port = transport.get_extra_info("sockname")[:2]
    return host, port


def _is_media(data: bytes) -> bool:
    return len(data) > 1 and 127 < data[0] < 192 and not 192 <= data[1] <= 223


def media_address(sdp: str) -> Address:
    """Read the first UDP candidate of an SDP."""
    found = _CANDIDATE.search(sdp)
    assert found is not None, f"no UDP candidate in\n{sdp}"
    return found[2], int(found[3])


def through(sdp: str, address: Address) -> str:
    """Put `address` in place of every UDP candidate's."""
    return _CANDIDATE.sub(rf"\g<1>{address[0]} {address[1]}\g<4>", sdp)


def without_candidates(sdp: str) -> str:
    """Take the candidates out of an offer, so that the bridge cannot find a way past the proxy."""
    return _CANDIDATE_LINES.sub("", sdp)


@asynccontextmanager
async def impaired_path(
    answer_sdp: str,
    *,
    up: Impairment | None = None,
    down: Impairment | None = None,
    everything: bool = False,
) -> AsyncIterator[tuple[ImpairmentProxy, str]]:
    """Open a proxy in front of the address an answer names; yields it and the rewritten answer."""
    proxy = ImpairmentProxy(
        media_address(answer_sdp),
        up=up or Impairment(),
        down=down or Impairment(),
        everything=everything,
    )
    async with proxy:
        yield proxy, through(answer_sdp, proxy.address)


@asynccontextmanager
async def impaired(answer_sdp: str, **impairment: Any) -> AsyncIterator[str]:
    """Impair both directions alike; the members of `Impairment` are the arguments.

    The two directions have seeds of their own, made from `seed`.
    """
    seed = impairment.pop("seed", 0)
    up = Impairment(seed=2 * seed, **impairment)
    down = Impairment(seed=2 * seed + 1, **impairment)
    async with impaired_path(answer_sdp, up=up, down=down) as (_, sdp):
        yield sdp
