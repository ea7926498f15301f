"""WhatsApp's media server as the bridge sees it: aiortc's peers made to look like Meta's.

They are really ICE-lite (they send no STUN request at all), write Meta's session descriptions with
invented values, and keep an account of everything that Meta punishes.
"""

import asyncio
import secrets
from collections import deque
from functools import cache
from struct import Struct
from typing import Any, NamedTuple

from aioice import stun
from aiortc import RTCCertificate, RTCSessionDescription
from aiortc.sdp import SessionDescription
from typing_extensions import override

from tests.support.peers import meta_sdp
from tests.support.peers.ice_lite import make_lite
from tests.support.peers.light_peer import DIGITS, LightPeer
from tests.support.peers.meta_sdp import (
    ANSWER_FORMS,
    META_BITRATE,
    OFFER_FORMS,
    AnswerForm,
    MediaEnd,
    OfferForm,
    Writer,
    without_candidates,
)
from tests.support.peers.stock_peer import Pcm, StockPeer
from tests.support.virtual_time import monotonic

__all__ = ["ANSWER_FORMS", "OFFER_FORMS", "LightMeta", "MetaPeer", "RtpSeen"]

_DIGITS = meta_sdp.DIGITS
_HEADER = Struct("!BBHII")
_EVENT = Struct("!BBH")


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


class MetaSide:
    """One call's end at Meta: either `offer` and `take_answer` (they ring us), or `answer`."""

    def __init__(self, writer: Writer) -> None:
        self.complaints: list[str] = []
        """What Meta would refuse in our descriptions, in words."""
        self.answer_sdp = ""
        """Our description, as it came in."""
        self.accepted_at: float | None = None
        """When `accept` was answered with 200, or the user picked up (monotonic seconds)."""
        self._writer = writer

    async def take_answer(self, sdp: str) -> None:
        """Take the answer of `pre_accept` or `accept`; a second one must be the same."""
        if not self.answer_sdp:
            self._check(sdp, setups={"active"})
            await self._meet(sdp)
        elif sdp != self.answer_sdp:
            self.complaints.append("the answer has changed")

    def accepted(self) -> None:
        """Note that packets may come from now on: `accept` got its 200, or the user picked up."""
        self.accepted_at = self.accepted_at or monotonic()

    async def _meet(self, sdp: str) -> None:
        """Begin to connect to an answer."""
        raise NotImplementedError

    def _check(self, sdp: str, *, setups: set[str]) -> None:
        self.answer_sdp = sdp
        self.complaints += meta_sdp.faults(sdp, setups=setups)

    def _make_lite(self, link: Any) -> None:
        make_lite(
            link,
            username=meta_sdp.username(self._writer.offer_form),
            password=meta_sdp.password(),
            heard=self._note,
        )

    def _note(self, message: stun.Message) -> bool:
        """Note a check; return whether it is answered."""
        if "ICE-CONTROLLING" not in message.attributes:
            self.complaints.append("an ICE check that is not controlling")
        return True


class MetaPeer(MetaSide):
    """A stock peer, which speaks and understands what it hears.

    Use as `async with MetaPeer(speech) as meta: ...`.

    Args:
        speech: What the user says once media flows (int16 mono 16 kHz); None is silence.
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
        bitrate: int = META_BITRATE,
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__(Writer(offer_form, answer_form, ipv6, bitrate))
        self.rtp_packets: list[RtpSeen] = []
        """Everything received, digits too."""
        self.stun: list[str] = []
        """`in` for each STUN request received, `out` for each sent."""
        self._stock = StockPeer(speech, repeat=repeat, host=host)
        self._dtls = self._stock._dtls
        self._digits: deque[tuple[bytes, bool]] = deque()
        self._digit_began = 0
        self._sequence = secrets.randbits(15)
        self._muted = self._vanished = self._deaf = False
        self._make_lite(self._dtls.transport.iceGatherer._connection)
        self._be_controlled()
        self._tap()

    async def __aenter__(self) -> "MetaPeer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def offer(self) -> str:
        """Ring us: write the offer of a `connect` webhook."""
        stock = SessionDescription.parse(await self._stock.offer()).media[0]
        return self._writer.offer(self._end(stock))

    async def answer(self, offer_sdp: str) -> str:
        """Be rung: take our offer and write the answer of the `connect` webhook."""
        self._check(offer_sdp, setups={"actpass"})
        plain = without_candidates(offer_sdp)
        connection = self._stock.connection
        open_role = self._writer.answer_form == "actpass"
        self._dtls._set_role("server" if open_role else "client")
        await connection.setRemoteDescription(RTCSessionDescription(plain, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        self._be_controlled()
        stock = SessionDescription.parse(connection.localDescription.sdp).media[0]
        return self._writer.answer(self._end(stock))

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
    def last_heard(self) -> float | None:
        """When the last RTP packet came (monotonic seconds)."""
        return self.rtp_packets[-1].time if self.rtp_packets else None

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
        """Whether the first STUN request was ours."""
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

    def deafen(self, *, deaf: bool = True) -> None:
        """Lose all packets of sound on their way here, or no more."""
        self._deaf = deaf

    def vanish(self) -> None:
        """Neither hear nor say anything from now on."""
        self._vanished = True

    async def aclose(self) -> None:
        """Send close_notify and free everything."""
        await self._stock.close()

    @override
    async def _meet(self, sdp: str) -> None:
        # aiortc names its line "0".
        plain = without_candidates(sdp).replace("a=mid:audio", "a=mid:0")
        await self._stock.accept(plain.replace("a=group:BUNDLE audio", "a=group:BUNDLE 0"))

    def _end(self, stock: Any) -> MediaEnd:
        prints = {one.algorithm: one.value for one in stock.dtls.fingerprints}
        return MediaEnd(
            host=stock.host,
            candidates=tuple((one.ip, one.port) for one in stock.ice_candidates),
            ufrag=stock.ice.usernameFragment,
            pwd=stock.ice.password,
            fingerprint=prints["sha-256"],
            ssrc=self._stock._transceiver.sender._ssrc,
        )

    @override
    def _note(self, message: stun.Message) -> bool:
        self.stun.append("in")
        return not self._vanished and super()._note(message)

    def _be_controlled(self) -> None:
        transport: Any = self._dtls.transport
        transport._connection.ice_controlling = False
        transport._role_set = True

    def _tap(self) -> None:
        """See each packet after decryption, and number those that go out."""
        dtls: Any = self._dtls
        receive, send = dtls._handle_rtp_data, dtls._send_rtp

        async def received(data: bytes, arrival_time_ms: int) -> None:
            if self._deaf:
                return
            _, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            self.rtp_packets.append(
                RtpSeen(monotonic(), kind & 127, kind > 127, sequence, timestamp, ssrc, data[12:])
            )
            await receive(data, arrival_time_ms)

        async def sent(data: bytes) -> None:
            control = 191 < data[1] < 224
            if not self._vanished and (control or not self._muted):
                await send(data if control else self._renumber(data))

        dtls._handle_rtp_data, dtls._send_rtp = received, sent

    def _renumber(self, data: bytes) -> bytes:
        """Return a packet of sound its number, or send a packet of a digit in its place."""
        first, kind, _, timestamp, ssrc = _HEADER.unpack_from(data)
        body = data[12:]
        if self._digits:
            body, begins = self._digits.popleft()
            self._digit_began = timestamp if begins else self._digit_began
            first, kind, timestamp = 0x80, _DIGITS | (0x80 if begins else 0), self._digit_began
        self._sequence = (self._sequence + 1) & 0xFFFF
        return _HEADER.pack(first, kind, self._sequence, timestamp, ssrc) + body


class LightMeta(MetaSide):
    """A light peer, for hundreds of calls at once: it reads only the headers, which SRTP leaves in the clear."""

    def __init__(self) -> None:
        super().__init__(Writer())
        self.packets = 0
        """Packets of sound that came."""
        self.early_packets = 0
        """Those of them that came before they were allowed."""
        self.ssrcs: set[int] = set()
        self.first_heard: float | None = None
        self.last_heard: float | None = None
        self._coming: asyncio.Task[None] | None = None
        self._described = asyncio.Event()
        self._light = LightPeer(certificate=_certificate(), keep=False)
        link: Any = self._light._gatherer.link
        self._make_lite(link)
        link.on_media = self._hear

    async def offer(self) -> str:
        """Ring us: write the offer of a `connect` webhook."""
        return self._writer.offer(await self._end())

    async def answer(self, offer_sdp: str) -> str:
        """Be rung: take our offer and write the answer of the `connect` webhook."""
        answer = self._writer.answer(await self._end())
        self._check(offer_sdp, setups={"actpass"})
        await self._meet(offer_sdp)
        return answer

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait until both sides are described, and for ICE and DTLS.

        Raises:
            ConnectionError, TimeoutError: it does not come up.
        """
        async with asyncio.timeout(timeout):
            await self._described.wait()
            assert self._coming is not None
            await asyncio.shield(self._coming)

    def say(self, payload: bytes) -> None:
        """Send one packet of sound."""
        self._light.send(payload)

    async def aclose(self) -> None:
        """Send close_notify and free everything."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await self._light.close()

    @override
    async def _meet(self, sdp: str) -> None:
        media = SessionDescription.parse(without_candidates(sdp)).media[0]
        self._coming = asyncio.create_task(self._come_up(media))
        self._described.set()

    async def _come_up(self, media: Any) -> None:
        light = self._light
        light.dtls._set_role("server")
        await light._ice.start(media.ice)
        if light._ice.state != "completed":
            raise ConnectionError(f"ICE is {light._ice.state}")
        await light.dtls.start(media.dtls)
        if light.dtls.state != "connected":
            raise ConnectionError(f"DTLS is {light.dtls.state}")

    async def _end(self) -> MediaEnd:
        own = SessionDescription.parse(await self._light.offer()).media[0]
        assert own.ice is not None
        assert own.dtls is not None
        return MediaEnd(
            host="127.0.0.1",
            candidates=tuple((one.ip, one.port) for one in own.ice_candidates),
            ufrag=str(own.ice.usernameFragment),
            pwd=str(own.ice.password),
            fingerprint=own.dtls.fingerprints[0].value,
            ssrc=self._light.ssrc,
        )

    def _hear(self, data: bytes) -> None:
        _, second, _, _, ssrc = _HEADER.unpack_from(data)
        if 192 <= second <= 223:
            return
        now = monotonic()
        self.early_packets += self.accepted_at is None
        self.first_heard = self.first_heard or now
        self.last_heard = now
        self.packets += 1
        self.ssrcs.add(ssrc)


@cache
def _certificate() -> RTCCertificate:
    return RTCCertificate.generateCertificate()
