"""WhatsApp's media server with SDES keys: SRTP on a plain socket, without ICE and DTLS.

It sends nothing before it has received a packet of ours, says and hears Opus through PyAV, and keeps an account of
what comes. Its face is that of `MetaPeer`.
"""

import asyncio
import base64
import itertools
import re
import secrets
import struct
import time
from collections import deque
from typing import Any, Final

from pylibsrtp import Error, Policy, Session
from typing_extensions import override

from tests.support.packets.opus_packets import decode, encode
from tests.support.peers.light_peer import DIGITS
from tests.support.peers.meta_peer import RtpSeen
from tests.support.peers.stock_peer import Pcm
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

SUITES: Final = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}
"""By the name in `a=crypto`: the profile, and how many bytes key and salt have."""
SILENCE: Final = b"\xf8\xff\xfe"
FRAME_SECONDS: Final = 0.02
_CRYPTO = re.compile(r"a=crypto:(\d+) (\S+) inline:([^|\s]+)")
_RTPMAP = re.compile(r"a=rtpmap:(\d+) (\S+)")


class SdesPeer(asyncio.DatagramProtocol):
    """One call's end at Meta; either `offer` and `take_answer` (they ring us), or `answer`.

    Args:
        speech: What the user says once we have sent something (int16 mono 16 kHz); None is silence.
        repeat: Say it over and over.
        suite: What it offers, and answers with if that is offered.
        protocol: Of the media line of its offer.
        host: The only address that it uses.
    """

    def __init__(
        self,
        speech: Pcm | None = None,
        *,
        repeat: bool = False,
        suite: str = "AES_CM_128_HMAC_SHA1_80",
        protocol: str = "RTP/SAVP",
        host: str = "127.0.0.1",
    ) -> None:
        self.complaints: list[str] = []
        """What Meta would refuse in our descriptions, in words."""
        self.answer_sdp = ""
        """Our description, as it came in."""
        self.accepted_at: float | None = None
        self.rtp_packets: list[RtpSeen] = []
        """Everything received, digits too."""
        self.reports = self.forged = 0
        """Packets of RTCP that came, and those with other keys than agreed."""
        self.early_packets: list[RtpSeen] = []
        """Stays empty: without our description nobody knows where to send to."""
        self._said = encode(speech) if speech is not None and len(speech) else []
        self._repeat, self._suite, self._protocol, self._host = repeat, suite, protocol, host
        self._opus, self._events = 111, 126
        self._key = b""
        self._sending: Session | None = None
        self._receiving: Session | None = None
        self.port = 0
        self._socket: asyncio.DatagramTransport | None = None
        self._target: tuple[str | Any, int] | None = None
        self._talk: asyncio.Task[None] | None = None
        self._digits: deque[tuple[int, bytes, bool]] = deque()
        self._muted = self._deaf = self._vanished = False
        self._ssrc, self._sequence = secrets.randbits(32), secrets.randbits(15)

    async def offer(self) -> str:
        """Ring us: write the offer of an INVITE."""
        self._key = secrets.token_bytes(SUITES[self._suite][1])
        return await self._describe(self._protocol, "1")

    async def take_answer(self, sdp: str) -> None:
        """Take the answer of a 200."""
        self.answer_sdp = sdp
        self.complaints += faults(sdp)
        if (found := _crypto_of(sdp, self._suite)) is not None:
            self._secure(self._suite, found[2])

    async def answer(self, offer_sdp: str) -> str:
        """Be rung: take our offer and write the answer of a 200."""
        self.answer_sdp = offer_sdp
        self.complaints += faults(offer_sdp)
        known = (self._suite, *SUITES)
        found = next(filter(None, (_crypto_of(offer_sdp, suite) for suite in known)))
        maps = {name: int(number) for number, name in _RTPMAP.findall(offer_sdp)}
        self._opus = maps["opus/48000/2"]
        self._events = maps["telephone-event/8000"]
        self._key = secrets.token_bytes(SUITES[found[1]][1])
        self._suite = found[1]
        self._secure(found[1], found[2])
        protocol = re.search(r"m=audio \d+ (\S+)", offer_sdp)
        assert protocol is not None
        return await self._describe(protocol[1], found[0])

    def accepted(self) -> None:
        """Note that the call is answered."""
        self.accepted_at = self.accepted_at or monotonic()

    @property
    def connected(self) -> bool:
        """Whether something came."""
        return bool(self.rtp_packets)

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait for our first packet."""
        await until(lambda: self.connected, timeout=timeout)

    async def wait_heard(self, seconds: float, *, timeout: float = 20.0) -> None:
        """Wait until this much sound was heard since the beginning."""
        await until(lambda: len(self._sound()) * FRAME_SECONDS >= seconds, timeout=timeout)

    @property
    def heard(self) -> Pcm:
        """Everything heard until now (int16 mono 16 kHz)."""
        return decode(self._sound())

    @property
    def ssrcs(self) -> set[int]:
        """Of everything received: more than one breaks the call at Meta's."""
        return {packet.ssrc for packet in self.rtp_packets}

    @property
    def last_heard(self) -> float | None:
        """When the last RTP packet came (monotonic seconds)."""
        return self.rtp_packets[-1].time if self.rtp_packets else None

    @property
    def digits(self) -> str:
        """The digits received as telephone-events at 8 kHz, each once."""
        pressed: dict[int, str] = {}
        for packet in self.rtp_packets:
            if packet.payload_type == self._events and packet.payload:
                pressed.setdefault(packet.timestamp, DIGITS[packet.payload[0]])
        return "".join(pressed.values())

    def gaps(self, seconds: float = 0.1) -> list[float]:
        """Return the pauses longer than this between two packets since the call was answered."""
        since = self.accepted_at or 0.0
        times = [packet.time for packet in self.rtp_packets if packet.time >= since]
        return [b - a for a, b in itertools.pairwise(times) if b - a > seconds]

    async def send_digit(self, digit: str, *, packets: int = 5) -> None:
        """Press a key: RFC 4733 at 8 kHz in place of packets of sound, in their sequence."""
        for number in range(1, packets + 3):
            end = 0x80 if number >= packets else 0
            duration = min(number, packets) * 160
            event = struct.pack("!BBH", DIGITS.index(digit), end | 10, duration)
            self._digits.append((number, event, number == 1))
        await until(lambda: not self._digits)

    def speak_to(self, address: tuple[str | Any, int]) -> None:
        """Begin to send there, as Meta does where our first packet came from."""
        if self._talk is None:
            self._target = address
            self._talk = asyncio.create_task(self._speak())

    def mute(self, *, muted: bool = True) -> None:
        """Send no RTP any more, or go on."""
        self._muted = muted

    def deafen(self, *, deaf: bool = True) -> None:
        """Lose all packets on their way here, or no more."""
        self._deaf = deaf

    def vanish(self) -> None:
        """Neither hear nor say anything from now on."""
        self._muted = self._deaf = True

    async def aclose(self) -> None:
        """Free everything."""
        if self._talk is not None:
            self._talk.cancel()
            await asyncio.gather(self._talk, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if self._deaf or self._receiving is None:
            return
        report = 191 < data[1] < 224
        try:
            plain = (self._receiving.unprotect_rtcp if report else self._receiving.unprotect)(data)
        except Error:
            self.forged += 1
            return
        if report:
            self.reports += 1
            return
        _, kind, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", plain)
        seen = RtpSeen(monotonic(), kind & 127, kind > 127, sequence, timestamp, ssrc, plain[12:])
        self.rtp_packets.append(seen)
        self.speak_to(addr)

    def _sound(self) -> list[bytes]:
        return [one.payload for one in self.rtp_packets if one.payload_type == self._opus]

    def _secure(self, suite: str, theirs: str) -> None:
        profile, _ = SUITES[suite]
        heard = base64.b64decode(theirs)
        self._sending = Session(
            Policy(key=self._key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        )
        self._receiving = Session(
            Policy(key=heard, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        )

    async def _speak(self) -> None:
        """Send a packet every 20 ms: a digit's, of what is said, or silence."""
        assert self._sending is not None
        assert self._socket is not None
        began, event_time = monotonic(), 0
        number = 0
        while True:
            await asyncio.sleep(began + FRAME_SECONDS * number - monotonic())
            said, kind, timestamp = self._next(number), self._opus, 960 * number
            if self._digits:
                _, said, first = self._digits.popleft()
                event_time = timestamp if first else event_time
                kind, timestamp = self._events | (0x80 if first else 0), event_time
            number += 1
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._muted:
                continue
            header = struct.pack("!BBHII", 0x80, kind, self._sequence, timestamp, self._ssrc)
            self._socket.sendto(self._sending.protect(header + said), self._target)

    def _next(self, number: int) -> bytes:
        count = len(self._said)
        if not count or (number >= count and not self._repeat):
            return SILENCE
        return self._said[number % count]

    async def _describe(self, protocol: str, tag: str) -> str:
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self._host, 0)
        )
        self.port = port = self._socket.get_extra_info("sockname")[1]
        key = base64.b64encode(self._key).decode()
        lines = [
            "v=0", f"o=- {round(time.time() * 1000)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE audio", f"m=audio {port} {protocol} {self._opus} {self._events}",
            f"c=IN IP4 {self._host}", "a=rtcp:9 IN IP4 0.0.0.0", "a=mid:audio", "a=sendrecv",
            "a=rtcp-mux", f"a=crypto:{tag} {self._suite} inline:{key}",
            f"a=rtpmap:{self._opus} opus/48000/2",
            f"a=fmtp:{self._opus} maxaveragebitrate=20000;maxplaybackrate=16000;minptime=20;useinbandfec=1",
            f"a=rtpmap:{self._events} telephone-event/8000", "a=maxptime:20", "a=ptime:20",
            f"a=ssrc:{self._ssrc} cname:WhatsAppAudioStream1",
        ]  # fmt: skip
        return "\r\n".join(lines) + "\r\n"


def faults(sdp: str) -> list[str]:
    """Say in words what Meta refuses in a description of ours with SDES, or breaks on."""
    lines = sdp.split("\r\n")
    maps = [line.partition(" ")[2].lower() for line in lines if line.startswith("a=rtpmap:")]
    cryptos = [line for line in lines if line.startswith("a=crypto:")]
    times = {line for line in lines if line.startswith("a=ptime:")}
    rules = {
        "no single audio line": [line[:7] for line in lines if line[:2] == "m="] == ["m=audio"],
        "no keys (a=crypto)": bool(cryptos),
        "keys of no known suite": any(one.split()[1] in SUITES for one in cryptos),
        "no Opus": "opus/48000/2" in maps,
        "no digits at 8 kHz": "telephone-event/8000" in maps,
        "other packets than of 20 ms": times <= {"a=ptime:20"},
        "not sendrecv": not {"a=sendonly", "a=recvonly", "a=inactive"} & set(lines),
        "no CRLF at the end": sdp.endswith("\r\n") and "\n" not in sdp.replace("\r\n", ""),
    }
    return [problem for problem, fine in rules.items() if not fine]


def _crypto_of(sdp: str, suite: str) -> tuple[str, str, str] | None:
    """Return tag, suite and key of the line with this suite."""
    found = (one.groups() for one in _CRYPTO.finditer(sdp))
    return next(((tag, name, key) for tag, name, key in found if name == suite), None)
