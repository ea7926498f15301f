"""The leases of one transport: what the compiled packet path does for its source and its sink."""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, TypeAlias

from bridge.audio.codec.codec import OPUS
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.opus_packet import BUS_RATIO
from bridge.audio.detect.echo import NO_PACKETS, Run
from bridge.audio.frame import FRAME_BYTES, Frame
from bridge.rtc.limits import Address
from bridge.rtc.srtp import Srtp
from bridge.rtp.lease import Outputs, SinkMode

_NATIVE: Final = sys.byteorder

Listen: TypeAlias = Callable[
    [socket.socket, asyncio.DatagramProtocol, "TransportLeases"], asyncio.DatagramTransport
]


class Sink:
    """The sink of a transport (`rtp.lease.SinkLease`)."""

    def __init__(self, ffi: Any, lib: Any, transport: Any) -> None:  # noqa: ANN401  (cffi has no static type)
        self._ffi, self._push = ffi, lib.packet_push
        self._transport = transport  # `state` only points to it
        self.state = ffi.new("packet_sink *")
        """`packet_sink` in packet_path.h, the same for all leases."""
        self.state.transport = transport
        self.mode = SinkMode.IDLE
        """What it is leased for."""
        self._encoder: object = None

    def begin(self, mode: SinkMode, encoder: object) -> None:
        """Begin a lease; `encoder` is the handle of libopus' encoder, for frames."""
        state = self.state
        self.mode = mode
        state.mode = int(mode)
        state.generation += 1
        state.kept = state.recorded = 0
        self._encoder = encoder
        state.encoder = self._ffi.cast("void *", encoder) if encoder is not None else self._ffi.NULL

    def push(self, pcm: bytes, pts: int, now: float) -> bool:
        """Encode and send a frame; False, with nothing changed, unless it continues the stream."""
        if len(pcm) != FRAME_BYTES:
            return False
        return bool(self._push(self.state, self._ffi.from_buffer("int16_t *", pcm), pts, now))

    def take_sizes(self) -> Run:
        """Return the packets relayed since this was last called, with their times."""
        return _take_sizes(self._ffi, self.state)

    def kept(self) -> list[bytes]:
        """Return the newest frames or payloads of the lease, which warm up a coder."""
        if self.mode is SinkMode.PACKETS:
            return _kept(self._ffi, self.state)
        frames = self.state.frames
        return [
            bytes(self._ffi.buffer(frames[slot])) for slot in _slots(self.state.kept, len(frames))
        ]

    def end(self) -> None:
        """End the lease; safe to repeat."""
        self.mode = SinkMode.IDLE
        self.state.mode = 0
        self._encoder = None


class Source:
    """The source of a transport (`rtp.lease.SourceLease`)."""

    def __init__(self, ffi: Any, transport: Any) -> None:  # noqa: ANN401  (cffi has no static type)
        self._ffi = ffi
        self._transport = transport
        self.state = ffi.new("packet_source *")
        """`packet_source` in packet_path.h, the same for all leases."""
        self.state.transport = transport
        self.active = False
        """Whether it is leased."""
        self._outputs = Outputs()
        self._decoder: object = None
        self._timeline: object = None

    def begin(self, outputs: Outputs, *, decoder: object, timeline: object) -> None:
        """Begin a lease; `decoder` is the handle of libopus' decoder."""
        state, null = self.state, self._ffi.NULL
        self._outputs, self._decoder, self._timeline = outputs, decoder, timeline
        state.decoder = self._ffi.cast("void *", decoder)
        relay, push = outputs.relay, outputs.push
        state.relay, state.push = null, null
        if relay is not None:
            state.relay, state.relay_generation = relay.state, relay.state.generation
        if push is not None:
            state.push, state.push_generation = push.state, push.state.generation
        state.decodes = push is not None or outputs.take_frame is not None
        state.taps = bool(outputs.taps)
        state.kept = 0
        self.active = True
        self._transport.source = state

    def deliver_frame(self, pcm: bytes, position: int, now: float) -> None:
        """Deliver a frame at a position at 48 kHz."""
        if self._outputs.take_frame is not None:
            self._outputs.take_frame(Frame(pcm, position // BUS_RATIO, self._timeline), now)

    def deliver_copies(self) -> None:
        """Deliver to the taps the packets of which `take_sizes` would return the sizes."""
        taps, state, unpack = self._outputs.taps, self.state, self._ffi.unpack
        if not taps:
            return
        count, samples = state.recorded, state.samples
        number = state.sequence + state.renumbering - count
        position, start = state.position - count * samples, 0
        copies = bytes(self._ffi.buffer(state.copies, state.octets))
        for at, size, level in zip(
            unpack(state.times, count),
            unpack(state.sizes, count),
            unpack(state.levels, count),
            strict=True,
        ):
            payload = copies[start : start + size]
            packet = EncodedPacket(
                payload, samples, number & 0xFFFF, position, self._timeline, level, OPUS
            )
            for take in taps:
                take(packet, at)
            number, position, start = number + 1, position + samples, start + size

    def take_sizes(self) -> Run:
        """Return the packets that came since this was last called, with their times; at least one."""
        return _take_sizes(self._ffi, self.state)

    def kept(self) -> list[bytes]:
        """Return the newest payloads of the lease that were not decoded."""
        return _kept(self._ffi, self.state)

    def end(self) -> None:
        """End the lease; safe to repeat."""
        self.active = False
        self._transport.source = self._ffi.NULL
        self._outputs, self._decoder = Outputs(), None


class TransportLeases:
    """Both leases of one transport, and the route and keys that they use (`rtp.lease.Leases`)."""

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        ffi: Any,  # noqa: ANN401  (cffi has no static type)
        lib: Any,  # noqa: ANN401
        *,
        number: int,
        libraries: Any,  # noqa: ANN401
        receive: Callable[[bytes, float], None],
        discarded: dict[str, int],
        limit: int,
        listen: "Listen",
        on_closed: Callable[["TransportLeases"], object],
    ) -> None:
        self._ffi = ffi
        self.state = state = ffi.new("packet_transport *")
        """`packet_transport` in packet_path.h."""
        state.id, state.libraries, state.limit = number, libraries, limit
        state.fd, state.secured = -1, 1
        self._libraries = libraries
        self._srtp: Srtp | None = None
        self.source = Source(ffi, state)
        self.sink = Sink(ffi, lib, state)
        self.receive = receive
        """Takes unprotected RTP packets that are not as expected."""
        self.run = copy_context().run
        """Calls what takes packets in the context in which the transport was made, as `PacketSocket.run`."""
        self.discarded = discarded
        self._listen = listen
        self._on_closed = on_closed

    def listen(
        self, sock: socket.socket, protocol: asyncio.DatagramProtocol
    ) -> asyncio.DatagramTransport:
        """Receive on a bound UDP socket, which the returned transport owns.

        Raises:
            LegError: The system refuses to poll it; it is closed.
        """
        return self._listen(sock, protocol, self)

    def set_keys(self, srtp: Srtp) -> None:
        """Protect and unprotect by these keys from now on."""
        self._srtp = srtp
        cast = self._ffi.cast
        self.state.receive = cast("void *", srtp.receive_handle)
        self.state.send = cast("void *", srtp.send_handle)

    def set_route(self, fileno: int, address: Address | None) -> None:
        """Send from this socket to this address from now on, and take what comes from there; None: nowhere."""
        state = self.state
        state.fd = -1
        if address is None:
            return
        raw = pack_address(address)
        state.address_size = len(raw)
        self._ffi.memmove(state.address, raw, len(raw))
        state.fd = fileno

    def leave_socket(self, fileno: int) -> None:
        """Send nowhere if this was the socket in use, which is about to be closed."""
        if self.state.fd == fileno:
            self.state.fd = -1

    def count_unsendable(self) -> None:
        """Count the packets that could not be sent since this was last called."""
        self.discarded["unsendable"] += self.state.unsendable
        self.state.unsendable = 0

    def close(self) -> None:
        """Leave the route and the keys; the leases must have ended, or end unused. Safe to repeat."""
        self.set_route(-1, None)
        self.state.receive = self.state.send = self._ffi.NULL
        self.state.source = self._ffi.NULL
        self._srtp = None
        self.count_unsendable()
        self._on_closed(self)


def pack_address(address: Address) -> bytes:
    """Return host and port as a `struct sockaddr_in` or `sockaddr_in6`, without a scope."""
    host, port = address
    six = ":" in host
    family = socket.AF_INET6 if six else socket.AF_INET
    start = int(family).to_bytes(2, _NATIVE) + port.to_bytes(2, "big")
    raw = socket.inet_pton(family, host)
    return start + bytes(4) + raw + bytes(4) if six else start + raw + bytes(8)


def _take_sizes(ffi: Any, state: Any) -> Run:  # noqa: ANN401
    packets = state.recorded
    if not packets:
        return NO_PACKETS
    state.recorded = 0
    return Run(ffi.unpack(state.times, packets), ffi.unpack(state.sizes, packets))


def _kept(ffi: Any, state: Any) -> list[bytes]:  # noqa: ANN401
    """Return the payloads that a lease kept, the oldest first."""
    payloads, sizes = state.payloads, state.kept_sizes
    return [
        bytes(ffi.buffer(payloads[slot], sizes[slot])) for slot in _slots(state.kept, len(payloads))
    ]


def _slots(kept: int, slots: int) -> list[int]:
    """Return the slots of a ring in the order in which they were written."""
    return [number % slots for number in range(max(0, kept - slots), kept)]
