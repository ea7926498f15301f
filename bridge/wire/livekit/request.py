"""What LiveKit's client SDKs send: signal requests, and the request to join."""

from enum import IntEnum
from typing import Annotated

import msgspec

from bridge.wire.livekit.models import (
    Encryption,
    Leave,
    MuteTrack,
    ReconnectReason,
    Sdk,
    SessionDescription,
    TrackPublished,
    TrackSource,
    TrackType,
    Trickle,
)
from bridge.wire.livekit.protobuf import EnumNumber, Int32, Int64, Message, UInt32


class AddTrack(Message, frozen=True):
    """`AddTrackRequest`: the client wants to publish a track."""

    cid: Annotated[str, 1] = ""
    """The client's id, also the track in the `msid` of its offer."""
    name: Annotated[str, 2] = ""
    type: Annotated[EnumNumber, 3] = TrackType.AUDIO
    muted: Annotated[bool, 6] = False
    disable_dtx: Annotated[bool, 7] = False
    source: Annotated[EnumNumber, 8] = TrackSource.UNKNOWN
    sid: Annotated[str, 11] = ""
    stereo: Annotated[bool, 12] = False
    disable_red: Annotated[bool, 13] = False
    encryption: Annotated[EnumNumber, 14] = Encryption.NONE
    stream: Annotated[str, 15] = ""
    audio_features: Annotated[tuple[EnumNumber, ...], 17] = ()


class ParticipantTracks(Message, frozen=True):
    """Tracks of one participant."""

    participant_sid: Annotated[str, 1] = ""
    track_sids: Annotated[tuple[str, ...], 2] = ()


class Subscription(Message, frozen=True):
    """`UpdateSubscription`: which tracks the client wants."""

    track_sids: Annotated[tuple[str, ...], 1] = ()
    subscribe: Annotated[bool, 2] = False
    participant_tracks: Annotated[tuple[ParticipantTracks, ...], 3] = ()


class TrackSettings(Message, frozen=True):
    """`UpdateTrackSettings`."""

    track_sids: Annotated[tuple[str, ...], 1] = ()
    disabled: Annotated[bool, 3] = False


class TrackPermission(Message, frozen=True):
    """Which of the client's tracks a participant may have."""

    participant_sid: Annotated[str, 1] = ""
    all_tracks: Annotated[bool, 2] = False
    track_sids: Annotated[tuple[str, ...], 3] = ()
    participant_identity: Annotated[str, 4] = ""


class SubscriptionPermission(Message, frozen=True):
    """Who may have the client's tracks."""

    all_participants: Annotated[bool, 1] = False
    track_permissions: Annotated[tuple[TrackPermission, ...], 2] = ()


class SyncState(Message, frozen=True):
    """What a client that resumes believes."""

    answer: Annotated[SessionDescription | None, 1] = None
    subscription: Annotated[Subscription | None, 2] = None
    publish_tracks: Annotated[tuple[TrackPublished, ...], 3] = ()
    offer: Annotated[SessionDescription | None, 5] = None
    track_sids_disabled: Annotated[tuple[str, ...], 6] = ()


class UpdateMetadata(Message, frozen=True):
    """`UpdateParticipantMetadata`."""

    metadata: Annotated[str, 1] = ""
    name: Annotated[str, 2] = ""
    attributes: Annotated[dict[str, str], 3] = msgspec.field(default_factory=dict)
    request_id: Annotated[UInt32, 4] = 0


class Ping(Message, frozen=True):
    """A ping; times in milliseconds."""

    timestamp: Annotated[Int64, 1] = 0
    rtt: Annotated[Int64, 2] = 0


class UpdateAudioTrack(Message, frozen=True):
    """`UpdateLocalAudioTrack`."""

    track_sid: Annotated[str, 1] = ""
    features: Annotated[tuple[EnumNumber, ...], 2] = ()


class UpdateVideoTrack(Message, frozen=True):
    """`UpdateLocalVideoTrack`."""

    track_sid: Annotated[str, 1] = ""


class PublishDataTrack(Message, frozen=True):
    """`PublishDataTrackRequest`."""

    pub_handle: Annotated[UInt32, 1] = 0
    name: Annotated[str, 2] = ""


class UnpublishDataTrack(Message, frozen=True):
    """`UnpublishDataTrackRequest`."""

    pub_handle: Annotated[UInt32, 1] = 0


class DataBlobRequest(Message, frozen=True):
    """`StoreDataBlobRequest` and `GetDataBlobRequest`, as far as an answer needs them."""

    request_id: Annotated[UInt32, 1] = 0


class SignalRequest(Message, frozen=True):
    """What a client sends in one frame: one of the members, or none that is known here."""

    offer: Annotated[SessionDescription | None, 1] = None
    answer: Annotated[SessionDescription | None, 2] = None
    trickle: Annotated[Trickle | None, 3] = None
    add_track: Annotated[AddTrack | None, 4] = None
    mute: Annotated[MuteTrack | None, 5] = None
    subscription: Annotated[Subscription | None, 6] = None
    track_setting: Annotated[TrackSettings | None, 7] = None
    leave: Annotated[Leave | None, 8] = None
    subscription_permission: Annotated[SubscriptionPermission | None, 11] = None
    sync_state: Annotated[SyncState | None, 12] = None
    ping: Annotated[Int64 | None, 14] = None
    """Time in milliseconds; what SDKs sent before `ping_req`, and JS still sends too."""
    update_metadata: Annotated[UpdateMetadata | None, 15] = None
    ping_req: Annotated[Ping | None, 16] = None
    update_audio_track: Annotated[UpdateAudioTrack | None, 17] = None
    update_video_track: Annotated[UpdateVideoTrack | None, 18] = None
    publish_data_track: Annotated[PublishDataTrack | None, 19] = None
    """`publish_data_track_request`."""
    unpublish_data_track: Annotated[UnpublishDataTrack | None, 20] = None
    """`unpublish_data_track_request`."""
    store_data_blob: Annotated[DataBlobRequest | None, 22] = None
    """`store_data_blob_request`."""
    get_data_blob: Annotated[DataBlobRequest | None, 23] = None
    """`get_data_blob_request`."""


class ClientInfo(Message, frozen=True):
    """The client's program and machine."""

    sdk: Annotated[EnumNumber, 1] = Sdk.UNKNOWN
    version: Annotated[str, 2] = ""
    protocol: Annotated[Int32, 3] = 0
    os: Annotated[str, 4] = ""
    os_version: Annotated[str, 5] = ""
    device_model: Annotated[str, 6] = ""
    browser: Annotated[str, 7] = ""
    browser_version: Annotated[str, 8] = ""
    network: Annotated[str, 10] = ""
    client_protocol: Annotated[Int32, 12] = 0
    capabilities: Annotated[tuple[EnumNumber, ...], 13] = ()


class ConnectionSettings(Message, frozen=True):
    """How the client wants to be served."""

    auto_subscribe: Annotated[bool, 1] = False
    adaptive_stream: Annotated[bool, 2] = False
    disable_ice_lite: Annotated[bool, 4] = False


class JoinRequest(Message, frozen=True):
    """The request to join, or with `reconnect` to resume a session."""

    client_info: Annotated[ClientInfo | None, 1] = None
    connection_settings: Annotated[ConnectionSettings | None, 2] = None
    metadata: Annotated[str, 3] = ""
    participant_attributes: Annotated[dict[str, str], 4] = msgspec.field(default_factory=dict)
    add_track_requests: Annotated[tuple[AddTrack, ...], 5] = ()
    publisher_offer: Annotated[SessionDescription | None, 6] = None
    reconnect: Annotated[bool, 7] = False
    reconnect_reason: Annotated[EnumNumber, 8] = ReconnectReason.RR_UNKNOWN
    participant_sid: Annotated[str, 9] = ""
    """The session that is to be resumed."""
    sync_state: Annotated[SyncState | None, 10] = None


class Compression(IntEnum):
    """Of a wrapped request to join."""

    NONE = 0
    GZIP = 1


class WrappedJoinRequest(Message, frozen=True):
    """A request to join as it stands in a URL."""

    compression: Annotated[EnumNumber, 1] = Compression.NONE
    join_request: Annotated[bytes, 2] = b""
