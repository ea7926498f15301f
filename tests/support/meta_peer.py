"""WhatsApp's media server as the bridge sees it: a stock aiortc peer made to look like Meta's.

It is really ICE-lite (it sends no STUN request at all), writes Meta's session descriptions with
invented values, and keeps an account of everything that Meta punishes.
"""

import asyncio
import secrets
import time
from collections import deque
from struct import Struct
from typing import Any, Literal, NamedTuple, TypeAlias

from aioice import stun
from aioice.ice import CandidatePair
from aiortc import RTCSessionDescription
from aiortc.sdp import SessionDescription

from tests.support.light_peer import DIGITS
from tests.support.stock_peer import Pcm, StockPeer

OfferForm: TypeAlias = Literal["captured", "captured_3484", "older"]
AnswerForm: TypeAlias = Literal["actpass", "active", "wide"]

OFFER_FORMS: tuple[OfferForm, ...] = ("captured", "captured_3484", "older")
"""As captured; from another relay port; and with header extensions, four SSRC lines, loose fmtp."""
ANSWER_FORMS: tuple[AnswerForm, ...] = ("actpass", "active", "wide")
"""DTLS role left open; Meta as DTLS client; and an old sample with many codecs and `active`."""

_OPUS = 111
_DIGITS = 126
_PTIME = 960
_HEADER = Struct("!BBHII")
_EVENT = Struct("!BBH")
_FMTP = (
    "maxaveragebitrate=20000;maxplaybackrate=16000;minptime=20;"
    "sprop-maxcapturerate=16000;useinbandfec=1"
)
_LOOSE_FMTP = "minptime=10;useinbandfec=1"
_NOWHERE_V6 = "2001:db8::face"
"""Has the higher priority, and nobody is there."""


class RtpSeen(NamedTuple):
    """One RTP packet that came in, decrypted."""

    time: float
    """Monotonic seconds."""
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class MetaPeer:
    """One call's end at Meta: either `offer` and `take_answer` (they ring us), or `answer`.

    Use as `async with MetaPeer(speech) as meta: ...`.

    Args:
        speech: What the user says once the media road is up (int16 mono 16 kHz); None is silence.
        repeat: Say it over and over.
        offer_form: How the offer is written.
        answer_form: How the answer is written.
        ipv6: Whether an IPv6 candidate that nobody can reach is named as well.
        bitrate: `maxaveragebitrate` in place of Meta's; 0 leaves it out.
        host: The only address that it uses.
    """

    def __init__(
        self,
        speech: Pcm | None = None,
        *,
        repeat: bool = False,
        offer_form: OfferForm = "captured",
        answer_form: AnswerForm = "actpass",
        ipv6: bool = True,
        bitrate: int = 20_000,
        host: str = "127.0.0.1",
    ) -> None:
        self.rtp_packets: list[RtpSeen] = []
        """Everything received, digits too."""
        self.stun: list[str] = []
        """`in` for each STUN request received, `out` for each sent."""
        self.complaints: list[str] = []
        """What Meta would refuse in our descriptions, in words."""
        self.answer_sdp = ""
        """Our description, as it came in."""
        self.accepted_at: float | None = None
        """When `accept` was answered with 200, or the user picked up (monotonic seconds)."""
        self._stock = StockPeer(speech, repeat=repeat, host=host)
        self._offer_form = offer_form
        self._answer_form = answer_form
        self._ipv6 = ipv6
        self._fmtp = _FMTP if bitrate == 20_000 else _other_fmtp(bitrate)
        self._dtls = self._stock._dtls
        self._digits: deque[tuple[bytes, bool]] = deque()
        self._digit_began = 0
        self._sequence = secrets.randbits(15)
        self._muted = self._vanished = False
        self._make_lite()
        self._tap()

    async def __aenter__(self) -> "MetaPeer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def offer(self) -> str:
        """Ring us: write the offer of a `connect` webhook."""
        stock = SessionDescription.parse(await self._stock.offer()).media[0]
        older = self._offer_form == "older"
        port = 3484 if self._offer_form == "captured_3484" else 3480
        lines = [
            "v=0", f"o=- {round(time.time() * 1000)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE audio", f"a=msid-semantic: WMS {_uuid()}", "a=ice-lite",
            f"m=audio {port} UDP/TLS/RTP/SAVPF {_OPUS} {_DIGITS}",
            f"c=IN IP4 {stock.host}", "a=rtcp:9 IN IP4 0.0.0.0",
            *self._candidates(stock), *self._security(stock), "a=setup:actpass", "a=mid:audio",
            *(_EXTENSIONS if older else ()), "a=sendrecv",
            f"a=msid:{_uuid()} WhatsAppTrack1", "a=rtcp-mux",
            f"a=rtpmap:{_OPUS} opus/48000/2", f"a=rtcp-fb:{_OPUS} transport-cc",
            f"a=fmtp:{_OPUS} {_LOOSE_FMTP if older else self._fmtp}",
            f"a=rtpmap:{_DIGITS} telephone-event/8000", "a=maxptime:20", "a=ptime:20",
            *self._sources(stock, whole=older),
        ]  # fmt: skip
        return "\r\n".join(lines) + "\r\n"

    async def take_answer(self, sdp: str) -> None:
        """Take the answer of `pre_accept` or `accept`; a second one must be the same."""
        if self.answer_sdp:
            if sdp != self.answer_sdp:
                self.complaints.append("the answer has changed")
            return
        self.answer_sdp = sdp
        self._inspect(sdp, setups={"active"})
        # A media server that is ICE-lite looks at no candidate, and aiortc names its line "0".
        kept = [
            line for line in sdp.split("\r\n") if not line.startswith(("a=candidate", "a=end-of"))
        ]
        plain = "\r\n".join(kept).replace("a=mid:audio", "a=mid:0")
        await self._stock.accept(plain.replace("a=group:BUNDLE audio", "a=group:BUNDLE 0"))

    async def answer(self, offer_sdp: str) -> str:
        """Be rung: take our offer and write the answer of the `connect` webhook."""
        self.answer_sdp = offer_sdp
        self._inspect(offer_sdp, setups={"actpass"})
        kept = [line for line in offer_sdp.split("\r\n") if not line.startswith("a=candidate")]
        connection = self._stock.connection
        self._dtls._set_role("server" if self._answer_form == "actpass" else "client")
        await connection.setRemoteDescription(RTCSessionDescription("\r\n".join(kept), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        self._be_controlled()
        stock = SessionDescription.parse(connection.localDescription.sdp).media[0]
        wide = self._answer_form == "wide"
        formats = f"{_OPUS} 9 0 8 110 {_DIGITS}" if wide else f"{_OPUS} {_DIGITS}"
        lines = [
            "v=0", f"o=- {round(time.time() * 1000)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE audio", f"a=msid-semantic: WMS {_uuid()}", "a=ice-lite",
            f"m=audio 3480 UDP/TLS/RTP/SAVPF {formats}", f"c=IN IP4 {stock.host}",
            "a=rtcp:9 IN IP4 0.0.0.0", *self._candidates(stock), *self._security(stock),
            f"a=setup:{'actpass' if self._answer_form == 'actpass' else 'active'}",
            "a=mid:audio", "a=sendrecv", f"a=msid:{_uuid()} WhatsAppTrack1", "a=rtcp-mux",
            f"a=rtpmap:{_OPUS} opus/48000/2", f"a=fmtp:{_OPUS} {self._fmtp}",
            *(_OTHER_CODECS if wide else ()),
            f"a=rtpmap:{_DIGITS} telephone-event/8000", "a=maxptime:20", "a=ptime:20",
            *self._sources(stock, whole=wide),
        ]  # fmt: skip
        return "\r\n".join(lines) + "\r\n"

    def accepted(self) -> None:
        """Note that packets may come from now on: `accept` got its 200, or the user picked up."""
        if self.accepted_at is None:
            self.accepted_at = time.monotonic()

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait for ICE and DTLS."""
        await self._stock.wait_connected(timeout)

    async def wait_heard(self, seconds: float, *, timeout: float = 20.0) -> None:
        """Wait until this much sound was heard since the beginning."""
        await self._stock.wait_heard(seconds, timeout=timeout)

    async def wait_ended(self, timeout: float = 10.0) -> None:
        """Wait until our side has closed."""
        await self._stock.wait_ended(timeout)

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return self._stock.connected

    @property
    def heard(self) -> Pcm:
        """Everything heard until now (int16 mono 16 kHz)."""
        return self._stock.heard()

    @property
    def ssrcs(self) -> set[int]:
        """Of everything received: more than one breaks the call at Meta's."""
        return {packet.ssrc for packet in self.rtp_packets}

    @property
    def early_packets(self) -> list[RtpSeen]:
        """What came before it was allowed."""
        allowed = float("inf") if self.accepted_at is None else self.accepted_at
        return [packet for packet in self.rtp_packets if packet.time < allowed]

    @property
    def digits(self) -> str:
        """The digits received as telephone-events, each once."""
        pressed: dict[int, str] = {}
        for packet in self.rtp_packets:
            if packet.payload_type == _DIGITS and packet.payload:
                pressed.setdefault(packet.timestamp, DIGITS[packet.payload[0]])
        return "".join(pressed.values())

    @property
    def checked_first(self) -> bool:
        """Whether the first STUN request on the road was ours."""
        return self.stun[:1] == ["in"]

    async def send_digit(self, digit: str, *, packets: int = 5) -> None:
        """Press a key: RFC 4733 at 8 kHz in place of packets of sound, in their sequence."""
        event = DIGITS.index(digit)
        for number in range(1, packets + 3):
            end = 0x80 if number >= packets else 0
            duration = min(number, packets) * 160
            self._digits.append((_EVENT.pack(event, end | 10, duration), number == 1))
        while self._digits:
            await asyncio.sleep(0.005)

    def mute(self, *, muted: bool = True) -> None:
        """Send no RTP any more, or go on."""
        self._muted = muted

    def vanish(self) -> None:
        """Neither hear nor say anything from now on."""
        self._vanished = True

    async def aclose(self) -> None:
        """Say goodbye and free everything."""
        await self._stock.close()

    def _candidates(self, stock: Any) -> list[str]:
        extra = f" ufrag {stock.ice.usernameFragment}" if self._offer_form == "older" else ""
        own = [
            f"a=candidate:2166624461 1 udp 2122260223 {one.ip} {one.port} typ host generation 0"
            f" network-cost 50{extra}"
            for one in stock.ice_candidates
        ]
        if self._ipv6:
            own.append(
                f"a=candidate:1302982778 1 udp 2122262783 {_NOWHERE_V6} 3480 typ host generation 0"
                " network-cost 50"
            )
        return own

    def _security(self, stock: Any) -> list[str]:
        prints = {one.algorithm: one.value for one in stock.dtls.fingerprints}
        return [
            f"a=ice-ufrag:{stock.ice.usernameFragment}",
            f"a=ice-pwd:{stock.ice.password}",
            f"a=fingerprint:sha-256 {prints['sha-256']}",
        ]

    def _sources(self, stock: Any, *, whole: bool) -> list[str]:
        ssrc = self._stock._transceiver.sender._ssrc
        lines = [f"a=ssrc:{ssrc} cname:WhatsAppAudioStream1"]
        if whole:
            lines += [
                f"a=ssrc:{ssrc} msid:{_uuid()} WhatsAppTrack1",
                f"a=ssrc:{ssrc} mslabel:{_uuid()}",
                f"a=ssrc:{ssrc} label:WhatsAppTrack1",
            ]
        return lines

    def _inspect(self, sdp: str, *, setups: set[str]) -> None:
        """Complain about what Meta refuses, or breaks on."""
        lines = sdp.split("\r\n")
        said: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line[2:].partition(":")
            said.setdefault(name, []).append(value)
        prints = said.get("fingerprint", [])
        rules = {
            "no single audio line": sum(line.startswith("m=") for line in lines) == 1
            and any(line.startswith("m=audio") for line in lines),
            "other fingerprints than one of sha-256": len(prints) == 1
            and prints[0].startswith("sha-256 "),
            "no Opus": f"{_OPUS} opus/48000/2" in said.get("rtpmap", []),
            "no digits at 8 kHz": f"{_DIGITS} telephone-event/8000" in said.get("rtpmap", []),
            "no packets of 20 ms": said.get("ptime") == ["20"],
            "no single SSRC": len({value.split()[0] for value in said.get("ssrc", [])}) == 1,
            "ice-lite": "ice-lite" not in said,
            "no setup of use": set(said.get("setup", [])) <= setups and "setup" in said,
            "not sendrecv": "sendrecv" in said,
            "no CRLF at the end": sdp.endswith("\r\n") and "\n" not in sdp.replace("\r\n", ""),
        }
        self.complaints += [problem for problem, fine in rules.items() if not fine]

    def _make_lite(self) -> None:
        """Let aioice answer checks and never send one."""
        link: Any = self._dtls.transport.iceGatherer._connection
        link._local_username = secrets.token_hex(8)
        if self._offer_form == "older":
            link._local_username = f"{secrets.token_hex(2)}/2"
        link._local_password = (
            secrets.token_urlsafe(16).replace("-", "+").replace("_", "/")[:22] + "=="
        )
        received, state = link.request_received, CandidatePair.State

        def note(message: stun.Message, addr: Any, protocol: Any) -> None:
            self.stun.append("in")
            if not self._vanished:
                received(message, addr, protocol)

        async def check(pair: Any) -> None:
            pair.nominated = pair.nominated or pair.remote_nominated
            link.check_state(pair, state.SUCCEEDED)
            link.check_complete(pair)

        async def consent() -> None:
            await asyncio.Event().wait()

        link.request_received, link.check_start, link.query_consent = note, check, consent
        self._be_controlled()

    def _be_controlled(self) -> None:
        transport: Any = self._dtls.transport
        transport._connection.ice_controlling = False
        transport._role_set = True

    def _tap(self) -> None:
        """See each packet after decryption, and number those that go out."""
        dtls: Any = self._dtls
        receive, send = dtls._handle_rtp_data, dtls._send_rtp

        async def received(data: bytes, arrival_time_ms: int) -> None:
            _, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            self.rtp_packets.append(
                RtpSeen(
                    time.monotonic(), kind & 127, kind > 127, sequence, timestamp, ssrc, data[12:]
                )
            )
            await receive(data, arrival_time_ms)

        async def sent(data: bytes) -> None:
            control = 191 < data[1] < 224
            if not self._vanished and (control or not self._muted):
                await send(data if control else self._renumber(data))

        dtls._handle_rtp_data, dtls._send_rtp = received, sent

    def _renumber(self, data: bytes) -> bytes:
        """Give a packet of sound its number, or send a packet of a digit in its place."""
        first, kind, _, timestamp, ssrc = _HEADER.unpack_from(data)
        body = data[12:]
        if self._digits:
            body, begins = self._digits.popleft()
            self._digit_began = timestamp if begins else self._digit_began
            first, kind, timestamp = 0x80, _DIGITS | (0x80 if begins else 0), self._digit_began
        self._sequence = (self._sequence + 1) & 0xFFFF
        return _HEADER.pack(first, kind, self._sequence, timestamp, ssrc) + body


_EXTENSIONS = (
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
)
_OTHER_CODECS = (
    "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:110 telephone-event/48000",
)  # fmt: skip


def _other_fmtp(bitrate: int) -> str:
    return f"maxaveragebitrate={bitrate};minptime=20;useinbandfec=1" if bitrate else _LOOSE_FMTP


def _uuid() -> str:
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
