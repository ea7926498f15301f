"""WhatsApp's media server for hundreds of calls at once: as `meta_peer`, but it decodes nothing.

ICE-lite and DTLS are real; of the sound it reads the headers, which SRTP leaves in the clear.
"""

import asyncio
from functools import cache
from struct import Struct
from typing import Any

from aioice import stun
from aiortc import RTCCertificate
from aiortc.sdp import SessionDescription

from tests.support.peers import meta_sdp
from tests.support.peers.ice_lite import make_lite
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.meta_sdp import MediaEnd, Writer, without_candidates
from tests.support.virtual_time import monotonic

_HEADER = Struct("!BBHII")


class LightMeta:
    """One call's end at Meta: either `offer` and `take_answer`, or `answer`."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.packets = 0
        """Packets of sound that came."""
        self.early_packets = 0
        """Those of them that came before they were allowed."""
        self.ssrcs: set[int] = set()
        self.first_heard: float | None = None
        self.last_heard: float | None = None
        self.answer_sdp = ""
        self.accepted_at: float | None = None
        self._coming: asyncio.Task[None] | None = None
        self._described = asyncio.Event()
        self._writer = Writer()
        self._light = LightPeer(certificate=_certificate(), keep=False)
        self._link: Any = self._light._gatherer.link
        make_lite(
            self._link,
            username=meta_sdp.username("captured"),
            password=meta_sdp.password(),
            heard=self._note,
        )
        self._link.on_media = self._hear

    async def offer(self) -> str:
        """Ring us: write the offer of a `connect` webhook."""
        return self._writer.offer(await self._end())

    async def take_answer(self, sdp: str) -> None:
        """Take the answer of `pre_accept` or `accept`; a second one must be the same."""
        if self.answer_sdp:
            if sdp != self.answer_sdp:
                self.complaints.append("the answer has changed")
            return
        self._meet(sdp, setups={"active"})

    async def answer(self, offer_sdp: str) -> str:
        """Be rung: take our offer and write the answer of the `connect` webhook."""
        answer = self._writer.answer(await self._end())
        self._meet(offer_sdp, setups={"actpass"})
        return answer

    def accepted(self) -> None:
        """Note that packets may come from now on."""
        self.accepted_at = self.accepted_at or monotonic()

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
        """Say goodbye and free everything."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await self._light.close()

    def _meet(self, sdp: str, *, setups: set[str]) -> None:
        self.answer_sdp = sdp
        self.complaints += meta_sdp.faults(sdp, setups=setups)
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

    def _note(self, message: stun.Message) -> bool:
        if "ICE-CONTROLLING" not in message.attributes:
            self.complaints.append("an ICE check that is not controlling")
        return True

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
