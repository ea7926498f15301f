"""The session descriptions of a client, which has one peer connection (`/rtc/v1`) or two (`/rtc`).

One is always the client's to offer, with a line to receive on and later one to send on. Of two we offer the one that it
receives on, and it offers the other once it publishes.
"""

from bridge.api.faces.livekit.room import Client, other_ids
from bridge.call.routing import LegRole
from bridge.node.calls.browsers import Browsers
from bridge.node.runner import CallRunner
from bridge.wire.livekit.models import SessionDescription
from bridge.wire.livekit.response import MediaSectionsRequirement, SignalResponse
from bridge.wire.sdp.split_audio import (
    name_track,
    parse_split_offer,
    prefer_line,
    refuse_without_audio,
)


class Negotiation:
    """Offers and answers of one leg; methods raise as those of `Browsers`."""

    def __init__(
        self,
        browsers: Browsers,
        runner: CallRunner,
        client: Client,
        role: LegRole,
        *,
        two_connections: bool,
    ) -> None:
        self.two_connections = two_connections
        self.sends = False
        """Whether the client's last offer had a line that it sends on."""
        self._browsers = browsers
        self._runner = runner
        self._client = client
        self._role = role
        self._offers = 0

    async def offer(self, *, restart: bool = False) -> list[SignalResponse]:
        """Offer the connection that the client receives on; the first time that makes the leg, with `restart` it restarts ICE."""
        leg_id = self._client.leg_id
        text = await self._browsers.offer_to_sdk(self._runner, leg_id, self._role, restart=restart)
        self._offers += 1
        return [SignalResponse(offer=self._named("offer", text, self._offers))]

    async def take_answer(self, answer: SessionDescription) -> list[SignalResponse]:
        """Take the answer to the last offer; those to others are ignored."""
        if self._offers and answer.id in (0, self._offers):
            leg_id = self._client.leg_id
            await self._browsers.answer_of_sdk(self._runner, answer.sdp, leg_id, self._role)
        return []

    async def answer(self, offer: SessionDescription) -> list[SignalResponse]:
        """Answer an offer: the first of one connection makes the leg.

        React Native's first offer has only a data channel: it is asked for an audio line.
        """
        client, runner, browsers = self._client, self._runner, self._browsers
        first = self.two_connections or runner.leg(client.leg_id) is None
        if first and (refused := refuse_without_audio(offer.sdp)) is not None:
            more = SignalResponse(media_sections_requirement=MediaSectionsRequirement(num_audios=1))
            answer = SessionDescription(type="answer", sdp=refused, id=offer.id)
            return [SignalResponse(answer=answer), *([] if self.two_connections else [more])]
        wanted = prefer_line(offer.sdp, other_ids(runner.machine, client).line)
        sends = parse_split_offer(wanted).direction in ("sendonly", "sendrecv")
        exchange = browsers.publish if self.two_connections else browsers.offer_of_sdk
        text = await exchange(runner, wanted, client.leg_id, self._role)
        self.sends = sends
        return [SignalResponse(answer=self._named("answer", text, offer.id))]

    def _named(self, kind: str, text: str, number: int) -> SessionDescription:
        """Return a description of ours, in which what we send is the other participant's track."""
        other = other_ids(self._runner.machine, self._client)
        sdp, mid = name_track(text, f"{other.sid}|{other.track_sid}", other.track_sid)
        tracks = {mid: other.track_sid} if mid else {}
        return SessionDescription(type=kind, sdp=sdp, id=number, mid_to_track_id=tracks)
