"""How many calls this machine carries, by a measurement of the media path.

Packets of a call with two legs come over UDP, are verified, decoded, routed, encoded, protected and sent, all
by the bridge's own code, as fast as one core can. The CPU time of the thread counts, so other programs change
little; how long that took beside it tells how busy the machine is.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Final

import numpy as np
from pylibsrtp import Policy

from bridge.audio.codec import opus
from bridge.audio.codec.codec import OPUS
from bridge.audio.codec.encoder_level import NORMAL, EncoderBudget
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE
from bridge.call.bus.bus import Bus
from bridge.call.model import LegId
from bridge.cli.doctor.findings import Finding, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.rtc.srtp import Srtp
from bridge.rtp.config import SessionConfig, Transmit, drop
from bridge.rtp.session import RtpSession
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio

SECONDS: Final = 3.0
BATCH: Final = 25
"""Packets sent before they are received, fewer than a socket buffers."""
PACKETS_A_SECOND: Final = 50
DIRECTIONS: Final = 2
DECODED_FACTOR: Final = 3.0
PASSTHROUGH_FACTOR: Final = 4.0
"""A packet's cost in a bridge under load (from calls on a core in `make bench`), with the event loop,
RTCP and the figures of its leg, per cost that is measured here."""
PLANNED: Final = 0.5
"""The share of a core to plan with (docs/operations-sizing.md): beyond it calls begin to stutter."""
BUSY: Final = 0.7
"""A core of which less than this was to be had is shared with other programs."""
QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
_PROFILE: Final = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
_KEY_BYTES: Final = 28
_TYPE: Final = 111
_SSRC: Final = 1
_BUFFER: Final = 2048
_VOICE_SECONDS: Final = 2
_AUDIO: Final = NegotiatedAudio(codec=OPUS, payload_type=_TYPE, direction="sendrecv")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a measurement gave."""

    packet_seconds: float
    """CPU time of one packet from one leg to the other."""
    share: float
    """CPU time per time that passed, 0 to 1."""

    def calls(self, factor: float, cores: int) -> int:
        """Return how many calls to plan for so many cores."""
        per_call = DIRECTIONS * PACKETS_A_SECOND * self.packet_seconds * factor
        return int(PLANNED * cores / per_call)


async def check_capacity(around: Surroundings) -> list[Finding]:
    """Measure the media path for `SECONDS`."""
    settings = around.settings
    library = opus.load(opus.candidates(os.environ.get("OPUS_LIB")))
    seconds = SECONDS / 2
    undecoded = await asyncio.to_thread(measure, library, seconds, passthrough=True)
    decoded = await asyncio.to_thread(measure, library, seconds, passthrough=False)
    usable = usable_cores(QUOTA)
    cores = min(settings.nodes or usable, usable)
    calls = decoded.calls(DECODED_FACTOR, cores)
    best = undecoded.calls(PASSTHROUGH_FACTOR, cores) if settings.media.passthrough else calls
    limit, exposed = settings.limits.calls, settings.http.exposed
    return [
        evaluate(calls, max(calls, best), limit=limit, exposed=exposed),
        *evaluate_share(min(undecoded.share, decoded.share)),
    ]


def evaluate(decoded: int, best: int, *, limit: int, exposed: bool) -> Finding:
    """Return whether the machine carries `limits.calls`.

    `decoded` calls of two legs through PCM can be planned, `best` of those that need the least.
    """
    between = f"{decoded} to {best}" if decoded != best else f"{best}"
    text = f"plan {between} calls of two legs at once with this CPU and the setting nodes"
    if limit <= best or not exposed:
        return ok(text)
    return warning(
        f"{text}, but limits.calls is {limit}",
        setting="limits.calls, nodes",
        fix=f"set limits.calls to {max(1, best)}, or nodes = 0 to use every core",
    )


def evaluate_share(share: float) -> list[Finding]:
    """Return a warning if other programs use the CPU."""
    if share >= BUSY:
        return []
    return [
        warning(
            f"only {share:.0%} of a core was to be had for 3 s: other programs use the CPU",
            fix="stop what else runs on this machine, or give the bridge cores of its own",
        )
    ]


def usable_cores(quota: Path) -> int:
    """Return how many cores this process may use, by affinity and by the quota of its container."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = affinity or 1
    try:
        allowed, period = quota.read_text().split()
        cores = min(cores, int(int(allowed) / int(period)))
    except (OSError, ValueError):
        pass
    return max(1, cores)


def measure(library: opus.Opus, seconds: float, *, passthrough: bool) -> Cost:
    """Carry packets through a call for so long; with `passthrough` they are not decoded."""
    with _udp() as (sender, receiver), _udp() as (output, drain):
        path = _Path(library, output, passthrough=passthrough)
        peer = path.peer(_voice(library))
        times: list[float] = []
        spent = 0.0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(BATCH):
                sender.send(next(peer))
            wall, cpu = time.monotonic(), time.thread_time()
            for _ in range(BATCH):
                path.receive(receiver.recv(_BUFFER))
            times.append(time.thread_time() - cpu)
            spent += time.monotonic() - wall
            _empty(drain)
    # What else runs on the core slows some batches, by what it leaves in the caches.
    typical = quantiles([times[0], *times], n=4)[0]
    return Cost(packet_seconds=typical / BATCH, share=min(1.0, sum(times) / spent))


class _Path:
    """A call with two legs; what the first one receives goes out through the second one."""

    def __init__(self, library: opus.Opus, output: socket.socket, *, passthrough: bool) -> None:
        keys = [secrets.token_bytes(_KEY_BYTES) for _ in range(4)]
        self._from_peer = Srtp(_PROFILE, send_key=keys[0], receive_key=keys[1])
        self._peer = Srtp(_PROFILE, send_key=keys[1], receive_key=keys[0])
        to_peer = Srtp(_PROFILE, send_key=keys[2], receive_key=keys[3])
        self._now = 0.0

        def transmit(packet: bytes) -> None:
            protected = to_peer.protect(packet)
            if protected is not None:
                output.send(protected)

        self._first = _session(library, drop, passthrough=passthrough)
        second = _session(library, transmit, passthrough=passthrough)
        one, other = LegId("one"), LegId("other")
        bus = Bus()
        bus.join(one, self._first, self._first)
        bus.join(other, second, second)
        bus.route({one: frozenset({other}), other: frozenset({one})}, 0.0)

    def receive(self, datagram: bytes) -> None:
        """Carry a packet, 20 ms after the one before."""
        self._now += FRAME_SECONDS
        packet = self._from_peer.unprotect(datagram)
        if isinstance(packet, bytes):
            self._first.receive_rtp(packet, self._now)

    def peer(self, payloads: list[bytes]) -> Iterator[bytes]:
        """Yield protected packets of a peer that talks for ever."""
        sequence, timestamp = 1, 0
        while True:
            payload = payloads[sequence % len(payloads)]
            header = bytes([0x80, _TYPE]) + (sequence & 0xFFFF).to_bytes(2, "big")
            header += (timestamp & 0xFFFFFFFF).to_bytes(4, "big") + _SSRC.to_bytes(4, "big")
            yield self._peer.protect(header + payload) or b""
            sequence += 1
            timestamp += 3 * FRAME_SAMPLES


def _session(library: opus.Opus, transmit: Transmit, *, passthrough: bool) -> RtpSession:
    session = RtpSession(
        SessionConfig(library, EncoderBudget(), passthrough=passthrough),
        audio=_AUDIO,
        start=StreamStart(2, 0, 0),
        cname="doctor",
        on_digit=lambda _: None,
        schedule_tick=lambda _: None,
        discarded={},
    )
    session.set_transmit(transmit, drop)
    return session


def _voice(library: opus.Opus) -> list[bytes]:
    """Return Opus packets of a sound with the spectrum of a voice."""
    times = np.arange(_VOICE_SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(130 + 40 * np.sin(2 * np.pi * 1.7 * times)) / SAMPLE_RATE
    wave = np.add.reduce([np.sin(k * phase) / k for k in range(1, 16)])
    pcm = (3000 * wave).astype("<i2").tobytes()
    encoder = opus.Encoder(library, NORMAL)
    return [
        encoder.encode(pcm[start : start + FRAME_BYTES])
        for start in range(0, len(pcm), FRAME_BYTES)
    ]


@contextmanager
def _udp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Open a UDP socket that sends, and the one that receives it."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(1.0)
        sender.connect(receiver.getsockname())
        yield sender, receiver


def _empty(drain: socket.socket) -> None:
    drain.settimeout(0)
    try:
        while True:
            drain.recv(_BUFFER)
    except BlockingIOError:
        pass
