"""What LiveKit's client SDKs are sent: signal responses."""

from enum import IntEnum
from typing import Annotated

from bridge.wire.livekit.models import (
    Codec,
    ConnectionQuality,
    Leave,
    MuteTrack,
    ParticipantInfo,
    Room,
    SessionDescription,
    TrackPublished,
    Trickle,
)
from bridge.wire.livekit.protobuf import EnumNumber, Int32, Int64, Message, UInt32
from bridge.wire.livekit.request import (
    AddTrack,
    PublishDataTrack,
    UnpublishDataTrack,
    UpdateAudioTrack,
    UpdateMetadata,
    UpdateVideoTrack,
)


class IceServer(Message, frozen=True):
    """`ICEServer`: STUN or TURN."""

    urls: Annotated[tuple[str, ...], 1] = ()
    username: Annotated[str, 2] = ""
    credential: Annotated[str, 3] = ""


class ServerInfo(Message, frozen=True):
    """The server's program."""

    edition: Annotated[EnumNumber, 1] = 0
    version: Annotated[str, 2] = ""
    """JS joins no server without one."""
    protocol: Annotated[Int32, 3] = 0
    region: Annotated[str, 4] = ""
    node_id: Annotated[str, 5] = ""


class JoinResponse(Message, frozen=True):
    """The first message to a client that joins."""

    room: Annotated[Room | None, 1] = None
    participant: Annotated[ParticipantInfo | None, 2] = None
    """The client itself; SDKs fail without."""
    other_participants: Annotated[tuple[ParticipantInfo, ...], 3] = ()
    server_version: Annotated[str, 4] = ""
    """As in `server_info`, for SDKs that look here."""
    ice_servers: Annotated[tuple[IceServer, ...], 5] = ()
    subscriber_primary: Annotated[bool, 6] = False
    """Whether the second peer connection, which the server offers, is the one that has to be up."""
    alternative_url: Annotated[str, 7] = ""
    server_region: Annotated[str, 9] = ""
    ping_timeout: Annotated[Int32, 10] = 0
    """Seconds; never 0: SDKs close at once."""
    ping_interval: Annotated[Int32, 11] = 0
    """Seconds; never 0: the process of Rust's SDKs aborts."""
    server_info: Annotated[ServerInfo | None, 12] = None
    enabled_publish_codecs: Annotated[tuple[Codec, ...], 14] = ()
    fast_publish: Annotated[bool, 15] = False


class ReconnectResponse(Message, frozen=True):
    """The first message to a client that resumes."""

    ice_servers: Annotated[tuple[IceServer, ...], 1] = ()
    server_info: Annotated[ServerInfo | None, 3] = None
    last_message_seq: Annotated[UInt32, 4] = 0


class ParticipantUpdate(Message, frozen=True):
    """Participants that have changed, each in whole."""

    participants: Annotated[tuple[ParticipantInfo, ...], 1] = ()


class SpeakerInfo(Message, frozen=True):
    """Whether a participant speaks."""

    sid: Annotated[str, 1] = ""
    level: Annotated[float, 2] = 0.0
    """0 to 1."""
    active: Annotated[bool, 3] = False


class SpeakersChanged(Message, frozen=True):
    """Participants that began or ceased to speak."""

    speakers: Annotated[tuple[SpeakerInfo, ...], 1] = ()


class RoomUpdate(Message, frozen=True):
    """The room has changed."""

    room: Annotated[Room | None, 1] = None


class ConnectionQualityInfo(Message, frozen=True):
    """The quality of a participant's connection."""

    participant_sid: Annotated[str, 1] = ""
    quality: Annotated[EnumNumber, 2] = ConnectionQuality.POOR
    score: Annotated[float, 3] = 0.0
    """MOS."""


class ConnectionQualityUpdate(Message, frozen=True):
    """Qualities that have changed."""

    updates: Annotated[tuple[ConnectionQualityInfo, ...], 1] = ()


class SubscriptionPermissionUpdate(Message, frozen=True):
    """Whether the client may have a track."""

    participant_sid: Annotated[str, 1] = ""
    track_sid: Annotated[str, 2] = ""
    allowed: Annotated[bool, 3] = False


class TrackUnpublished(Message, frozen=True):
    """`TrackUnpublishedResponse`."""

    track_sid: Annotated[str, 1] = ""


class Pong(Message, frozen=True):
    """The answer to a ping; times in milliseconds."""

    last_ping_timestamp: Annotated[Int64, 1] = 0
    timestamp: Annotated[Int64, 2] = 0


class SubscriptionError(IntEnum):
    """Why a track cannot be subscribed to."""

    SE_UNKNOWN = 0
    SE_CODEC_UNSUPPORTED = 1
    SE_TRACK_NOTFOUND = 2


class SubscriptionResponse(Message, frozen=True):
    """A subscription has failed."""

    track_sid: Annotated[str, 1] = ""
    err: Annotated[EnumNumber, 2] = SubscriptionError.SE_UNKNOWN


class RequestReason(IntEnum):
    """`RequestResponse.Reason`."""

    OK = 0
    NOT_FOUND = 1
    NOT_ALLOWED = 2
    LIMIT_EXCEEDED = 3
    QUEUED = 4
    UNSUPPORTED_TYPE = 5
    UNCLASSIFIED_ERROR = 6
    INVALID_HANDLE = 7
    INVALID_NAME = 8
    DUPLICATE_HANDLE = 9
    DUPLICATE_NAME = 10
    INVALID_REQUEST = 11


class RequestResponse(Message, frozen=True):
    """What came of a request, named by its id or repeated."""

    request_id: Annotated[UInt32, 1] = 0
    reason: Annotated[EnumNumber, 2] = RequestReason.OK
    message: Annotated[str, 3] = ""
    trickle: Annotated[Trickle | None, 4] = None
    add_track: Annotated[AddTrack | None, 5] = None
    mute: Annotated[MuteTrack | None, 6] = None
    update_metadata: Annotated[UpdateMetadata | None, 7] = None
    update_audio_track: Annotated[UpdateAudioTrack | None, 8] = None
    update_video_track: Annotated[UpdateVideoTrack | None, 9] = None
    publish_data_track: Annotated[PublishDataTrack | None, 10] = None
    unpublish_data_track: Annotated[UnpublishDataTrack | None, 11] = None


class TrackSubscribed(Message, frozen=True):
    """Somebody hears a track of the client."""

    track_sid: Annotated[str, 1] = ""


class MediaSectionsRequirement(Message, frozen=True):
    """How many more lines the client's next offer needs."""

    num_audios: Annotated[UInt32, 1] = 0
    num_videos: Annotated[UInt32, 2] = 0


class SignalResponse(Message, frozen=True):
    """What a client is sent in one frame: exactly one of the members."""

    join: Annotated[JoinResponse | None, 1] = None
    answer: Annotated[SessionDescription | None, 2] = None
    offer: Annotated[SessionDescription | None, 3] = None
    trickle: Annotated[Trickle | None, 4] = None
    update: Annotated[ParticipantUpdate | None, 5] = None
    track_published: Annotated[TrackPublished | None, 6] = None
    leave: Annotated[Leave | None, 8] = None
    mute: Annotated[MuteTrack | None, 9] = None
    speakers_changed: Annotated[SpeakersChanged | None, 10] = None
    room_update: Annotated[RoomUpdate | None, 11] = None
    connection_quality: Annotated[ConnectionQualityUpdate | None, 12] = None
    subscription_permission_update: Annotated[SubscriptionPermissionUpdate | None, 15] = None
    refresh_token: Annotated[str | None, 16] = None
    track_unpublished: Annotated[TrackUnpublished | None, 17] = None
    pong: Annotated[Int64 | None, 18] = None
    """Time in milliseconds, for `ping`."""
    reconnect: Annotated[ReconnectResponse | None, 19] = None
    pong_resp: Annotated[Pong | None, 20] = None
    subscription_response: Annotated[SubscriptionResponse | None, 21] = None
    request_response: Annotated[RequestResponse | None, 22] = None
    track_subscribed: Annotated[TrackSubscribed | None, 23] = None
    media_sections_requirement: Annotated[MediaSectionsRequirement | None, 25] = None
