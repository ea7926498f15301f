"""A LiveKit SDK, as far as a call needs one: stock aiortc below, the bridge's codec above.

With one peer connection it offers as SDKs do: three audio and three video lines to receive on and a data channel with the request to
join, the microphone later on a line of its own. With two it answers on one, and offers the other with its microphone.
"""

import asyncio
import base64
import gzip
from typing import Any, TypeVar

from aiohttp import ClientWebSocketResponse, WSMsgType
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from bridge.wire.livekit.models import (
    DisconnectReason,
    Leave,
    MuteTrack,
    SessionDescription,
    TrackInfo,
    TrackSource,
    TrackType,
)
from bridge.wire.livekit.protobuf import decode, encode
from bridge.wire.livekit.request import (
    AddTrack,
    Compression,
    JoinRequest,
    SignalRequest,
    WrappedJoinRequest,
)
from bridge.wire.livekit.response import SignalResponse
from tests.support.peers.stock_peer import Ear, Microphone, Pcm, _await_decoder, _gather_only
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

Found = TypeVar("Found")


def packed(request: JoinRequest) -> str:
    """Return a request to join as it stands in a query."""
    wrapped = WrappedJoinRequest(
        compression=Compression.GZIP, join_request=gzip.compress(encode(request))
    )
    return base64.urlsafe_b64encode(encode(wrapped)).decode().rstrip("=")


class SdkDouble:
    """One client: `async with SdkDouble(http, token) as sdk: await sdk.join()`."""

    def __init__(self, http: Any, token: str, *, two_connections: bool = False) -> None:
        self._http = http
        self.token = token
        self._two = two_connections
        self._path = "/rtc" if two_connections else "/rtc/v1"
        self.socket: ClientWebSocketResponse | None = None
        self.frames: list[SignalResponse] = []
        self.closed = asyncio.Event()
        """Set while no WebSocket is open."""
        self.ear = Ear()
        self.connection = _connection()
        """What it receives on, and of one also sends on."""
        self.publisher = _connection() if two_connections else self.connection
        """What it sends on."""
        self._prepare()
        self.microphone: Microphone | None = None
        self.sid = ""
        self.call_id = ""
        self.joined: Any = None
        """What it was told when it joined."""
        self._offers = 0
        self._tasks: list[asyncio.Task[None]] = []

    def _prepare(self) -> None:
        """Prepare the connections as SDKs do before they join."""
        self.connection.on("track", self._on_track)
        if self._two:
            return
        for kind in ("audio", "video"):
            for _ in range(3):
                self.connection.addTransceiver(kind, direction="recvonly")
        self.connection.createDataChannel("_reliable")
        _await_decoder(self.connection.getTransceivers()[0].receiver)
        _gather_on_loopback(self.connection)

    async def __aenter__(self) -> "SdkDouble":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def join(self) -> Any:
        """Join, exchange the first offer and answer, and return the response to the join."""
        await self.open(JoinRequest(publisher_offer=None if self._two else await self.offer()))
        self.joined = await self.get("join")
        self.sid = self.joined.participant.sid
        if self._two:
            await self.take_offer()
        else:
            await self._take_answer()
        return self.joined

    async def rejoin(self) -> Any:
        """Join anew with new connections, as after `leave` with RECONNECT."""
        await self._close_connections()
        self.connection = _connection()
        self.publisher = _connection() if self._two else self.connection
        self._prepare()
        self.ear = Ear()
        return await self.join()

    async def take_offer(self) -> SessionDescription:
        """Answer the bridge's next offer, if it has changed anything that aiortc understands; return it."""
        offer: SessionDescription = await self.get("offer")
        await self.connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        _await_decoder(self.connection.getTransceivers()[0].receiver)
        _gather_on_loopback(self.connection)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        sdp = self.connection.localDescription.sdp
        answer = SessionDescription(type="answer", sdp=sdp, id=offer.id)
        await self.send(SignalRequest(answer=answer))
        return offer

    async def open(self, request: JoinRequest) -> None:
        """Open the WebSocket with a request, and begin to read."""
        query = {"join_request": packed(request)}
        if self._two:
            query = {"sdk": "swift", "protocol": "16", "auto_subscribe": "1"}
            if request.reconnect:
                query |= {"reconnect": "1", "sid": request.participant_sid}
        query["access_token"] = self.token
        self.socket = await self._http.ws_connect(self._path, params=query)
        self.closed.clear()
        self._tasks.append(asyncio.create_task(self._read(self.socket)))

    async def cut(self) -> None:
        """Lose the WebSocket without a word."""
        assert self.socket is not None
        self.frames.clear()
        response: Any = self.socket._response
        response.connection.transport.abort()
        await self.closed.wait()

    async def resume(self) -> None:
        """Resume the session over a new WebSocket."""
        await self.open(JoinRequest(reconnect=True, participant_sid=self.sid))

    async def publish(self, speech: Pcm) -> TrackInfo:
        """Publish a microphone that says something over and over."""
        published = await self.add_track(cid="mic")
        await self.offer_microphone(speech)
        return published

    async def offer_microphone(self, speech: Pcm) -> None:
        """Send a microphone, published or not."""
        self.microphone = Microphone(speech, repeat=True)
        self.publisher.addTransceiver(self.microphone, direction="sendonly")
        _gather_on_loopback(self.publisher)
        await self.renegotiate()

    async def renegotiate(self, *, lines: int = 0) -> None:
        """Offer again, with more lines to receive audio on, and take the answer."""
        for _ in range(lines):
            self.connection.addTransceiver("audio", direction="recvonly")
        await self.send(SignalRequest(offer=await self.offer()))
        await self._take_answer()

    async def add_track(self, cid: str, **more: Any) -> TrackInfo:
        """Ask to publish a track; return it."""
        wanted = {"type": TrackType.AUDIO, "source": TrackSource.MICROPHONE} | more
        await self.send(SignalRequest(add_track=AddTrack(cid=cid, **wanted)))
        track: TrackInfo = (await self.get("track_published")).track
        return track

    async def mute(self, *, muted: bool) -> None:
        """Say that the microphone is muted, or no longer."""
        sid = self.sid.replace("PA_", "TR_")
        await self.send(SignalRequest(mute=MuteTrack(sid=sid, muted=muted)))

    async def leave(self, reason: int = DisconnectReason.CLIENT_INITIATED) -> None:
        """Leave the call."""
        await self.send(SignalRequest(leave=Leave(reason=reason)))
        await self.closed.wait()

    async def send(self, request: SignalRequest) -> None:
        assert self.socket is not None
        await self.socket.send_bytes(encode(request))

    async def get(self, member: str) -> Any:
        """Wait for the next response of a kind; return that member, and forget it."""

        def found() -> bool:
            return any(getattr(frame, member) is not None for frame in self.frames)

        await until(found)
        at = next(n for n, frame in enumerate(self.frames) if getattr(frame, member) is not None)
        return getattr(self.frames.pop(at), member)

    async def close(self) -> None:
        """Free everything."""
        if self.microphone is not None:
            self.microphone.stop()
        await self._close_connections()
        if self.socket is not None:
            await self.socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def offer(self) -> SessionDescription:
        """Make the next offer."""
        await self.publisher.setLocalDescription(await self.publisher.createOffer())
        self._offers += 1
        sdp = self.publisher.localDescription.sdp
        return SessionDescription(type="offer", sdp=sdp, id=self._offers)

    async def _take_answer(self) -> None:
        answer: SessionDescription = await self.get("answer")
        assert answer.id == self._offers
        await self.publisher.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        self.answer = answer

    async def _close_connections(self) -> None:
        for connection in {self.connection, self.publisher}:
            await connection.close()

    async def _read(self, socket: ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.frames.append(decode(SignalResponse, message.data))
        self.closed.set()

    def _on_track(self, track: Any) -> None:
        if track.kind == "audio":
            self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: Any) -> None:
        try:
            while True:
                self.ear.take(await track.recv(), monotonic())
        except MediaStreamError:
            pass


def _connection() -> RTCPeerConnection:
    return RTCPeerConnection(
        RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )


def _gather_on_loopback(connection: Any) -> None:
    dtls = connection.getTransceivers()[0].sender.transport
    _gather_only(dtls.transport.iceGatherer, "127.0.0.1")
