"""A telephone of our own making: plain RTP with G.711 on a raw socket, and a dialog whose signalling is scripted.

It shares no code with the bridge but the names of what happens to a dialog.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from pylibsrtp import Policy, Session
from typing_extensions import override

from bridge.sip import events as sip

PCMU, PCMA, EVENTS = 0, 8, 101
FRAME = 160
"""Samples of 20 ms at 8 kHz."""


class Received(NamedTuple):
    """One RTP packet, taken apart."""

    at: float
    sender: tuple[str, int]
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def ulaw(samples: np.ndarray[Any, Any]) -> bytes:
    """Encode 16-bit samples by the segments of ITU-T G.711."""
    linear = samples.astype(np.int32)
    sign = np.where(linear < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(linear), 32_635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = magnitude >> (exponent + 3) & 0x0F
    code: bytes = (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8).tobytes()
    return code


def linear(payload: bytes) -> np.ndarray[Any, Any]:
    """Decode µ-law to 16-bit samples."""
    code = ~np.frombuffer(payload, np.uint8).astype(np.int32) & 0xFF
    value = ((code & 0x0F) << 3 | 0x84) << (code >> 4 & 0x07)
    return (np.where(code & 0x80, 132 - value, value - 132)).astype(np.int16)


def tone(frequency: float, count: int, *, level: int = 8000) -> list[bytes]:
    """Return so many µ-law payloads of 20 ms."""
    times = np.arange(FRAME * count) / 8000
    coded = ulaw((level * np.sin(2 * np.pi * frequency * times)).astype(np.int16))
    return [coded[FRAME * index : FRAME * (index + 1)] for index in range(count)]


def share(samples: np.ndarray[Any, Any], frequency: float, *, rate: int = 8000) -> float:
    """Return the share of the energy that is at a frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    centre = round(frequency * len(samples) / rate)
    return float(spectrum[max(0, centre - 4) : centre + 5].sum() / max(1.0, spectrum.sum()))


class _Socket(asyncio.DatagramProtocol):
    """A telephone's socket; a port that has just been closed is no error."""

    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self.take = take

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.take(data, addr)


class Telephone:
    """Sends and receives RTP; `audio` is what came, `reports` RTCP."""

    def __init__(self, *, payload_type: int = PCMU, ssrc: int = 0x5050) -> None:
        self.audio: list[Received] = []
        self.reports: list[bytes] = []
        self.refused = 0
        self.payload_type, self.ssrc = payload_type, ssrc
        self.sequence, self.timestamp = 65_500, 0xFFFF_F000
        self.target: tuple[str, int] | None = None
        self._keys: tuple[Session, Session] | None = None

    async def open(self, *, rtcp: bool = False, host: str = "127.0.0.1") -> "Telephone":
        """Bind a port of an address of the loopback interface, and with `rtcp` another for reports."""
        loop = asyncio.get_running_loop()
        self.host = host
        self.socket, _ = await loop.create_datagram_endpoint(
            lambda: _Socket(self._take), local_addr=(host, 0)
        )
        self.port: int = self.socket.get_extra_info("sockname")[1]
        self.rtcp_port = 0
        if rtcp:
            self.rtcp, _ = await loop.create_datagram_endpoint(
                lambda: _Socket(lambda data, _: self.reports.append(data)),
                local_addr=(host, 0),
            )
            self.rtcp_port = self.rtcp.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        self.socket.close()
        if self.rtcp_port:
            self.rtcp.close()

    def encrypt(self, profile: int, ours: bytes, theirs: bytes) -> None:
        """Use SRTP from now on."""
        self._keys = (
            Session(Policy(key=ours, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)),
            Session(Policy(key=theirs, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)),
        )

    def describe(
        self,
        *lines: str,
        formats: str = "0 8 101",
        protocol: str = "RTP/AVP",
        address: str = "",
        port: int | None = None,
    ) -> str:
        """Return a session description."""
        address = address or self.host
        rtcp = [f"a=rtcp:{self.rtcp_port}"] if self.rtcp_port else []
        text = [
            "v=0",
            f"o=phone 1 1 IN IP4 {address}",
            "s=-",
            f"c=IN IP4 {address}",
            "t=0 0",
            f"m=audio {self.port if port is None else port} {protocol} {formats}",
            "a=rtpmap:101 telephone-event/8000",
            *rtcp,
            *lines,
        ]
        return "\r\n".join(text) + "\r\n"

    def follow(self, description: str) -> None:
        """Send to where the bridge's description says."""
        lines = description.splitlines()
        host = next(line[9:] for line in lines if line.startswith("c=IN IP4 "))
        media = next(line for line in lines if line.startswith("m=audio "))
        self.target = host, int(media.split()[1])

    def send(
        self, payload: bytes, *, payload_type: int | None = None, marker: bool = False
    ) -> None:
        """Send the next packet of 20 ms."""
        kind = self.payload_type if payload_type is None else payload_type
        header = struct.pack(
            "!BBHII", 0x80, marker << 7 | kind, self.sequence, self.timestamp, self.ssrc
        )
        self.skip()
        packet = header + payload
        if self._keys is not None:
            packet = self._keys[0].protect(packet)
        assert self.target is not None
        self.socket.sendto(packet, self.target)
        self.last = packet

    def skip(self) -> None:
        """Go on to the next packet, as if this one had been lost."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + FRAME) & 0xFFFF_FFFF

    async def say(self, payloads: list[bytes]) -> None:
        """Send payloads, one every 20 ms."""
        for payload in payloads:
            self.send(payload)
            await asyncio.sleep(0.02)

    async def press(self, digit: int) -> None:
        """Send a digit as telephone events (RFC 4733)."""
        began = self.timestamp
        for index in range(8):
            end = 0x80 if index > 4 else 0
            event = struct.pack("!BBH", digit, end | 10, FRAME * min(index + 1, 6))
            self.timestamp = began
            self.send(event, payload_type=EVENTS, marker=index == 0)
            await asyncio.sleep(0.02)
        self.timestamp = (began + FRAME * 8) & 0xFFFF_FFFF

    def heard(self, last: int = 50) -> np.ndarray[Any, Any]:
        """Return the samples of the last packets of µ-law."""
        spoken = [one.payload for one in self.audio if one.payload_type == PCMU]
        return np.concatenate([linear(payload) for payload in spoken[-last:]])

    def _take(self, data: bytes, sender: tuple[str, int]) -> None:
        report = 191 < data[1] < 224
        if self._keys is not None:
            try:
                keys = self._keys[1]
                data = keys.unprotect_rtcp(data) if report else keys.unprotect(data)
            except Exception:
                self.refused += 1
                return
        if report:
            self.reports.append(data)
            return
        _, kind, sequence, timestamp, ssrc = struct.unpack("!BBHII", data[:12])
        now = asyncio.get_running_loop().time()
        self.audio.append(Received(now, sender, kind & 0x7F, sequence, timestamp, ssrc, data[12:]))


class ScriptedDialog:
    """The signalling of one call (`trunk.dialog.AgentDialog`): keeps what the leg asks for, and says what the test says."""

    def __init__(self) -> None:
        self.on_event: Callable[[sip.DialogEvent], None] = lambda _: None
        self.asked: list[tuple[str, Any]] = []
        self.acknowledges = True
        self.trace_id = "0123456789ab"
        self.signalling_host = "127.0.0.1"

    @property
    def verbs(self) -> list[str]:
        """What the leg has asked for, without the details."""
        return [verb for verb, _ in self.asked]

    def last(self, verb: str) -> Any:
        """Return what was said with the last such request."""
        return next(said for name, said in reversed(self.asked) if name == verb)

    def invite(self, sdp: str) -> None:
        self.asked.append(("invite", sdp))

    def ring(self, sdp: str = "") -> None:
        self.asked.append(("ring", sdp))

    def answer(self, sdp: str) -> None:
        self.asked.append(("answer", sdp))

    def refuse(self, code: int) -> None:
        self.asked.append(("refuse", code))

    async def reach(self) -> None:
        self.asked.append(("reach", None))

    def reoffer(self, sdp: str) -> None:
        self.asked.append(("reoffer", sdp))

    def send_digit(self, digit: str, seconds: float) -> None:
        self.asked.append(("send_digit", digit))

    def refer(self, target: str, replaces: Any = None) -> None:
        self.asked.append(("refer", (target, replaces)))

    def notify_transfer(self, code: int) -> None:
        self.asked.append(("notify_transfer", code))

    def hang_up(self, code: int = 0) -> None:
        self.asked.append(("hang_up", code))

    async def wait_closed(self, seconds: float = 33.0) -> None:
        if not self.acknowledges:
            await asyncio.sleep(min(seconds, 32.0))
