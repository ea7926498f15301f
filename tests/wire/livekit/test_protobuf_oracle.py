"""Our messages are those of the package `livekit-protocol`: names, numbers, types and bytes."""

import base64
import gzip
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.livekit import models, request, response
from bridge.wire.livekit.access_token import check, verify
from bridge.wire.livekit.join import read_packed
from bridge.wire.livekit.protobuf import Integer, Message, decode, encode
from tests.support.clients.livekit_token import SECRET
from tests.wire.livekit.messages import MESSAGES, described, message

pytestmark = pytest.mark.full
rtc = pytest.importorskip("livekit.protocol.rtc", reason="livekit-protocol is not installed")
general = pytest.importorskip("livekit.protocol.models", reason="livekit-protocol is not installed")

OTHER_NAMES = {
    "AddTrack": "AddTrackRequest",
    "DataBlobRequest": "StoreDataBlobRequest",
    "IceServer": "ICEServer",
    "Leave": "LeaveRequest",
    "MuteTrack": "MuteTrackRequest",
    "PublishDataTrack": "PublishDataTrackRequest",
    "Subscription": "UpdateSubscription",
    "TrackPublished": "TrackPublishedResponse",
    "TrackSettings": "UpdateTrackSettings",
    "TrackUnpublished": "TrackUnpublishedResponse",
    "Trickle": "TrickleRequest",
    "UnpublishDataTrack": "UnpublishDataTrackRequest",
    "UpdateAudioTrack": "UpdateLocalAudioTrack",
    "UpdateMetadata": "UpdateParticipantMetadata",
    "UpdateVideoTrack": "UpdateLocalVideoTrack",
}
OTHER_FIELDS = {
    "candidate": "candidateInit",
}
OF_REQUESTS = {"publish_data_track", "unpublish_data_track", "store_data_blob", "get_data_blob"}
"""Members of `SignalRequest` that are called `…_request`."""
ENUMERATIONS = {
    "Compression": "WrappedJoinRequest.Compression",
    "Encryption": "Encryption.Type",
    "KindDetail": "ParticipantInfo.KindDetail",
    "LeaveAction": "LeaveRequest.Action",
    "ParticipantKind": "ParticipantInfo.Kind",
    "ParticipantState": "ParticipantInfo.State",
    "RequestReason": "RequestResponse.Reason",
    "Sdk": "ClientInfo.SDK",
}


def theirs(kind):
    """Return the class of the package for a message."""
    name = OTHER_NAMES.get(kind.__name__, kind.__name__)
    return getattr(rtc, name, None) or getattr(general, name)


def theirs_named(path):
    """Return the descriptor of an enumeration by its full name."""
    *outer, name = path.split(".")
    for module in (rtc.DESCRIPTOR, general.DESCRIPTOR):
        scope = module.message_types_by_name.get(outer[0]) if outer else module
        if scope is not None and name in scope.enum_types_by_name:
            return scope.enum_types_by_name[name]
    raise LookupError(path)


def type_of(field):
    """Return what our annotation of a field of theirs has to be."""
    kinds = type(field)
    integers = {
        kinds.TYPE_ENUM: Integer(32, signed=True),
        kinds.TYPE_INT32: Integer(32, signed=True),
        kinds.TYPE_INT64: Integer(64, signed=True),
        kinds.TYPE_UINT32: Integer(32, signed=False),
        kinds.TYPE_UINT64: Integer(64, signed=False),
    }
    others = {
        kinds.TYPE_STRING: str,
        kinds.TYPE_BYTES: bytes,
        kinds.TYPE_BOOL: bool,
        kinds.TYPE_FLOAT: float,
    }
    return (integers | others).get(field.type) or field.message_type.name


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_field_has_its_name_number_and_type(kind):
    fields = theirs(kind).DESCRIPTOR.fields_by_number
    for name, number, shape, plain in described(kind):
        field = fields[number]
        expected = OTHER_FIELDS.get(name, name)
        if kind is request.SignalRequest and name in OF_REQUESTS:
            expected += "_request"
        assert field.name == expected
        if shape == "map":
            assert field.message_type.GetOptions().map_entry
            continue
        assert field.is_repeated == (shape == "list"), name
        if kind is request.SignalRequest and name == "get_data_blob":
            continue  # of both our class has only what they have in common
        assert type_of(field) == (
            theirs(plain).DESCRIPTOR.name
            if isinstance(plain, type) and issubclass(plain, Message)
            else plain
        ), name
        assert field.has_presence == (shape == "optional"), name


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_both_read_what_the_other_writes(kind, data):
    ours = data.draw(message(kind))
    read = theirs(kind).FromString(encode(ours))
    read.DiscardUnknownFields()
    assert decode(kind, read.SerializeToString()) == ours


@pytest.mark.parametrize(
    "enumeration",
    [
        each
        for module in (models, request, response)
        for each in vars(module).values()
        if isinstance(each, type(models.Sdk)) and each.__module__ == module.__name__
    ],
    ids=lambda each: each.__name__,
)
def test_an_enumeration_has_all_their_values(enumeration):
    name = ENUMERATIONS.get(enumeration.__name__, enumeration.__name__)
    expected = {value.name: value.number for value in theirs_named(name).values}
    assert {each.name: each.value for each in enumeration} == expected


def test_what_we_leave_out_of_a_request_is_skipped():
    given = rtc.SignalRequest(
        add_track=rtc.AddTrackRequest(
            cid="c", width=640, layers=[general.VideoLayer(width=640, bitrate=1_000_000)]
        )
    )
    assert decode(request.SignalRequest, given.SerializeToString()) == request.SignalRequest(
        add_track=request.AddTrack(cid="c")
    )


@pytest.mark.parametrize(
    "given",
    [
        rtc.SignalRequest(simulate=rtc.SimulateScenario(node_failure=True)),
        rtc.SignalRequest(update_layers=rtc.UpdateVideoLayers(track_sid="TR_1")),
    ],
)
def test_a_request_that_is_not_known_here_has_no_member(given):
    assert decode(request.SignalRequest, given.SerializeToString()) == request.SignalRequest()


def test_one_member_of_a_response_is_set_even_if_it_is_zero():
    read = rtc.SignalResponse.FromString(encode(response.SignalResponse(pong=0)))
    assert read.WhichOneof("message") == "pong"


def test_their_request_to_join_is_read():
    join = rtc.JoinRequest(
        client_info=general.ClientInfo(sdk=general.ClientInfo.PYTHON, protocol=18),
        publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0"),
    )
    wrapped = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.GZIP,
        join_request=gzip.compress(join.SerializeToString()),
    )
    read = read_packed(base64.urlsafe_b64encode(wrapped.SerializeToString()).decode())
    assert read == request.JoinRequest(
        client_info=request.ClientInfo(sdk=models.Sdk.PYTHON, protocol=18),
        publisher_offer=models.SessionDescription(type="offer", sdp="v=0"),
    )


def test_a_token_of_their_servers_sdk_is_read():
    api = pytest.importorskip("livekit.api", reason="livekit-api is not installed")
    grants = api.VideoGrants(room_join=True, room="call-1", can_publish_sources=["microphone"])
    text = (
        api.AccessToken("APIsales", SECRET)
        .with_identity("near")
        .with_name("Ann")
        .with_attributes({"team": "sales"})
        .with_grants(grants)
        .to_jwt()
    )
    token = verify(text, {"APIsales": SECRET})
    check(token, now=datetime.now(UTC).timestamp())
    assert (token.identity, token.name, token.grants.room) == ("near", "Ann", "call-1")
    assert token.grants.publishes
