"""A call as an SDK sees it: a room with itself and one other participant.

Room and participants are named after the call, the side and the leg, so that any process which has the call says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from bridge.call.leg_record import LegRecord
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallFacts,
    CallRecord,
    Direction,
    EndReason,
    LegId,
    LegKind,
    Party,
    State,
)
from bridge.call.parties import PSTN, WHATSAPP, parties_of
from bridge.call.transitions import UNANSWERED
from bridge.wire import call_id
from bridge.wire.livekit.models import (
    Codec,
    DisconnectReason,
    KindDetail,
    ParticipantInfo,
    ParticipantKind,
    ParticipantPermission,
    ParticipantState,
    Room,
    TrackInfo,
    TrackSource,
    TrackType,
)

OPUS: Final = Codec(mime="audio/opus")
STATUS: Final[Mapping[State, str]] = {
    State.INITIATED: "dialing",
    State.RINGING: "ringing",
    State.CONNECTING: "active",
    State.ACTIVE: "active",
    State.HELD: "active",
    State.ENDED: "hangup",
}
"""The attribute `sip.callStatus`."""
REASONS: Final[Mapping[EndReason, DisconnectReason]] = {
    EndReason.HANGUP: DisconnectReason.ROOM_DELETED,
    EndReason.REMOTE_HANGUP: DisconnectReason.ROOM_DELETED,
    EndReason.REJECTED: DisconnectReason.USER_REJECTED,
    EndReason.BUSY: DisconnectReason.USER_REJECTED,
    EndReason.NO_ANSWER: DisconnectReason.USER_UNAVAILABLE,
    EndReason.CANCELED: DisconnectReason.ROOM_DELETED,
    EndReason.UNREACHABLE: DisconnectReason.USER_UNAVAILABLE,
    EndReason.FAILED: DisconnectReason.SIP_TRUNK_FAILURE,
    EndReason.MEDIA_TIMEOUT: DisconnectReason.MEDIA_FAILURE,
    EndReason.NODE_LOST: DisconnectReason.SERVER_SHUTDOWN,
    EndReason.DRAINED: DisconnectReason.SERVER_SHUTDOWN,
}
"""Why a client has to leave when its call ends."""
REFUSALS: Final[Mapping[int, EndReason]] = {
    DisconnectReason.USER_REJECTED: EndReason.REJECTED,
    DisconnectReason.USER_UNAVAILABLE: EndReason.NO_ANSWER,
}
"""Why the leg of a client ends that leaves with these reasons before the answer."""
FAILURES: Final[Mapping[int, EndReason]] = {
    DisconnectReason.MEDIA_FAILURE: EndReason.MEDIA_TIMEOUT,
    DisconnectReason.CONNECTION_TIMEOUT: EndReason.MEDIA_TIMEOUT,
}
"""Likewise, at any time."""
HELD_BY: Final = "call.heldBy"
"""The attribute that says which side holds the other: `near` or `far`; without it nobody does."""
PERMISSION: Final = ParticipantPermission(
    can_subscribe=True, can_publish=True, can_publish_sources=(TrackSource.MICROPHONE,)
)
OTHER_PERMISSION: Final = ParticipantPermission(can_subscribe=True, can_publish=True)


@dataclass(frozen=True, slots=True)
class Client:
    """An SDK as a party of a call."""

    call_id: str
    leg_id: LegId
    party: Party
    identity: str
    name: str = ""
    permission: ParticipantPermission = PERMISSION

    @property
    def sid(self) -> str:
        """Of the client as a participant; a client that resumes names its leg by it."""
        return f"PA_{self.leg_id}"

    @property
    def track_sid(self) -> str:
        """Of its microphone."""
        return f"TR_{self.leg_id}"

    @property
    def other_side(self) -> str:
        """Whose side the other participant is."""
        return "near" if self.party is Party.FAR else "far"


@dataclass(frozen=True, slots=True)
class OtherIds:
    """How the other participant and its track are called; anew with each transfer, as SDKs take it for somebody else."""

    sid: str
    track_sid: str
    line: int
    """On which of the lines that the client receives on it is heard."""
    arrived: LegId | None = None
    """The leg that has taken the side over; None before the first transfer."""


def other_ids(machine: CallMachine, client: Client) -> OtherIds:
    """Return who the other participant is now."""
    party = Party.FAR if client.party is not Party.FAR else Party.NEAR
    name = f"{client.call_id}_{client.other_side}"
    arrival = machine.transfers.arrivals.get(party)
    if arrival is None:
        return OtherIds(f"PA_{name}", f"TR_{name}", 0)
    name = f"{name}_{arrival.leg_id}"
    return OtherIds(f"PA_{name}", f"TR_{name}", arrival.times, arrival.leg_id)


def leg_of(sid: str) -> LegId:
    """Return the leg that a participant's sid of ours names."""
    return LegId(sid.removeprefix("PA_"))


def room_of(facts: CallFacts, client: Client, *, recorded: bool) -> Room:
    """Return the room as a client sees it: the call's metadata is nothing that the far party is shown."""
    began = facts.started_at.timestamp()
    shown = b"" if client.party is Party.FAR else facts.details.metadata
    return Room(
        sid=f"RM_{facts.call_id}",
        name=call_id.room(facts.call_id),
        creation_time=int(began),
        creation_time_ms=int(began * 1000),
        enabled_codecs=(OPUS,),
        metadata=shown.decode(),
        num_participants=2,
        active_recording=recorded,
    )


def client_info(record: CallRecord, client: Client, track: TrackInfo | None) -> ParticipantInfo:
    """Return the client itself; `track` is its microphone, if it has published one."""
    up = any(leg.leg_id == client.leg_id and leg.left is None for leg in record.legs)
    return ParticipantInfo(
        sid=client.sid,
        identity=client.identity,
        name=client.name or client.identity,
        state=ParticipantState.ACTIVE if up else ParticipantState.JOINED,
        joined_at=int(record.facts.started_at.timestamp()),
        version=_version(record),
        permission=client.permission,
        is_publisher=track is not None,
        tracks=() if track is None else (track,),
    )


def other_legs(machine: CallMachine, client: Client) -> list[LegRecord]:
    """Return the legs that the other participant stands for; on our side agents are participants too."""
    if client.party is not Party.FAR:
        return machine.legs.far_parties()
    agents = [leg for leg in machine.legs.records.values() if leg.kind is LegKind.AGENT]
    return [*machine.legs.near(), *agents]


def is_audible(machine: CallMachine, leg: LegRecord) -> bool:
    """Whether a leg of the other participant can be heard by the client at all."""
    return machine.state is not State.HELD and not leg.muted and not leg.held


def other_info(
    record: CallRecord, machine: CallMachine, client: Client, *, trunk_host: str = ""
) -> ParticipantInfo:
    """Return the other side as one participant, which is there from the beginning: SDKs drop tracks of unknown ones.

    `trunk_host` is the host of the line's SIP trunk; empty without one.
    """
    far = client.party is not Party.FAR
    legs = other_legs(machine, client)
    parties = parties_of(record)
    called = far is (record.direction is Direction.OUTBOUND)
    number, channel, own = parties.from_, parties.from_channel, parties.to
    if called:
        number, channel, own = parties.to, parties.to_channel, parties.from_
    ids = other_ids(machine, client)
    if ids.arrived is not None:
        number, channel = _arrived(machine, ids.arrived)
    identity = number or client.other_side
    attributes = {"sip.callStatus": STATUS[record.state], "sip.callID": record.facts.call_id}
    if far and channel in (PSTN, WHATSAPP):
        attributes["sip.phoneNumber"] = "" if ids.arrived else number
        attributes["sip.trunkPhoneNumber"] = own if own.startswith("+") else ""
    if far and channel == PSTN:
        attributes["sip.hostname"] = trunk_host
    attributes[HELD_BY] = _held_by(record, machine, {client.leg_id, *(leg.leg_id for leg in legs)})
    kind, details = _kind(channel if far else "", legs)
    state = ParticipantState.ACTIVE if any(leg.talks for leg in legs) else ParticipantState.JOINED
    if record.state is State.ENDED:
        state = ParticipantState.DISCONNECTED
    return ParticipantInfo(
        sid=ids.sid,
        identity=identity if identity != client.identity else f"{identity} ({client.other_side})",
        name=identity,
        state=state,
        joined_at=int(record.facts.started_at.timestamp()),
        version=_version(record),
        permission=OTHER_PERMISSION,
        is_publisher=True,
        kind=kind,
        kind_details=details,
        attributes={name: text for name, text in attributes.items() if text},
        disconnect_reason=disconnect_reason(record),
        tracks=(_track(ids.track_sid, muted=bool(legs) and all(x.muted for x in legs)),),
    )


def departed(info: ParticipantInfo, record: CallRecord) -> ParticipantInfo:
    """Return a participant in whose place another one has come."""
    return replace(
        info,
        state=ParticipantState.DISCONNECTED,
        disconnect_reason=DisconnectReason.CLIENT_INITIATED,
        version=_version(record),
    )


def microphone(client: Client, *, muted: bool, features: tuple[int, ...]) -> TrackInfo:
    """Return the client's own track."""
    return TrackInfo(
        sid=client.track_sid,
        type=TrackType.AUDIO,
        source=TrackSource.MICROPHONE,
        mime_type=OPUS.mime,
        muted=muted,
        audio_features=features,
    )


def disconnect_reason(record: CallRecord) -> DisconnectReason:
    """Return why the call has ended; unknown while it lives."""
    if record.reason is None:
        return DisconnectReason.UNKNOWN_REASON
    return REASONS[record.reason]


def end_reason(told: int, state: State) -> EndReason | None:
    """Return why the leg of a client ends that leaves with this reason; None for an ordinary hang-up."""
    return FAILURES.get(told) or (REFUSALS.get(told) if state in UNANSWERED else None)


def _arrived(machine: CallMachine, leg_id: LegId) -> tuple[str, str]:
    """Return the name and the channel of a party that was transferred to, whose number the machine does not know."""
    leg = machine.legs.records.get(leg_id)
    if leg is None:
        return leg_id, ""
    owner = leg.role.owner
    return (owner.identity if owner else "") or leg_id, leg.kind.traits.channel


def _held_by(record: CallRecord, machine: CallMachine, parties: set[LegId]) -> str:
    """Return the side that holds the other one, or any of these parties; empty for none."""
    held = {leg.leg_id for leg in machine.legs.records.values() if leg.held}
    if record.state is State.HELD or held & parties:
        return "near"
    far = {leg.leg_id for leg in machine.legs.far_parties()}
    states = (leg.statistics.transport for leg in record.legs if leg.leg_id in far)
    return "far" if any(state is not None and state.held for state in states) else ""


def _kind(channel: str, legs: Sequence[LegRecord]) -> tuple[ParticipantKind, tuple[int, ...]]:
    if channel == PSTN:
        return ParticipantKind.SIP, ()
    if channel == WHATSAPP:
        return ParticipantKind.CONNECTOR, (KindDetail.CONNECTOR_WHATSAPP,)
    machines = [leg.role.machine or leg.kind is LegKind.AGENT for leg in legs]
    persons = any(leg.kind.traits.person and not leg.role.machine for leg in legs)
    agent = any(machines) and not persons
    return (ParticipantKind.AGENT if agent else ParticipantKind.STANDARD), ()


def _track(sid: str, *, muted: bool) -> TrackInfo:
    return TrackInfo(
        sid=sid,
        type=TrackType.AUDIO,
        source=TrackSource.MICROPHONE,
        mime_type=OPUS.mime,
        muted=muted,
        disable_dtx=True,
        stream="audio",
    )


def _version(record: CallRecord) -> int:
    """Return a number that grows for as long as the call lasts, in whatever process."""
    return 1 + int(record.seconds * 1000)


def without_version(info: ParticipantInfo) -> ParticipantInfo:
    """Return a participant such that two are equal unless something has changed."""
    return replace(info, version=0)
