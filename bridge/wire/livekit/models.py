"""What LiveKit's messages are made of: rooms, participants, tracks, and the enumerations.

Names and numbers are those of the package `livekit-protocol`. What only video, several participants or egress need is left out.
"""

from enum import IntEnum
from typing import Annotated

import msgspec

from bridge.wire.livekit.protobuf import EnumNumber, Int32, Int64, Message, UInt32


class TrackType(IntEnum):
    """Kinds of media."""

    AUDIO = 0
    VIDEO = 1
    DATA = 2


class TrackSource(IntEnum):
    """What a track is taken from."""

    UNKNOWN = 0
    CAMERA = 1
    MICROPHONE = 2
    SCREEN_SHARE = 3
    SCREEN_SHARE_AUDIO = 4


class Encryption(IntEnum):
    """End-to-end encryption of a track."""

    NONE = 0
    GCM = 1
    CUSTOM = 2


class SignalTarget(IntEnum):
    """The peer connection that is meant."""

    PUBLISHER = 0
    SUBSCRIBER = 1


class ParticipantState(IntEnum):
    """How far a participant has come."""

    JOINING = 0
    JOINED = 1
    ACTIVE = 2
    DISCONNECTED = 3


class ParticipantKind(IntEnum):
    """What a participant is."""

    STANDARD = 0
    INGRESS = 1
    EGRESS = 2
    SIP = 3
    AGENT = 4
    CONNECTOR = 7
    BRIDGE = 8


class KindDetail(IntEnum):
    """What a participant is, more exactly."""

    CLOUD_AGENT = 0
    FORWARDED = 1
    CONNECTOR_WHATSAPP = 2
    CONNECTOR_TWILIO = 3
    BRIDGE_RTSP = 4
    SIMULATION = 5


class ConnectionQuality(IntEnum):
    """How good a participant's connection is; the numbers are in no order."""

    POOR = 0
    GOOD = 1
    EXCELLENT = 2
    LOST = 3


class DisconnectReason(IntEnum):
    """Why a participant left, or has to leave."""

    UNKNOWN_REASON = 0
    CLIENT_INITIATED = 1
    DUPLICATE_IDENTITY = 2
    SERVER_SHUTDOWN = 3
    PARTICIPANT_REMOVED = 4
    ROOM_DELETED = 5
    STATE_MISMATCH = 6
    JOIN_FAILURE = 7
    MIGRATION = 8
    SIGNAL_CLOSE = 9
    ROOM_CLOSED = 10
    USER_UNAVAILABLE = 11
    USER_REJECTED = 12
    SIP_TRUNK_FAILURE = 13
    CONNECTION_TIMEOUT = 14
    MEDIA_FAILURE = 15
    AGENT_ERROR = 16


class ReconnectReason(IntEnum):
    """Why a client resumes its session."""

    RR_UNKNOWN = 0
    RR_SIGNAL_DISCONNECTED = 1
    RR_PUBLISHER_FAILED = 2
    RR_SUBSCRIBER_FAILED = 3
    RR_SWITCH_CANDIDATE = 4


class Sdk(IntEnum):
    """`ClientInfo.SDK`."""

    UNKNOWN = 0
    JS = 1
    SWIFT = 2
    ANDROID = 3
    FLUTTER = 4
    GO = 5
    UNITY = 6
    REACT_NATIVE = 7
    RUST = 8
    PYTHON = 9
    CPP = 10
    UNITY_WEB = 11
    NODE = 12
    UNREAL = 13
    ESP32 = 14
    DOTNET = 15


class Codec(Message, frozen=True):
    """A codec, such as `audio/opus`."""

    mime: Annotated[str, 1] = ""
    fmtp_line: Annotated[str, 2] = ""


class TrackInfo(Message, frozen=True):
    """A published track."""

    sid: Annotated[str, 1] = ""
    """`TR_…`: SDKs refuse others."""
    type: Annotated[EnumNumber, 2] = TrackType.AUDIO
    name: Annotated[str, 3] = ""
    muted: Annotated[bool, 4] = False
    disable_dtx: Annotated[bool, 8] = False
    source: Annotated[EnumNumber, 9] = TrackSource.UNKNOWN
    mime_type: Annotated[str, 11] = ""
    mid: Annotated[str, 12] = ""
    stereo: Annotated[bool, 14] = False
    disable_red: Annotated[bool, 15] = False
    encryption: Annotated[EnumNumber, 16] = Encryption.NONE
    stream: Annotated[str, 17] = ""
    audio_features: Annotated[tuple[EnumNumber, ...], 19] = ()


class ParticipantPermission(Message, frozen=True):
    """What a participant may do."""

    can_subscribe: Annotated[bool, 1] = False
    can_publish: Annotated[bool, 2] = False
    can_publish_data: Annotated[bool, 3] = False
    hidden: Annotated[bool, 7] = False
    can_publish_sources: Annotated[tuple[EnumNumber, ...], 9] = ()
    """Empty: all. SDKs refuse others by themselves."""
    can_update_metadata: Annotated[bool, 10] = False


class ParticipantInfo(Message, frozen=True):
    """A participant."""

    sid: Annotated[str, 1] = ""
    """`PA_…`: SDKs refuse others."""
    identity: Annotated[str, 2] = ""
    state: Annotated[EnumNumber, 3] = ParticipantState.JOINING
    tracks: Annotated[tuple[TrackInfo, ...], 4] = ()
    metadata: Annotated[str, 5] = ""
    joined_at: Annotated[Int64, 6] = 0
    """Unix time."""
    name: Annotated[str, 9] = ""
    version: Annotated[UInt32, 10] = 0
    """Grows with every change; SDKs drop what is older than what they have."""
    permission: Annotated[ParticipantPermission | None, 11] = None
    is_publisher: Annotated[bool, 13] = False
    kind: Annotated[EnumNumber, 14] = ParticipantKind.STANDARD
    attributes: Annotated[dict[str, str], 15] = msgspec.field(default_factory=dict)
    disconnect_reason: Annotated[EnumNumber, 16] = DisconnectReason.UNKNOWN_REASON
    joined_at_ms: Annotated[Int64, 17] = 0
    kind_details: Annotated[tuple[EnumNumber, ...], 18] = ()
    client_protocol: Annotated[Int32, 20] = 0


class Room(Message, frozen=True):
    """A room: a call."""

    sid: Annotated[str, 1] = ""
    """`RM_…`: SDKs refuse others."""
    name: Annotated[str, 2] = ""
    max_participants: Annotated[UInt32, 4] = 0
    creation_time: Annotated[Int64, 5] = 0
    """Unix time."""
    enabled_codecs: Annotated[tuple[Codec, ...], 7] = ()
    metadata: Annotated[str, 8] = ""
    num_participants: Annotated[UInt32, 9] = 0
    active_recording: Annotated[bool, 10] = False
    num_publishers: Annotated[UInt32, 11] = 0
    creation_time_ms: Annotated[Int64, 15] = 0


class SessionDescription(Message, frozen=True):
    """An offer or an answer."""

    type: Annotated[str, 1] = ""
    sdp: Annotated[str, 2] = ""
    id: Annotated[UInt32, 3] = 0
    """An answer has that of its offer; 0: the client does not count."""
    mid_to_track_id: Annotated[dict[str, str], 4] = msgspec.field(default_factory=dict)


class Trickle(Message, frozen=True):
    """`TrickleRequest`: a candidate."""

    candidate: Annotated[str, 1] = ""
    """`candidateInit`: JSON."""
    target: Annotated[EnumNumber, 2] = SignalTarget.PUBLISHER
    final: Annotated[bool, 3] = False


class MuteTrack(Message, frozen=True):
    """`MuteTrackRequest`."""

    sid: Annotated[str, 1] = ""
    muted: Annotated[bool, 2] = False


class LeaveAction(IntEnum):
    """What a client does once it was told to leave."""

    DISCONNECT = 0
    RESUME = 1
    RECONNECT = 2


class Leave(Message, frozen=True):
    """`LeaveRequest`."""

    can_reconnect: Annotated[bool, 1] = False
    """What SDKs before protocol 13 look at instead of `action`."""
    reason: Annotated[EnumNumber, 2] = DisconnectReason.UNKNOWN_REASON
    action: Annotated[EnumNumber, 3] = LeaveAction.DISCONNECT


class TrackPublished(Message, frozen=True):
    """`TrackPublishedResponse`."""

    cid: Annotated[str, 1] = ""
    track: Annotated[TrackInfo | None, 2] = None
