"""One WebSocket of an SDK, and its requests; what it is told of its call is `updates`.

The session has no state that another could not begin with: a client whose WebSocket was cut resumes with the leg that its sid
names, on any process that has the call.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from bridge.api.faces.livekit import room
from bridge.api.faces.livekit.frames import SILENT_SECONDS, Frames
from bridge.api.faces.livekit.negotiation import Negotiation
from bridge.api.faces.livekit.room import Client
from bridge.api.faces.livekit.updates import GONE, MOVED, Updates
from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, EVENTS, MEDIA, NODE
from bridge.call import events
from bridge.call.routing import LegRole
from bridge.errors import BridgeError, CallMoving, RemoteProtocolError
from bridge.node.runner import CallRunner
from bridge.wire.livekit.models import (
    DisconnectReason,
    Encryption,
    Leave,
    MuteTrack,
    SessionDescription,
    TrackInfo,
    TrackPublished,
    TrackSource,
    TrackType,
)
from bridge.wire.livekit.protobuf import encode
from bridge.wire.livekit.request import AddTrack, JoinRequest, SignalRequest
from bridge.wire.livekit.response import (
    IceServer,
    JoinResponse,
    ParticipantUpdate,
    Pong,
    ReconnectResponse,
    RequestReason,
    RequestResponse,
    ServerInfo,
    SignalResponse,
)

log = logging.getLogger(__name__)

PING_SECONDS: Final = 5
SEND_SECONDS: Final = 10.0
"""A client that reads nothing for so long is disconnected."""
SERVER: Final = ServerInfo(version="1.9.0", protocol=16, node_id="media-bridge")
"""What of LiveKit's protocol the session speaks: SDKs join no server without a version."""
MAX_FEATURES: Final = 16
"""Of a track, that are repeated to the client."""
MICROPHONES: Final = (TrackSource.MICROPHONE, TrackSource.UNKNOWN)
REPLACED: Final = Leave(reason=DisconnectReason.DUPLICATE_IDENTITY)
REFUSED: Final = Leave(reason=DisconnectReason.JOIN_FAILURE)


class Session:
    """The signalling of one client."""

    def __init__(
        self,
        context: Context,
        runner: CallRunner,
        client: Client,
        role: LegRole,
        ws: web.WebSocketResponse,
        *,
        two_connections: bool,
    ) -> None:
        self._context = context
        self._runner = runner
        self._client = client
        self._role = role
        self._ws = ws
        self._refused = context[NODE].metrics.livekit.refused
        self._frames = Frames(ws, client.leg_id, self._refused)
        self._negotiation = Negotiation(
            context[CONTROL].browsers, runner, client, role, two_connections=two_connections
        )
        self._reading: asyncio.Timeout | None = None
        self._leave: Leave | None = None
        """What the client is sent at the end; None when it has gone by itself."""
        self._track: TrackInfo | None = None
        self._cid = ""
        """The client's id of its track."""
        self._muted = False
        self._updates = Updates(
            context, runner, client, self._send, may_add_lines=not two_connections
        )

    async def run(self, request: JoinRequest) -> None:
        """Serve the client until it leaves, its connection ends, or its call does."""
        browsers = self._context[CONTROL].browsers
        after = await self._context[EVENTS].log.last()
        with browsers.signalling(self._client.leg_id, lambda: self._stop(REPLACED)):
            try:
                async with asyncio.timeout(None) as self._reading, asyncio.TaskGroup() as group:
                    await self._greet(request)
                    name = f"livekit {self._client.leg_id}"
                    watching = group.create_task(self._watch(after), name=name)
                    name = f"livekit meters {self._client.leg_id}"
                    measuring = group.create_task(self._updates.measure(), name=name)
                    await self._read()
                    watching.cancel()
                    measuring.cancel()
            except TimeoutError:
                pass  # `_stop`
            finally:
                self._reading = None
        if self._leave is not None:
            await self._send(SignalResponse(leave=self._leave))
        await self._ws.close()

    def _stop(self, leave: Leave) -> None:
        """End the session with these words."""
        if self._leave is None and self._reading is not None:
            self._leave = leave
            self._reading.reschedule(0.0)

    async def _greet(self, request: JoinRequest) -> None:
        record, client = self._runner.record(), self._client
        other = self._updates.current_other()
        if request.reconnect:
            self._muted = self._leg_muted()
            resumed = ReconnectResponse(ice_servers=self._ice_servers(), server_info=SERVER)
            await self._send(SignalResponse(reconnect=resumed))
            both = (room.client_info(record, client, None), other)
            await self._send(SignalResponse(update=ParticipantUpdate(participants=both)))
            if self._negotiation.two_connections:
                await self._negotiate(self._negotiation.offer(restart=True))
            return
        joined = JoinResponse(
            room=self._updates.current_room(),
            participant=room.client_info(record, client, None),
            other_participants=(other,),
            server_version=SERVER.version,
            server_info=SERVER,
            subscriber_primary=self._negotiation.two_connections,
            ice_servers=self._ice_servers(),
            ping_interval=PING_SECONDS,
            ping_timeout=SILENT_SECONDS,
            enabled_publish_codecs=(room.OPUS,),
        )
        await self._send(SignalResponse(join=joined))
        for wanted in request.add_track_requests[:2]:
            await self._add_track(wanted)
        if self._negotiation.two_connections:
            await self._negotiate(self._negotiation.offer())
        elif request.publisher_offer is not None and request.publisher_offer.sdp:
            await self._answer(request.publisher_offer)

    async def _read(self) -> None:
        while True:
            try:
                request = await self._frames.next()
            except RemoteProtocolError:
                self._stop(Leave(reason=DisconnectReason.STATE_MISMATCH))
                return
            try:
                if request is None or not await self._handle(request):
                    return
            except CallMoving:
                self._stop(MOVED)
            except BridgeError as error:
                log.info("livekit.refused", extra={"leg": self._client.leg_id, "error": str(error)})

    async def _handle(self, request: SignalRequest) -> bool:
        """Handle a request; return whether the client stays. What is not known here is ignored, as are candidates."""
        if request.ping_req is not None:
            pong = Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=_milliseconds())
            await self._send(SignalResponse(pong_resp=pong))
        elif request.ping is not None:
            await self._send(SignalResponse(pong=_milliseconds()))
        elif request.offer is not None:
            await self._answer(request.offer)
        elif request.answer is not None:
            await self._negotiate(self._negotiation.take_answer(request.answer))
        elif request.add_track is not None:
            await self._add_track(request.add_track)
        elif request.mute is not None:
            self._mute(request.mute)
        elif request.sync_state is not None:
            self._sync(one.track for one in request.sync_state.publish_tracks if one.track)
        elif request.leave is not None:
            self._close(request.leave.reason)
            return False
        else:
            await self._refuse(request)
        return True

    async def _refuse(self, request: SignalRequest) -> None:
        """Refuse what a client may ask of LiveKit and not of us, if it waits for an answer."""
        update, data = request.update_metadata, request.publish_data_track
        blob = request.store_data_blob or request.get_data_blob
        asked = update or blob
        if asked is None and data is None:
            return
        refused = RequestResponse(
            request_id=asked.request_id if asked else 0,
            reason=RequestReason.NOT_ALLOWED,
            update_metadata=update,
            publish_data_track=data,
        )
        await self._send(SignalResponse(request_response=refused))

    async def _answer(self, offer: SessionDescription) -> None:
        sent = self._negotiation.sends
        await self._negotiate(self._negotiation.answer(offer))
        if sent and not self._negotiation.sends:
            self._track, self._cid = None, ""  # unpublished
        self._apply_mute()

    async def _negotiate(self, exchange: Awaitable[Iterable[SignalResponse]]) -> None:
        """Send what comes of a description; without a leg, or with one that cannot go on, the session ends."""
        try:
            responses = await exchange
        except CallMoving:
            raise
        except BridgeError as error:
            leg_id = self._client.leg_id
            self._refused("offer")
            log.info("livekit.description_refused", extra={"leg": leg_id, "error": str(error)})
            self._stop(REFUSED if self._runner.leg(leg_id) is None else GONE)
            return
        for response in responses:
            await self._send(response)

    async def _add_track(self, wanted: AddTrack) -> None:
        reason = RequestReason.OK
        if not self._client.permission.can_publish:
            reason = RequestReason.NOT_ALLOWED
        elif (
            wanted.type != TrackType.AUDIO
            or wanted.source not in MICROPHONES
            or wanted.encryption != Encryption.NONE
        ):
            reason = RequestReason.UNSUPPORTED_TYPE
        elif self._track is not None and self._cid != wanted.cid:
            reason = RequestReason.LIMIT_EXCEEDED
        if reason is not RequestReason.OK:
            self._refused("track")
            words = "one microphone, without end-to-end encryption, is all that a call takes"
            if reason is RequestReason.NOT_ALLOWED:
                words = "the token does not grant to publish a microphone (canPublish)"
            refused = RequestResponse(reason=reason, message=words, add_track=wanted)
            await self._send(SignalResponse(request_response=refused))
            return
        features = wanted.audio_features[:MAX_FEATURES]
        self._cid, self._muted = wanted.cid, wanted.muted
        self._track = room.microphone(self._client, muted=wanted.muted, features=features)
        published = TrackPublished(cid=wanted.cid, track=self._track)
        await self._send(SignalResponse(track_published=published))
        self._apply_mute()

    def _sync(self, tracks: Iterable[TrackInfo]) -> None:
        for track in tracks:
            if track.sid == self._client.track_sid and self._track is None:
                self._track = room.microphone(self._client, muted=track.muted, features=())
                self._negotiation.sends = True

    def _mute(self, wanted: MuteTrack) -> None:
        if wanted.sid == self._client.track_sid:
            self._muted = wanted.muted
            self._apply_mute()

    def _apply_mute(self) -> None:
        leg = self._runner.machine.legs.records.get(self._client.leg_id)
        if leg is not None and leg.muted is not self._muted:
            self._runner.dispatch(events.MuteRequested(self._muted, self._client.leg_id))

    def _close(self, told: int) -> None:
        """End the client's leg, because it leaves with this reason."""
        reason = room.end_reason(told, self._runner.machine.state)
        if reason is not None and self._runner.leg(self._client.leg_id) is not None:
            self._runner.dispatch(events.LegEnded(self._client.leg_id, reason))
            return
        line, call_id = self._context.line, self._client.call_id
        self._context[CONTROL].browsers.close(
            line, call_id, self._client.leg_id, owner=self._role.owner
        )

    async def _watch(self, after: int) -> None:
        """Tell the client what changes, until it has to leave."""
        self._stop(await self._updates.follow(after, self._tell_mute))

    async def _tell_mute(self) -> None:
        """Pass a mute of ours on to the client."""
        if self._track is not None and (muted := self._leg_muted()) is not self._muted:
            self._muted = muted
            asked = MuteTrack(sid=self._client.track_sid, muted=muted)
            await self._send(SignalResponse(mute=asked))

    def _leg_muted(self) -> bool:
        leg = self._runner.machine.legs.records.get(self._client.leg_id)
        return leg is not None and leg.muted

    def _ice_servers(self) -> tuple[IceServer, ...]:
        ticket = self._context.access.ticket
        holder = f"{ticket.call_id} {ticket.party} {ticket.identity}" if ticket else ""
        found = self._context[MEDIA].ice_configuration(self._context.line, holder)["iceServers"]
        return tuple(
            IceServer(
                urls=tuple(one["urls"]),
                username=one.get("username", ""),
                credential=one.get("credential", ""),
            )
            for one in found
        )

    async def _send(self, response: SignalResponse) -> None:
        """Send a frame; a client that does not take it is disconnected."""
        if self._ws.closed:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._ws.send_bytes(encode(response))
        except (TimeoutError, ConnectionError):
            if (transport := self._context.http.transport) is not None:
                transport.abort()


def _milliseconds() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
